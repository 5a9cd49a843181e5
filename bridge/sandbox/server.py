"""Serves the sandbox over TCP: in an event loop that is there (``SandboxServer``), or as a process (``run``).

The listening socket is ours, not uvicorn's, so that ``refuse`` can close it: the kernel then answers a connection
attempt as it does for any closed port. The port stays bound meanwhile, so that nobody else gets it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.errors import ConfigurationError
from bridge.sandbox.app import Sandbox
from bridge.sandbox.wire import Connections

_BACKLOG = 1024
_KEEP_ALIVE_S = 75
_GRACE_S = 2
_REBIND_ATTEMPTS = 100


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: whoever runs the loop decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def parse_bind(bind: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPv6]:PORT``; port 0 lets the kernel choose. Raises ``ConfigurationError``."""
    host, colon, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigurationError(f"the sandbox cannot listen on {bind!r}: give HOST:PORT, such as 127.0.0.1:8088")
    return host, int(port)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


class SandboxServer:
    """A sandbox in the running event loop: ``async with SandboxServer("127.0.0.1:0", keys=["k"]) as server``."""

    def __init__(
        self,
        bind: str = "127.0.0.1:0",
        *,
        keys: Sequence[str],
        write_only_keys: Sequence[str] = (),
        database: str | None = None,
        rate_limit: int | None = None,
        rate_window_s: float = 60.0,
    ) -> None:
        """Nothing listens before ``start``. Raises ``ConfigurationError``."""
        self._host, self._port = parse_bind(bind)
        self.sandbox = Sandbox(
            keys=keys,
            write_only_keys=write_only_keys,
            database=database,
            rate_limit=rate_limit,
            rate_window_s=rate_window_s,
        )
        self.sandbox.armoury.close_port = self._refuse_for
        self._config = uvicorn.Config(
            self.sandbox.app, lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, ws="none", timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=_GRACE_S,
        )  # fmt: skip
        self._server = _Server(self._config)
        self._serving: asyncio.Task[None] | None = None
        self._refusing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises ``ConfigurationError`` when the address cannot be had."""
        try:
            listening = _bound(self._host, self._port)
        except OSError as error:
            self.sandbox.close()
            raise ConfigurationError(f"the sandbox cannot listen on {self._host}:{self._port}: {error}") from error
        self._port = listening.getsockname()[1]
        self._config.load()
        self._config.http_protocol_class = _protocol(self.sandbox.connections)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stop listening, let running requests end for two seconds, close the database."""
        if self._refusing is not None:
            self._refusing.cancel()
            await asyncio.gather(self._refusing, return_exceptions=True)
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self.sandbox.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def _refuse_for(self, seconds: float) -> None:
        if self._refusing is None or self._refusing.done():
            self._refusing = asyncio.create_task(self._refuse(seconds))

    async def _refuse(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # lets the answer to whoever armed it out
        for server in self._server.servers:
            server.close()
        placeholder = await self._rebound()
        self.sandbox.connections.reset_all()
        try:
            await asyncio.sleep(seconds)
            loop = asyncio.get_running_loop()
            self._server.servers = [await loop.create_server(self._accept, sock=placeholder, backlog=_BACKLOG)]
        except BaseException:
            placeholder.close()
            raise

    async def _rebound(self) -> socket.socket:
        """A socket that holds the port without listening: the kernel refuses connections to it."""
        for _ in range(_REBIND_ATTEMPTS):
            try:
                return _bound(self._host, self._port)
            except OSError:
                await asyncio.sleep(0.01)  # the loop closes the old socket in its own time
        raise ConfigurationError(f"the sandbox lost its port {self._port} to another process")

    def _accept(self) -> asyncio.Protocol:
        kind = _protocol(self.sandbox.connections)
        return kind(config=self._config, server_state=self._server.server_state, app_state={})


def _protocol(connections: Connections) -> type[H11Protocol]:
    """uvicorn's HTTP protocol, entering each connection's transport in ``connections``."""

    class Registered(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections.opened(self.client, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.lost(self.client)
            super().connection_lost(exc)

    return Registered


def is_loopback(bind: str) -> bool:
    """True when only this machine can reach the address. Raises ``ConfigurationError``."""
    host = parse_bind(bind)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run(
    bind: str,
    keys: Sequence[str],
    write_only_keys: Sequence[str] = (),
    database: str | None = None,
    rate_limit: int | None = None,
    *,
    rate_window_s: float = 60.0,
) -> None:
    """Serve until SIGTERM or SIGINT. The first line on standard output says where. Raises ``ConfigurationError``."""
    server = SandboxServer(
        bind,
        keys=keys,
        write_only_keys=write_only_keys,
        database=database,
        rate_limit=rate_limit,
        rate_window_s=rate_window_s,
    )
    asyncio.run(_run(server, bind))


async def _run(server: SandboxServer, bind: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server:
        sys.stdout.write(f"sandbox listening on {server.url}\n")
        sys.stdout.flush()
        if not is_loopback(bind):
            sys.stderr.write("the sandbox's page and its /sandbox endpoints need no key: keep this port private\n")
        await stop.wait()
