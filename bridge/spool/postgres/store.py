"""The spool on PostgreSQL: any number of bridges accept into it and deliver from it.

Promises: those of ``bridge.spool.api``, between processes and machines: a claim's lease ends in the server's time and
its token fences off whoever held it before; a lane's head changes under the lane's lock only. While the server is away
everything raises ``SpoolBusy`` and works again once it is back; nothing is kept in memory for later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from bridge.errors import SpoolBroken, SpoolError, SpoolFull
from bridge.spool import codec, keyring
from bridge.spool.api import NewMail, Usage
from bridge.spool.cipher import Cipher
from bridge.spool.ledger import Ledger, Make
from bridge.spool.postgres import schema, server
from bridge.spool.postgres.accepting import Accepting
from bridge.spool.postgres.bell import Bell
from bridge.spool.postgres.carrying import Carrier
from bridge.spool.steps import Steps, ask, first

LEDGER_BYTES = 2500
"""What an entry takes beside its mail, with its indexes: an estimate that ``benchmarks.postgres_size`` can check."""
REFRESH_S = 1.0
SHORT_S = 5.0
"""How long nothing is accepted after the server's disk was full."""
_FOLD = """WITH gone AS (DELETE FROM changes WHERE id IN
  (SELECT e.id FROM changes e ORDER BY e.id LIMIT 20000 FOR UPDATE OF e SKIP LOCKED) RETURNING state, reason, n)
INSERT INTO counted (state, reason, n) SELECT state, reason, sum(n) FROM gone GROUP BY state, reason ORDER BY 1, 2
ON CONFLICT (state, reason) DO UPDATE SET n = counted.n + excluded.n"""
T = TypeVar("T")


async def migrate(url: str) -> tuple[int, int]:
    """Bring the spool at ``url`` to the present schema; the versions before and after. Raises ``BridgeError``."""
    return await schema.migrate(server.address(url), schema.migrations())


async def open_postgres(
    url: str, *, owner: str, high_water_bytes: int, cipher: Cipher, clock: Callable[[], float] | None = None
) -> PostgresSpool:
    """Open the spool at ``url``. Raises ``ConfigurationError`` or ``SpoolError`` saying what to do."""
    at = server.address(url)
    connection = await server.connect(at)
    try:
        await schema.check(connection, at, len(schema.migrations()))
    finally:
        await connection.close(timeout=server.CONNECT_S)
    carrier = Carrier(at, clock)
    await carrier.open()
    bell = Bell(at, owner)
    try:
        await carrier.write(lambda _: keyring.check(cipher))
        newest = await carrier.read(lambda _: first("SELECT id FROM entries ORDER BY seq DESC LIMIT 1"))
        ids = codec.Ids(newest["id"] if newest else "")
        accepting = Accepting(carrier, ids, clock or time.time, test_time=clock is not None)
        spool = PostgresSpool(carrier, accepting, bell, owner=owner, cipher=cipher, high_water_bytes=high_water_bytes)
        await spool.start()
    except BaseException:
        await carrier.close()
        raise
    return spool


class PostgresSpool(Ledger):
    """``bridge.spool.api.Spool`` on PostgreSQL. Made by ``bridge.spool.open_spool``."""

    def __init__(
        self,
        carrier: Carrier,
        accepting: Accepting,
        bell: Bell,
        *,
        owner: str,
        cipher: Cipher,
        high_water_bytes: int,
    ) -> None:
        """``carrier`` is open already."""
        super().__init__(owner=owner, recovers=owner, cipher=cipher)
        self._carrier, self._accepting, self._bell = carrier, accepting, bell
        self._high_water = high_water_bytes
        self._used = 0
        self._full_until = 0.0
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Measure once, then in the background; listen for what others do."""
        await self._measure()
        await self._bell.open(super()._wake)
        self._tasks = [asyncio.create_task(self._look_after()), asyncio.create_task(self._bell.run())]

    async def close(self) -> None:
        """Finish what is under way."""
        self._closed = True
        await self._accepting.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._bell.close()
        await self._carrier.close()

    def usage(self) -> Usage:
        """What the kept mails take; how much the server's disk has left cannot be seen from here."""
        accepting = self._used < self._high_water and time.monotonic() >= self._full_until
        return Usage(self._used, max(0, self._high_water - self._used), self._high_water, accepting)

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        """Store a mail durably, one entry per envelope. Raises ``SpoolFull`` past the high-water mark."""
        self._open()
        if not self.usage().accepting:
            raise SpoolFull("the spool is past its high-water mark, or its server's disk is full")
        sealed, digest = await self._prepared(mail.raw)
        try:
            ids = await self._accepting.store(mail, sealed, digest)
        except SpoolFull:
            self._full_until = time.monotonic() + SHORT_S
            raise
        self._used += len(sealed) + LEDGER_BYTES * len(ids)
        self._wake()
        return ids

    def _wake(self) -> None:
        super()._wake()
        self._bell.ring()

    async def _read(self, make: Make[T]) -> T:
        self._open()
        return await self._carrier.read(make)

    async def _write(self, make: Make[T]) -> T:
        self._open()
        return await self._carrier.write(make)

    def _open(self) -> None:
        if self._closed:
            raise SpoolBroken("the spool is closed")

    async def filled(self) -> None:
        """Entries were copied in with their numbers: the sequences go on after them."""
        await self._carrier.write(lambda _: _go_on())

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._carrier.write(lambda _: _fold())
                await self._measure()
            except SpoolError:
                continue

    async def _measure(self) -> None:
        used = await self._carrier.read(lambda _: _used())
        self._used = used


def _fold() -> Steps[None]:
    """Add the changes up; one bridge at a time, and none waits for it."""
    if (yield from first("SELECT 1 WHERE pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' fold', 1))")):
        yield from ask(_FOLD)


def _go_on() -> Steps[None]:
    for sequence, table, column in (("mail_ids", "mails", "id"), ("entries_seq_seq", "entries", "seq")):
        yield from ask(f"SELECT setval('{sequence}', greatest((SELECT max({column}) FROM {table}), 1))")


def _used() -> Steps[int]:
    found = yield from ask("SELECT state, sum(n)::bigint AS n FROM tallies GROUP BY state")
    tallies = {row["state"]: row["n"] for row in found}
    return int(tallies.pop("bytes", 0)) + LEDGER_BYTES * int(sum(tallies.values()))
