"""The spool on SQLite: one file, one process that serves, command-line tools beside it.

Promises: what a method changed is on disk when it returns (WAL, ``synchronous=FULL``; the directory is synced when the
file is made). One writer thread commits in groups; readers have connections of their own and never wait for it.
Fails closed: after an I/O error everything raises ``SpoolBroken`` and ``on_fatal`` is called.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bridge.errors import SpoolFull
from bridge.model import Context, Decision
from bridge.reasons import Reason
from bridge.spool import codec, lanes, lookups, moves, rows
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
from bridge.spool.checkpoint import Checkpointer
from bridge.spool.cipher import Cipher
from bridge.spool.files import LOG_BYTES, Database
from bridge.spool.writer import Writer

TEXTS_KEPT, TEXT_BYTES = 5, 65_536
LARGE_BYTES = 262_144
"""Mails from this size on are sealed and digested in a thread."""
POLL_S = 1.0
"""How often a waiting worker looks for work that another process made or that has become due."""
T = TypeVar("T")


class SqliteSpool:
    """``bridge.spool.api.Spool`` on one SQLite file. Made by ``bridge.spool.open_spool``."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        cipher: Cipher,
        clock: Callable[[], float],
        on_fatal: Callable[[], None],
    ) -> None:
        """``database`` is open already; the writer starts here."""
        self._database = database
        self._owner = owner
        self._cipher = cipher
        self._clock = clock
        self._ids = codec.Ids(database.newest_id)
        self._version = 0
        self._seen: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._waiters: set[asyncio.Future[None]] = set()
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
        if len(mail.raw) > LARGE_BYTES:
            sealed, digest = await asyncio.to_thread(self._prepared, mail.raw)
        else:
            sealed, digest = self._prepared(mail.raw)
        now = self._clock()
        return await self._change(lambda db: moves.accept(db, self._ids, mail, sealed, digest, now))

    def _prepared(self, raw: bytes) -> tuple[bytes, str]:
        return self._cipher.seal(raw), hashlib.sha256(raw).hexdigest()

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

    async def claim_received(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim entries to be read."""
        now = self._clock()
        return await self._writer.run(lambda db: lanes.claim_received(db, self._owner, limit, now, lease_s))

    async def claim_ready(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim lane heads that are due."""
        now = self._clock()
        return await self._writer.run(lambda db: lanes.claim_ready(db, self._cipher, self._owner, limit, now, lease_s))

    async def extend(self, claim: Claim, lease_s: float) -> None:
        """Prolong the lease."""
        until = self._clock() + lease_s
        await self._writer.run(lambda db: moves.extend(db, claim, until))

    async def raw(self, entry_id: str) -> bytes:
        """The raw mail, unsealed."""
        return await self._read(lambda db: rows.raw(db, self._cipher, entry_id))

    async def context(self, query: ContextQuery) -> Context:
        """Look up what only the spool knows."""
        now = self._clock()
        return await self._read(lambda db: lookups.context(db, self._cipher, query, now))

    async def decided(
        self, claim: Claim, decision: Decision, *, state: State, lane: str, body_digest: str, not_before: float = 0.0
    ) -> None:
        """``received`` → ``state`` with its decision."""
        now = self._clock()
        await self._change(
            lambda db: moves.decided(
                db,
                self._cipher,
                claim,
                decision,
                state=state,
                lane=lane,
                body_digest=body_digest,
                now=now,
                not_before=not_before,
            )
        )

    async def unreadable(self, claim: Claim, defect: str) -> None:
        """``received`` → ``held``."""
        now = self._clock()
        await self._change(lambda db: moves.unreadable(db, claim, defect, now))

    async def defer(self, claim: Claim, until: float, *, counted: bool) -> None:
        """Give a claim back unchanged."""
        now = self._clock()
        await self._change(lambda db: moves.defer(db, claim, until, counted=counted, now=now))

    async def intend(self, claim: Claim, kind: Kind, fingerprint: str) -> Attempt:
        """Commit the intent of one request."""
        now = self._clock()
        return await self._writer.run(lambda db: moves.intend(db, claim, kind, fingerprint, now))

    async def finish(self, claim: Claim, number: int, result: AttemptResult) -> None:
        """Close an attempt without moving the entry."""
        now = self._clock()
        await self._writer.run(lambda db: moves.finish(db, claim, number, result, now))

    async def settle(self, claim: Claim, settlement: Settlement) -> None:
        """Move a claimed entry and give the claim back."""
        now = self._clock()
        await self._change(lambda db: moves.settle(db, claim, settlement, now))

    async def recover(self) -> int:
        """Give back what a process that died had claimed; the lock proves that no other one serves."""
        owner = None if self._database.exclusive else self._owner
        now = self._clock()
        return await self._change(lambda db: lanes.recover(db, owner, now))

    async def ticket_of(self, number: str) -> str | None:
        """The public id that a ticket number was resolved to."""
        return await self._text("SELECT ticket FROM numbers WHERE number = ?", number)

    async def remember_number(self, number: str, ticket: str) -> None:
        """Keep what a number was resolved to."""
        await self._execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", number, ticket)

    async def remember_texts(self, ticket: str, texts: Sequence[str]) -> None:
        """Keep the newest texts of a ticket's conversation."""
        now = self._clock()
        kept = [text.encode("utf-8", "replace")[:TEXT_BYTES] for text in texts[:TEXTS_KEPT]]
        sealed = [
            (ticket, position, self._cipher.seal(text.decode("utf-8", "ignore").encode()), now)
            for position, text in enumerate(kept)
        ]

        def work(db: Any) -> None:
            db.execute("DELETE FROM texts WHERE ticket = ?", (ticket,))
            db.executemany("INSERT INTO texts VALUES (?, ?, ?, ?)", sealed)

        await self._writer.run(work)

    async def duplicate_of(self, dedupe_key: str, entry_id: str) -> str | None:
        """The entry that was delivered with this key within 30 days, unless it is this one."""
        since = self._clock() - moves.DEDUPE_S
        sql = "SELECT entry FROM dedupe WHERE key = ? AND entry <> ? AND at >= ?"
        return await self._text(sql, dedupe_key, entry_id, since)

    async def confirmed_ids(self, ticket: str) -> frozenset[str]:
        """The message ids on this ticket that the ledger has confirmed as posted by us."""
        sql = "SELECT message_id FROM attempts WHERE ticket = ? AND message_id LIKE 'tmsg%'"
        return await self._read(lambda db: frozenset(row[0] for row in db.execute(sql, (ticket,))))

    async def last_reopened(self, ticket: str) -> float | None:
        """When this ticket was last reopened by us."""
        sql = (
            "SELECT max(intent_at) FROM attempts WHERE ticket = ? AND kind = 'reopen' AND outcome IN ('', 'delivered')"
        )
        found = await self._read(lambda db: lookups.value(db, sql, ticket))
        return found if isinstance(found, float) else None

    async def list(self, query: Filter) -> Sequence[Entry]:
        """Entries, in the order of acceptance or newest first."""
        now = self._clock()
        return await self._read(lambda db: lookups.listing(db, query, now))

    async def detail(self, entry_id: str) -> Detail:
        """One entry."""
        return await self._read(lambda db: lookups.detail(db, self._cipher, entry_id))

    async def counts(self) -> Counts:
        """Counters by state, and the oldest waiting entry."""
        return await self._read(lookups.counts)

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
        now = self._clock()
        move = moves.Move(state, reason, lane, override, released, remember_sender)
        await self._change(lambda db: moves.operate(db, entry_id, audit, allowed=allowed, move=move, now=now))

    async def note(self, entry_id: str, audit: Audit) -> None:
        """Add to the audit."""
        await self._writer.run(lambda db: moves.write_audit(db, rows.find(db, entry_id)["seq"], audit))

    async def erase(self, *, ended_before: float, held_before: float) -> int:
        """Erase bodies past their retention, in small steps; how many were erased."""
        erased = 0
        while True:
            now = self._clock()
            step = await self._writer.run(
                lambda db, now=now: moves.erase(  # type: ignore[misc]  # mypy infers no type for a default
                    db, self._cipher, ended_before=ended_before, held_before=held_before, now=now
                )
            )
            erased += step
            if not step:
                break
        if erased:
            self._checkpointer.erased()
        return erased

    async def pause_all(self, seconds: float) -> None:
        """Add paused time to every waiting entry."""
        sql = "UPDATE entries SET paused_s = paused_s + ? WHERE state IN ('received', 'ready', 'sending', 'unknown')"
        await self._execute(sql, seconds)

    async def get_meta(self, key: str) -> str | None:
        """A small value shared by all bridges on this spool."""
        return await self._text("SELECT value FROM meta WHERE key = ?", key)

    async def put_meta(self, key: str, value: str) -> None:
        """Store such a value."""
        await self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    async def _execute(self, sql: str, *parameters: object) -> None:
        await self._writer.run(lambda db: db.execute(sql, parameters).close())

    async def _read(self, work: Callable[[Any], T]) -> T:
        return await self._database.read(work)

    async def _text(self, sql: str, *parameters: object) -> str | None:
        found = await self._read(lambda db: lookups.value(db, sql, *parameters))
        return found if isinstance(found, str) else None

    async def _change(self, work: Callable[[Any], T]) -> T:
        """A change that may make work for somebody."""
        try:
            return await self._writer.run(work)
        finally:
            self._version += 1
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
