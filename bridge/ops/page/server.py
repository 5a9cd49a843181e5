"""Serves the page in the service's own event loop, on a socket of its own.

Promises: it listens from ``start`` until ``stop`` and installs no signal handler. Fails with ``ConfigurationError``
when the address cannot be had.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bridge.errors import ConfigurationError

_GRACE_S = 2


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the service decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell ``start`` once it listens."""
        await super().startup(sockets=sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class PageServer:
    """One HTTP listener."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """``port`` 0 takes a free one."""
        self._where = (host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=_GRACE_S,
                limit_concurrency=64,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; host and port. Raises ``ConfigurationError``."""
        host, port = self._where
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, kind, protocol)
        except OSError as error:
            raise ConfigurationError(f"BRIDGE_OPS_BIND: {host}: {error.strerror}") from None
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            listening.bind(address)
        except OSError as error:
            listening.close()
            raise ConfigurationError(f"BRIDGE_OPS_BIND: cannot listen at {host}:{port}: {error.strerror}") from None
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        await self._server.ready.wait()
        return host, int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening; requests under way get two seconds."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
