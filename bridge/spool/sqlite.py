"""The spool on SQLite: one file, one process that serves, command-line tools beside it.

Promises: what a method changed is on disk when it returns (WAL, ``synchronous=FULL``; the directory is synced when the
file is made). One writer thread commits in groups; readers have connections of their own and never wait for it.
Fails closed: after an I/O error everything raises ``SpoolBroken`` and ``on_fatal`` is called.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bridge.errors import SpoolFull
from bridge.spool import codec, jumps, moves
from bridge.spool.api import NewMail, Usage
from bridge.spool.checkpoint import Checkpointer
from bridge.spool.cipher import Cipher, Pieces
from bridge.spool.files import LOG_BYTES, Database
from bridge.spool.jumps import JumpWatch
from bridge.spool.ledger import Ledger, Make
from bridge.spool.writer import Writer, carry_out

T = TypeVar("T")
_LARGE = 1024 * 1024
"""Bytes of a mail from which it is written into its row, in pieces."""


class SqliteSpool(Ledger):
    """``bridge.spool.api.Spool`` on one SQLite file. Made by ``bridge.spool.open_spool``."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        cipher: Cipher,
        clock: Callable[[], float],
        steady: Callable[[], float],
        on_fatal: Callable[[], None],
    ) -> None:
        """``database`` is open already; the writer starts here. ``steady`` is a clock that never jumps."""
        # The lock proves that nobody else serves: what anybody has claimed was left behind.
        super().__init__(owner=owner, recovers=None if database.exclusive else owner, cipher=cipher)
        self._database = database
        self._clock, self._watch = clock, JumpWatch(clock, steady)
        self._ids = codec.Ids(database.newest_id)
        self._writer = Writer(database.connect, self._between_groups)
        self._writer.on_fatal, self._writer.on_full = on_fatal, database.full
        self._checkpointer = Checkpointer(database.connect, database.log_bytes, LOG_BYTES, self._writer.fail)
        self._writer.start()
        self._checkpointer.start()

    def _between_groups(self, connection: sqlite3.Connection) -> None:
        self._checkpointer.between_groups(connection)
        self._database.refresh(connection)

    async def close(self) -> None:
        """Finish what is under way, release the lock."""
        for part in (self._checkpointer, self._writer, self._database):
            await asyncio.to_thread(part.close)

    def usage(self) -> Usage:
        """The newest known usage."""
        usage = self._database.usage
        return replace(usage, accepting=False) if self._writer.fatal else usage

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        """Store a mail durably, one entry per envelope. Raises ``SpoolFull`` past the high-water mark."""
        if not self.usage().accepting:
            raise SpoolFull("the spool is past its high-water mark, or its disk is short")
        sealed, digest = await self._in_pieces(mail.raw) if len(mail.raw) > _LARGE else await self._prepared(mail.raw)
        return await self._change(lambda now: moves.accept(self._ids, mail, sealed, digest, now))

    async def _in_pieces(self, raw: bytes) -> tuple[Pieces, str]:
        def seal() -> tuple[Pieces, str]:
            return self._cipher.seal_large(raw), hashlib.sha256(raw).hexdigest()

        return await asyncio.to_thread(seal)

    async def erase(self, *, ended_before: float, held_before: float) -> int:
        """Erase bodies past their retention; the write-ahead log, which still holds them, is emptied soon."""
        erased = await super().erase(ended_before=ended_before, held_before=held_before)
        if erased:
            self._checkpointer.erased()
        return erased

    async def filled(self) -> None:
        """Entries were copied in with their numbers: SQLite goes on after the greatest by itself."""

    async def _read(self, make: Make[T]) -> T:
        steps = make(self._clock())
        return await self._database.read(lambda db: carry_out(db, steps))

    async def _write(self, make: Make[T]) -> T:
        if jump := self._watch.jump():
            await self._writer.run(lambda db: carry_out(db, jumps.follow(jump)))
        steps = make(self._clock())
        return await self._writer.run(lambda db: carry_out(db, steps))
