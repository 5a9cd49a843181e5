"""Accepting: whatever waits is stored as one statement, which is one transaction and one sync of the server's log.

Promises: a mail's ids are given out after the commit that holds it; a mail that the server refuses harms no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.errors import BridgeError, SpoolBroken, SpoolBusy
from bridge.spool import codec, moves
from bridge.spool.api import NewMail
from bridge.spool.ledger import LARGE_BYTES
from bridge.spool.postgres.carrying import DEADLINE_S, NOW, Carrier

GROUP, GROUP_BYTES = 500, 8_000_000
AT_ONCE = 2
"""Groups under way: one is sent while the server syncs the other."""
_INSERT = f"""WITH numbered AS MATERIALIZED (
  SELECT nextval('mail_ids') AS id, n FROM generate_series(1, coalesce(array_length($1::bytea[], 1), 0)) AS n),
stored AS (
  INSERT INTO mails (id, raw, size, digest) SELECT numbered.id, m.raw, m.size, m.digest
  FROM unnest($1::bytea[], $2::bigint[], $3::text[]) WITH ORDINALITY AS m(raw, size, digest, n)
  JOIN numbered USING (n)),
clock AS MATERIALIZED (SELECT coalesce($9::float8, {NOW}) AS now)
INSERT INTO entries (id, mail, state, reason, hint, envelope, sender, accepted_at, updated_at, next_at)
SELECT e.id, numbered.id, 'received', 'waiting', e.hint, e.envelope, e.sender, clock.now, clock.now, clock.now
FROM unnest($4::text[], $5::int[], $6::text[], $7::text[], $8::text[]) WITH ORDINALITY
  AS e(id, mail, hint, envelope, sender, n)
JOIN numbered ON numbered.n = e.mail CROSS JOIN clock ORDER BY e.n"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    mail: NewMail
    sealed: bytes
    digest: str
    stored: asyncio.Future[tuple[str, ...]]


class Accepting:
    """Gathers mails and stores them in groups."""

    def __init__(self, carrier: Carrier, ids: codec.Ids, now: Callable[[], float], test_time: bool) -> None:
        """``now`` makes ids; with ``test_time`` it is the time of acceptance, too."""
        self._carrier, self._ids, self._now, self._test_time = carrier, ids, now, test_time
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def store(self, mail: NewMail, sealed: bytes, digest: str) -> tuple[str, ...]:
        """The entries' ids, once committed. Raises ``SpoolError``."""
        if len(mail.hints) != len(mail.envelopes) or len(sealed) > LARGE_BYTES:
            return await self._alone(mail, sealed, digest)
        waiting = _Waiting(mail, sealed, digest, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._running) < AT_ONCE:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await waiting.stored
        except TimeoutError:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiting)
            raise SpoolBusy("the spool's server is too slow") from None

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _alone(self, mail: NewMail, sealed: bytes, digest: str) -> tuple[str, ...]:
        return await self._carrier.write(lambda now: moves.accept(self._ids, mail, sealed, digest, now))

    async def _run(self) -> None:
        while group := self._group():
            try:
                ids = await self._insert(group)
            except SpoolBroken:
                await asyncio.gather(*(self._one(waiting) for waiting in group))
            except BridgeError as error:
                for waiting in group:
                    _answer(waiting, type(error)(*error.args))
            else:
                for waiting, made in zip(group, ids, strict=True):
                    _answer(waiting, made)

    async def _one(self, waiting: _Waiting) -> None:
        """One of a group that was refused as a whole."""
        try:
            _answer(waiting, await self._alone(waiting.mail, waiting.sealed, waiting.digest))
        except BridgeError as error:
            _answer(waiting, error)

    def _group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < GROUP and size < GROUP_BYTES:
            waiting = self._waiting.popleft()
            group.append(waiting)
            size += len(waiting.sealed)
        return group

    async def _insert(self, group: Sequence[_Waiting]) -> list[tuple[str, ...]]:
        now = self._now()
        ids = [tuple(self._ids.new(now) for _ in waiting.mail.envelopes) for waiting in group]
        entries = [
            (*(entry_id, number, hint, codec.dump_envelope(envelope), codec.clean(envelope.mail_from.lower())),)
            for number, (waiting, made) in enumerate(zip(group, ids, strict=True), 1)
            for entry_id, envelope, hint in zip(made, waiting.mail.envelopes, waiting.mail.hints, strict=True)
        ]
        await self._carrier.execute(
            _INSERT,
            [waiting.sealed for waiting in group],
            [len(waiting.mail.raw) for waiting in group],
            [waiting.digest for waiting in group],
            *(list(column) for column in zip(*entries, strict=True)),
            now if self._test_time else None,
        )
        return ids


def _answer(waiting: _Waiting, answer: tuple[str, ...] | BridgeError) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(answer, BridgeError):
            waiting.stored.set_exception(answer)
        else:
            waiting.stored.set_result(answer)
