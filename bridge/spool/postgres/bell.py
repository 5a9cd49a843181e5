"""Waking the other bridges: ``NOTIFY`` after a change, ``LISTEN`` for theirs, on a connection of its own.

Notifications are gathered and sent apart from the transactions, because the server lets transactions that notify commit
one at a time only. A lost one costs a second: everybody looks by himself, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from bridge.errors import BridgeError
from bridge.spool.postgres import server

GATHER_S = 0.02
AGAIN_S = 1.0


class Bell:
    """Rings for the others, and hears them."""

    def __init__(self, at: server.Address, owner: str) -> None:
        """The channel is the schema; the payload says who rang."""
        self._at, self._owner = at, owner
        self._rung = asyncio.Event()
        self._heard: Callable[[], None] = lambda: None
        self._connection: asyncpg.Connection[Any] | None = None

    async def open(self, heard: Callable[[], None]) -> None:
        """Listen; ``heard`` is called when another bridge rang. Raises ``BridgeError``."""
        self._heard = heard
        self._connection = await self._connect()

    def ring(self) -> None:
        """There may be new work."""
        self._rung.set()

    async def run(self) -> None:
        """Until cancelled; connects again whenever the connection was lost."""
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                    self._heard()
                await self._rung.wait()
                self._rung.clear()
                await self._connection.execute("SELECT pg_notify($1, $2)", self._at.schema, self._owner, timeout=5)
                await asyncio.sleep(GATHER_S)
            except (BridgeError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                self.close()
                await asyncio.sleep(AGAIN_S)

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection[Any]:
        connection = await server.connect(self._at)
        connection.add_termination_listener(lambda _: self._rung.set())
        try:
            await connection.add_listener(self._at.schema, self._notified)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _notified(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload != self._owner:
            self._heard()
