"""The spool's interface: where every mail is from ``250`` until it is settled (design §2 and §5).

Every method that changes something returns only after the change is durable (committed, and synced to disk), is
all or nothing, and raises a ``SpoolError`` when nothing was changed. Methods that take a ``Claim`` raise
``StaleToken`` when another worker has taken the entry over since. Times are seconds since the epoch.

States and who moves an entry (the whole table stands in docs/delivery.md)::

    accept ─▶ received ─decided─▶ ready ─intend(post|create)─▶ sending ─settle─▶ delivered
                 │                  ▲ ▲                            │
                 │                  │ └──── settle(ready) ◀────────┤
                 └─▶ held, recorded,│discarded                     └─▶ unknown, held, expired

A lane is one ticket's public id; at most one of its entries is its *head*, and only the head is claimed. Heads go in
the order of acceptance: an entry is not claimed while an earlier one that is still ``received`` might belong before
it (that one has no hint, or the same hint as this lane).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bridge.model import Context, Decision, Envelope
from bridge.reasons import Reason


class State(StrEnum):
    """Where an entry stands (design §2)."""

    RECEIVED = "received"
    READY = "ready"
    SENDING = "sending"
    UNKNOWN = "unknown"
    HELD = "held"
    DELIVERED = "delivered"
    RECORDED = "recorded"
    DISCARDED = "discarded"
    EXPIRED = "expired"


ENDED = frozenset({State.DELIVERED, State.RECORDED, State.DISCARDED, State.EXPIRED})
"""States in which nobody waits for anything; their bodies are erased after the retention."""


class Kind(StrEnum):
    """What an attempt does at the API."""

    POST = "post"
    CREATE = "create"
    REOPEN = "reopen"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class NewMail:
    """One mail to be accepted for all its recipients, together or not at all."""

    raw: bytes
    """The bytes as received, with our ``Received:`` field on top."""
    envelopes: tuple[Envelope, ...]
    hints: tuple[str, ...]
    """Per envelope the lane that is already certain from its address (a full ``tkt_…`` id), or empty."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient's copy of one mail, as the spool knows it."""

    id: str
    """26 characters of the ULID alphabet, lower case, in the order of acceptance."""
    seq: int
    """The order of acceptance."""
    state: State
    reason: Reason
    lane: str
    """The ticket's public id, ``new:<digest>`` for a ticket to be created, or empty before it is known."""
    envelope: Envelope
    sender: str
    """The From address once read, else the reverse-path."""
    message_id: str
    size: int
    digest: str
    attempts: int
    """Attempts that count towards the backoff."""
    accepted_at: float
    updated_at: float
    next_at: float
    """Not to be claimed before."""
    erased: bool = False
    """The body is gone (retention)."""
    override: str = ""
    """A ticket that an operator redirected this entry to; beats every reference."""
    released: bool = False
    """An operator released it: authorisation and back-stops no longer hold it."""
    paused_s: float = 0.0
    """Seconds that delivery was paused while it waited; they do not count towards expiry."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to the API that changes something there, with its intent committed before it was sent."""

    number: int
    kind: Kind
    intent_at: float
    fingerprint: str
    """SHA-256 of what was to be sent, hex; for an upload, of the attachment's bytes."""
    token: int
    settled_at: float | None = None
    outcome: str = ""
    """The outcome's stable name (``delivered``, ``not_sent``, ``unknown``, ``refused``, …); empty while open."""
    status: int = 0
    code: str = ""
    detail: str = ""
    request_id: str = ""
    message_id: str = ""
    """The API's id of what it made: ``tmsg_…``, ``tkt_…`` or ``satt_…``."""
    ticket: str = ""
    """The lane that the entry was in: what was done for another ticket does not count after a redirect."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt ended; the members of ``Attempt`` that are known then."""

    outcome: str
    status: int = 0
    code: str = ""
    detail: str = ""
    request_id: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on an entry until the lease ends; ``token`` fences off those who held it before."""

    entry: Entry
    token: int
    lease_until: float
    decision: Decision | None = None
    """What was decided, for an entry past ``received``."""
    attempts: tuple[Attempt, ...] = ()
    """All attempts so far, oldest first; the last one may be open (its outcome is then unknown)."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The move of a claimed entry to its next state. Closes the open attempt with ``result`` when there is one."""

    state: State
    reason: Reason
    attempt: int | None = None
    result: AttemptResult | None = None
    next_at: float = 0.0
    counted: bool = True
    """Whether ``attempts`` grows by one."""
    lane: str | None = None
    """A new lane (a number that was resolved late, a ticket that was created)."""
    dedupe_key: str = ""
    """With ``delivered``, or a new lane: remembered for 30 days."""
    remember_sender: bool = False
    """With ``delivered``: the sender is known on this ticket from now on."""


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """What ``decide`` needs to know from the spool about a mail that was just read."""

    message_ids: tuple[str, ...]
    """In-Reply-To and References, without brackets."""
    sender: str
    tickets: tuple[str, ...]
    """Tickets (ids or numbers) that the mail names."""
    body_digest: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to list; every member that is set must hold."""

    states: tuple[State, ...] = ()
    ticket: str = ""
    sender: str = ""
    reason: str = ""
    ids: tuple[str, ...] = ()
    older_than_s: float | None = None
    limit: int = 1000
    after_seq: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """One line of the audit: who did what, and why."""

    at: float
    actor: str
    action: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything about one entry but its raw bytes."""

    entry: Entry
    decision: Decision | None
    attempts: tuple[Attempt, ...]
    audit: tuple[Audit, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """How full the spool is."""

    bytes_used: int
    bytes_free: int
    high_water: int
    accepting: bool
    """False past the high-water mark or when the disk is short: MAIL is answered 452."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters that cost nothing to read."""

    by_state: Mapping[State, int]
    held_by_reason: Mapping[str, int] = field(default_factory=dict)
    oldest_waiting: float | None = None
    """Acceptance time of the oldest entry that is received, ready, sending or unknown."""


class Spool(Protocol):
    """One spool; every store behaves alike (the conformance suite in tests/spool says how)."""

    async def close(self) -> None:
        """Finish what is under way, release the lock."""

    def usage(self) -> Usage:
        """The newest known usage; kept fresh in the background, never blocks."""

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        """Store a mail durably, one entry per envelope; the entries' ids in the envelopes' order."""

    async def wait(self, timeout_s: float) -> None:
        """Return when there may be new work, or after ``timeout_s``."""

    async def claim_received(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim entries to be read, oldest first, due ones only."""

    async def claim_ready(self, limit: int, lease_s: float) -> Sequence[Claim]:
        """Claim lane heads that are due: ``ready``, ``unknown``, or ``sending`` with an expired lease (which become
        ``unknown`` when their last attempt is open, else ``ready``)."""

    async def extend(self, claim: Claim, lease_s: float) -> None:
        """Prolong the lease."""

    async def raw(self, entry_id: str) -> bytes:
        """The raw mail, unsealed. ``UnknownEntry`` when it is not there or was erased."""

    async def context(self, query: ContextQuery) -> Context:
        """Look up what only the spool knows."""

    async def decided(
        self, claim: Claim, decision: Decision, *, state: State, lane: str, body_digest: str, not_before: float = 0.0
    ) -> None:
        """``received`` → ``state`` (ready, held, recorded, discarded) with its decision."""

    async def unreadable(self, claim: Claim, defect: str) -> None:
        """``received`` → ``held`` with reason ``unreadable``; there is no decision."""

    async def defer(self, claim: Claim, until: float, *, counted: bool) -> None:
        """Give a claim back unchanged, not to be claimed before ``until``."""

    async def intend(self, claim: Claim, kind: Kind, fingerprint: str) -> Attempt:
        """Commit the intent of one request. ``post`` and ``create`` move the entry to ``sending``."""

    async def finish(self, claim: Claim, number: int, result: AttemptResult) -> None:
        """Close an attempt without moving the entry (uploads, reopens)."""

    async def settle(self, claim: Claim, settlement: Settlement) -> None:
        """Move a claimed entry and give the claim back."""

    async def recover(self) -> int:
        """At start: take over what a process that died had claimed; the number of entries concerned."""

    async def ticket_of(self, number: str) -> str | None:
        """The public id that a ticket number was resolved to, if ever."""

    async def remember_number(self, number: str, ticket: str) -> None:
        """Keep what a number was resolved to."""

    async def remember_texts(self, ticket: str, texts: Sequence[str]) -> None:
        """Keep the newest texts of a ticket's conversation (at most 5 of 64 KB), for reading later answers."""

    async def duplicate_of(self, dedupe_key: str, entry_id: str) -> str | None:
        """The entry that was delivered with this key within 30 days, unless it is this one."""

    async def confirmed_ids(self, ticket: str) -> frozenset[str]:
        """The ``tmsg_`` ids on this ticket that the ledger has confirmed as posted by us."""

    async def last_reopened(self, ticket: str) -> float | None:
        """When this ticket was last reopened by us: the newest intent to that went well, or is still open."""

    async def list(self, query: Filter) -> Sequence[Entry]:
        """Entries, in the order of acceptance (or newest first)."""

    async def detail(self, entry_id: str) -> Detail:
        """One entry; an unambiguous prefix of its id (8 characters or more) will do. ``UnknownEntry`` otherwise."""

    async def counts(self) -> Counts:
        """Counters by state, and the oldest waiting entry."""

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
        """A person's move, audited. ``WrongState`` when the entry is in none of ``allowed`` or is claimed now.

        ``received`` reads it anew; ``ready`` needs a lane. Attempts that count start again at 0.
        """

    async def note(self, entry_id: str, audit: Audit) -> None:
        """Add to the audit without moving the entry (a text was revealed, a case was kept)."""

    async def erase(self, *, ended_before: float, held_before: float) -> int:
        """Erase bodies of entries that ended, and expire held ones, before these times; how many were erased."""

    async def pause_all(self, seconds: float) -> None:
        """Add paused time to every waiting entry: it does not count towards expiry."""

    async def get_meta(self, key: str) -> str | None:
        """A small value shared by all bridges on this spool (pause, circuit, rate limit)."""

    async def put_meta(self, key: str, value: str) -> None:
        """Store such a value."""
