"""The operators' page, health and metrics over HTTP. Loaded only where ``BRIDGE_OPS_BIND`` asks for it."""

from bridge.ops.page.server import PageServer

__all__ = ["PageServer"]
