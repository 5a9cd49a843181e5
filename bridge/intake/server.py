"""The listeners, from the first connection to the last.

Promises: nothing is accepted before ``start``; ``drain`` refuses what is new, tells the idle to go, and lets mails
under way end within the grace period.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from bridge.errors import ConfigurationError
from bridge.intake import received, tls
from bridge.intake.config import IntakeConfig, Reception
from bridge.intake.handler import Counters, Handler
from bridge.intake.listen import Listen
from bridge.intake.session import LmtpSession, Session

_BACKLOG = 512
_SOCKET_MODE = 0o660


class Intake:
    """All listeners of one bridge."""

    def __init__(
        self,
        config: IntakeConfig,
        reception: Reception,
        log: FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Reads the certificate, if there is one; raises ``ConfigurationError``. Listens from ``start`` on."""
        if received.name(config.hostname) != config.hostname or not config.hostname:
            raise ConfigurationError(
                f"BRIDGE_HOSTNAME: {config.hostname!r} is no host name; example: BRIDGE_HOSTNAME=bridge.example.com"
            )
        self._config = config
        self._handler = Handler(
            config, reception, log, clock=clock, tls=tls.context(config.tls) if config.tls else None
        )
        self._servers: list[asyncio.AbstractServer] = []
        self._paths: list[Path] = []
        self.addresses: list[tuple[str, int]] = []
        """Host and port of every listener, with the port that was taken; path and 0 of a Unix socket."""

    @property
    def counters(self) -> Counters:
        """What happened since the start."""
        return self._handler.counters

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._handler.sessions)

    def reload_tls(self) -> None:
        """Read the certificate again, for connections from now on. Raises ``ConfigurationError`` and keeps the old."""
        if self._config.tls is not None:
            self._handler.tls = tls.context(self._config.tls)

    async def start(self, listen: Sequence[Listen]) -> None:
        """Listen everywhere, or nowhere: raises ``ConfigurationError``."""
        try:
            for one in listen:
                self._servers.append(await self._serve(one))
        except OSError as error:
            self._close()
            where = str(one.path) if one.path else f"{one.host or '*'}:{one.port}"
            what = error.strerror or type(error).__name__
            raise ConfigurationError(f"BRIDGE_LISTEN: cannot listen at {where}: {what}") from None

    async def _serve(self, listen: Listen) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        kind = LmtpSession if listen.lmtp else Session

        def connection() -> Session:
            return kind(self._handler, loop)

        if listen.path is not None:
            unix = await loop.create_unix_server(connection, str(listen.path), backlog=_BACKLOG)
            listen.path.chmod(_SOCKET_MODE)
            self._paths.append(listen.path)
            self.addresses.append((str(listen.path), 0))
            return unix
        if listen.sock is not None:
            server = await loop.create_server(connection, sock=listen.sock, backlog=_BACKLOG)
        else:
            server = await loop.create_server(connection, listen.host or None, listen.port, backlog=_BACKLOG)
        for sock in server.sockets:
            name = sock.getsockname()
            self.addresses.append((name[0], name[1]) if isinstance(name, tuple) else (str(name), 0))
        return server

    async def drain(self, grace_s: float) -> None:
        """Stop accepting, let mails under way end for ``grace_s`` seconds, then close what is left."""
        self._close()
        self._handler.draining = True
        sessions = self._handler.sessions
        for session in tuple(sessions):
            session.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._handler.idle(), grace_s)
        for session in tuple(sessions):
            session.abort()
        await asyncio.sleep(0)

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.unlink()
        self._paths.clear()
