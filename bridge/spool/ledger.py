"""What every store has in common: the interface, told as steps that a store carries out in its own way.

A store says how steps are read and written (``_read``, ``_write``) and how mail is accepted; the moves, the look-ups
and the waiting are the same for all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from bridge.errors import StaleToken
from bridge.model import Context, Decision
from bridge.reasons import Reason
from bridge.spool import lanes, lookups, moves, rows
from bridge.spool.api import (
    Attempt,
    AttemptResult,
    Audit,
    Claim,
    ContextQuery,
    Counts,
    Detail,
    Entry,
    Filter,
    Kind,
    NewMail,
    Settlement,
    State,
    Usage,
)
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Steps

LARGE_BYTES = 262_144
"""Mails from this size on are sealed and digested in a thread."""
POLL_S = 1.0
"""How often a waiting worker looks for work that another process made or that has become due."""
T = TypeVar("T")
Make: TypeAlias = Callable[[float], Steps[T]]
"""Makes steps, given the time that counts for them: a store may have to make them again."""


class Ledger(ABC):
    """``bridge.spool.api.Spool``, but for what each store does in its own way."""

    def __init__(self, *, owner: str, recovers: str | None, cipher: Cipher) -> None:
        """``owner`` names who claims; ``recovers`` whose claims ``recover`` gives back, None for everybody's."""
        self._owner, self._recovers = owner, recovers
        self._cipher = cipher
        self._leases: dict[int, tuple[int, float]] = {}
        self._version = 0
        self._seen: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._waiters: set[asyncio.Future[None]] = set()

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way, release what is held."""

    @abstractmethod
    def usage(self) -> Usage:
        """The newest known usage; never blocks."""

    @abstractmethod
    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        """Store a mail durably, one entry per envelope. Raises ``SpoolFull`` past the high-water mark."""

    @abstractmethod
    async def _read(self, make: Make[T]) -> T:
        """Carry out steps that change nothing."""

    @abstractmethod
    async def _write(self, make: Make[T]) -> T:
        """Carry out steps in one transaction, and return once it is durable."""

    async def carry(self, make: Make[T]) -> T:
        """Carry out steps that another part of the spool tells (moving it, upkeep), in one transaction."""
        return await self._write(make)

    @abstractmethod
    async def filled(self) -> None:
        """Entries were copied in with their numbers: new ones go on after them."""

    async def _change(self, make: Make[T]) -> T:
        """A change that may make work for somebody."""
        try:
            return await self._write(make)
        finally:
            self._wake()

    def _wake(self) -> None:
        self._version += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Return when something changed since this task's last ``wait``, or after ``timeout_s``.

        At most ``POLL_S``: entries become due, and other processes make work too.
        """
        task = asyncio.current_task()
        if task is not None and self._seen.get(task, -1) == self._version:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout(min(timeout_s, POLL_S)):
                    await waiter
            except TimeoutError:
                pass
            finally:
                self._waiters.discard(waiter)
        if task is not None:
            self._seen[task] = self._version

    async def _prepared(self, raw: bytes) -> tuple[bytes, str]:
        """A mail, sealed, and its digest."""
        return await asyncio.to_thread(self._seal, raw) if len(raw) > LARGE_BYTES else self._seal(raw)

    def _seal(self, raw: bytes) -> tuple[bytes, str]:
        return self._cipher.seal(raw), hashlib.sha256(raw).hexdigest()

    async def claim_received(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim entries to be read."""
        return await self._claimed(lambda now: lanes.claim_received(self._owner, limit, now, lease_s), lease_s)

    async def claim_ready(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim lane heads that are due."""
        return await self._claimed(
            lambda now: lanes.claim_ready(self._cipher, self._owner, limit, now, lease_s), lease_s
        )

    async def _claimed(self, make: Make[Sequence[Claim]], lease_s: float) -> Sequence[Claim]:
        asked = _elapsed()
        claims = await self._write(make)
        self._leases |= {claim.entry.seq: (claim.token, asked + lease_s) for claim in claims}
        return claims

    async def extend(self, claim: Claim, lease_s: float) -> None:
        """Prolong the lease."""
        asked = _elapsed()
        await self._write(lambda now: moves.extend(claim, now + lease_s))
        self._leases[claim.entry.seq] = (claim.token, asked + lease_s)

    async def raw(self, entry_id: str) -> bytes:
        """The raw mail, unsealed."""
        return await self._read(lambda _: rows.raw(self._cipher, entry_id))

    async def context(self, query: ContextQuery) -> Context:
        """Look up what only the spool knows."""
        return await self._read(lambda now: lookups.context(self._cipher, query, now))

    async def decided(
        self, claim: Claim, decision: Decision, *, state: State, lane: str, body_digest: str, not_before: float = 0.0
    ) -> None:
        """``received`` to what was decided."""
        await self._change(
            lambda now: moves.decided(
                *(self._cipher, claim, decision),
                state=state,
                lane=lane,
                body_digest=body_digest,
                now=now,
                not_before=not_before,
            )
        )
        self._leases.pop(claim.entry.seq, None)

    async def unreadable(self, claim: Claim, defect: str) -> None:
        """``received`` to ``held``."""
        await self._change(lambda now: moves.unreadable(claim, defect, now))
        self._leases.pop(claim.entry.seq, None)

    async def defer(self, claim: Claim, until: float, *, counted: bool) -> None:
        """Give a claim back unchanged, not to be claimed before ``until``."""
        await self._change(lambda now: moves.defer(claim, until, counted=counted, now=now))
        self._leases.pop(claim.entry.seq, None)

    async def intend(self, claim: Claim, kind: Kind, fingerprint: str) -> Attempt:
        """Commit the intent of one request.

        A process that stood still after the commit may have been taken over since: its own clock tells, at last.
        """
        attempt = await self._write(lambda now: moves.intend(claim, kind, fingerprint, now))
        token, until = self._leases.get(claim.entry.seq, (claim.token, math.inf))
        if token != claim.token or _elapsed() > until:
            raise StaleToken(f"{claim.entry.id}: its lease ended while this process stood still")
        return attempt

    async def finish(self, claim: Claim, number: int, result: AttemptResult) -> None:
        """Close an attempt without moving the entry."""
        await self._write(lambda now: moves.finish(claim, number, result, now))

    async def settle(self, claim: Claim, settlement: Settlement) -> None:
        """Move a claimed entry and give the claim back."""
        await self._change(lambda now: moves.settle(claim, settlement, now))
        self._leases.pop(claim.entry.seq, None)

    async def recover(self) -> int:
        """Give back what a process that died had claimed."""
        return await self._change(lambda now: lanes.recover(self._recovers, now))

    async def ticket_of(self, number: str) -> str | None:
        """The public id that a ticket number was resolved to."""
        return await self._read(lambda _: lookups.ticket_of(number))

    async def remember_number(self, number: str, ticket: str) -> None:
        """Keep what a number was resolved to."""
        await self._write(lambda _: moves.remember("numbers", number, ticket))

    async def remember_texts(self, ticket: str, texts: Sequence[str]) -> None:
        """Keep the newest texts of a ticket's conversation."""
        await self._write(lambda now: moves.remember_texts(self._cipher, ticket, texts, now))

    async def duplicate_of(self, dedupe_key: str, entry_id: str) -> str | None:
        """The entry that was delivered with this key within 30 days, unless it is this one."""
        return await self._read(lambda now: lookups.duplicate_of(dedupe_key, entry_id, now - moves.DEDUPE_S))

    async def confirmed_ids(self, ticket: str) -> frozenset[str]:
        """The message ids on this ticket that the ledger has confirmed as posted by us."""
        return await self._read(lambda _: lookups.confirmed_ids(ticket))

    async def last_reopened(self, ticket: str) -> float | None:
        """When this ticket was last reopened by us."""
        return await self._read(lambda _: lookups.last_reopened(ticket))

    async def list(self, query: Filter) -> Sequence[Entry]:
        """Entries, in the order of acceptance or newest first."""
        return await self._read(lambda now: lookups.listing(query, now))

    async def detail(self, entry_id: str) -> Detail:
        """One entry."""
        return await self._read(lambda _: lookups.detail(self._cipher, entry_id))

    async def counts(self) -> Counts:
        """Counters by state, and the oldest waiting entry."""
        return await self._read(lambda _: lookups.counts())

    async def operate(
        self,
        entry_id: str,
        audit: Audit,
        *,
        allowed: frozenset[State],
        state: State,
        reason: Reason,
        lane: str | None = None,
        override: str | None = None,
        released: bool | None = None,
        remember_sender: bool = False,
    ) -> None:
        """A person's move, audited."""
        move = moves.Move(state, reason, lane, override, released, remember_sender)
        await self._change(lambda now: moves.operate(entry_id, audit, allowed=allowed, move=move, now=now))

    async def note(self, entry_id: str, audit: Audit) -> None:
        """Add to the audit."""
        await self._write(lambda _: moves.note(entry_id, audit))

    async def erase(self, *, ended_before: float, held_before: float) -> int:
        """Erase bodies past their retention, in small steps; how many were erased."""
        erased = 0
        while step := await self._write(
            lambda now: moves.erase(self._cipher, ended_before=ended_before, held_before=held_before, now=now)
        ):
            erased += step
        return erased

    async def pause_all(self, seconds: float) -> None:
        """Add paused time to every waiting entry."""
        await self._write(lambda _: moves.pause_all(seconds))

    async def get_meta(self, key: str) -> str | None:
        """A small value shared by all bridges on this spool."""
        return await self._read(lambda _: lookups.meta(key))

    async def put_meta(self, key: str, value: str) -> None:
        """Store such a value."""
        await self._write(lambda _: moves.remember("meta", key, value))


def _elapsed() -> float:
    """Seconds that pass while the machine sleeps, too: leases end meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
