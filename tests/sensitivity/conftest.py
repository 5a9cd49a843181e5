"""Commands in this process, as the operators' tests run them."""

from __future__ import annotations

from tests.ops.conftest import cli_run

__all__ = ["cli_run"]
