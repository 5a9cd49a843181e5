"""Every move of an entry, and what is remembered with it. Steps inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.errors import WrongState
from bridge.model import Decision
from bridge.reasons import Reason
from bridge.spool import codec, lanes, rows
from bridge.spool.api import (
    ENDED,
    Attempt,
    AttemptResult,
    Audit,
    Claim,
    Kind,
    NewMail,
    Settlement,
    State,
)
from bridge.spool.cipher import Cipher, Pieces
from bridge.spool.steps import Row, Steps, alone, ask, value

THREAD_S = 400 * 86_400.0
"""How long a Message-ID is known to belong to a ticket."""
DEDUPE_S = 30 * 86_400.0
TEXTS_KEPT, TEXT_BYTES = 5, 65_536
_ERASING = "erase"
"""One process erases at a time; no ticket is called so."""
STEP = 200
"""Entries erased, or expired, in one go."""


def accept(ids: codec.Ids, mail: NewMail, sealed: bytes | Pieces, digest: str, now: float) -> Steps[tuple[str, ...]]:
    """Store a mail once, and an entry for each envelope."""
    stored = yield from value(
        "INSERT INTO mails (raw, size, digest) VALUES (?, ?, ?) RETURNING id", sealed, len(mail.raw), digest
    )
    made = []
    for envelope, hint in zip(mail.envelopes, mail.hints, strict=True):
        entry_id = ids.new(now)
        yield from ask(
            "INSERT INTO entries (id, mail, state, reason, hint, envelope, sender, accepted_at, updated_at, next_at) "
            "VALUES (?, ?, 'received', 'waiting', ?, ?, ?, ?, ?, ?)",
            *(entry_id, stored, hint, codec.dump_envelope(envelope), codec.clean(envelope.mail_from.lower())),
            *(now, now, now),
        )
        made.append(entry_id)
    return tuple(made)


def decided(
    cipher: Cipher,
    claim: Claim,
    decision: Decision,
    *,
    state: State,
    lane: str,
    body_digest: str,
    now: float,
    not_before: float,
) -> Steps[None]:
    """``received`` to what was decided."""
    yield from alone(lane)
    yield from lanes.held_by(claim, State.RECEIVED)
    if state is State.READY and not lane:
        raise WrongState(f"{claim.entry.id} cannot be ready without a lane")
    reason = Reason.WAITING if state is State.READY else decision.verdict.reason
    sender = decision.sender.address.lower() if decision.sender else claim.entry.sender
    yield from ask(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, decision = ?, body_digest = ?, sender = ?, "
        f"message_id = ?, attempts = 0, updated_at = ?, next_at = ?, {lanes.FREE} WHERE seq = ?",
        *(state, reason, lane, cipher.seal(codec.dump_decision(decision)), body_digest, codec.clean(sender)),
        *(codec.clean(decision.message_id), now, max(not_before, min(claim.entry.accepted_at, now)), claim.entry.seq),
    )
    yield from lanes.elect(lane, now)


def unreadable(claim: Claim, defect: str, now: float) -> Steps[None]:
    """``received`` to ``held``, with the defect in the audit."""
    yield from lanes.held_by(claim, State.RECEIVED)
    yield from ask(
        f"UPDATE entries SET state = 'held', reason = 'unreadable', updated_at = ?, {lanes.FREE} WHERE seq = ?",
        *(now, claim.entry.seq),
    )
    yield from write_audit(claim.entry.seq, Audit(now, "bridge", "unreadable", defect))


def defer(claim: Claim, until: float, *, counted: bool, now: float) -> Steps[None]:
    """Give a claim back unchanged."""
    yield from alone(claim.entry.lane)
    row = yield from lanes.held_by(claim)
    yield from ask(
        f"UPDATE entries SET next_at = ?, attempts = attempts + ?, {lanes.FREE} WHERE seq = ?",
        *(until, int(counted), claim.entry.seq),
    )
    yield from lanes.elect(row["lane"], now)


def extend(claim: Claim, until: float) -> Steps[None]:
    """Prolong a lease."""
    yield from lanes.held_by(claim)
    yield from ask("UPDATE entries SET lease_until = ? WHERE seq = ?", until, claim.entry.seq)


def intend(claim: Claim, kind: Kind, fingerprint: str, now: float) -> Steps[Attempt]:
    """Write the intent of one request."""
    row = yield from lanes.held_by(claim, State.READY, State.SENDING, State.UNKNOWN)
    seq = claim.entry.seq
    number = yield from value("SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE entry = ?", seq)
    yield from ask(
        "INSERT INTO attempts (entry, number, kind, ticket, intent_at, fingerprint, token) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(seq, number, kind, row["lane"], now, fingerprint, claim.token),
    )
    if kind in (Kind.POST, Kind.CREATE):
        yield from ask(
            "UPDATE entries SET state = 'sending', reason = 'waiting', updated_at = ? WHERE seq = ?", now, seq
        )
    return Attempt(number, kind, now, fingerprint, claim.token, ticket=row["lane"])


def finish(claim: Claim, number: int, result: AttemptResult, now: float) -> Steps[None]:
    """Close an attempt."""
    yield from lanes.held_by(claim)
    yield from _close(claim.entry.seq, number, result, now)


def _close(seq: int, number: int, result: AttemptResult, now: float) -> Steps[None]:
    yield from ask(
        "UPDATE attempts SET settled_at = ?, outcome = ?, status = ?, code = ?, detail = ?, request_id = ?, "
        "message_id = ? WHERE entry = ? AND number = ?",
        *(now, result.outcome, result.status, codec.clean(result.code), codec.clean(result.detail)),
        *(codec.clean(result.request_id), codec.clean(result.message_id), seq, number),
    )


def settle(claim: Claim, settlement: Settlement, now: float) -> Steps[None]:
    """Move a claimed entry, and remember what a delivery teaches."""
    yield from alone(claim.entry.lane, settlement.lane or "")
    old = yield from lanes.held_by(claim)
    seq = claim.entry.seq
    if settlement.attempt is not None and settlement.result is not None:
        yield from _close(seq, settlement.attempt, settlement.result, now)
    lane = old["lane"] if settlement.lane is None else settlement.lane
    waiting = settlement.state in (State.READY, State.SENDING, State.UNKNOWN)
    moved = lane != old["lane"]
    yield from ask(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, next_at = ?, attempts = attempts + ?, updated_at = ?, "
        f"head = CASE WHEN ? THEN head ELSE 0 END, {lanes.FREE} WHERE seq = ?",
        *(settlement.state, settlement.reason, lane, settlement.next_at, int(settlement.counted), now),
        *(waiting and not moved, seq),
    )
    if moved:
        yield from ask("UPDATE attempts SET ticket = ? WHERE entry = ?", lane, seq)
    if settlement.state is State.DELIVERED or moved:
        yield from _learn(claim.entry.id, lane, old, settlement, now)
    yield from lanes.elect(old["lane"], now)
    if moved:
        yield from lanes.elect(lane, now)


def _learn(entry_id: str, ticket: str, row: Row, settlement: Settlement, now: float) -> Steps[None]:
    if row["message_id"]:
        yield from ask(
            "INSERT INTO threads (message_id, ticket, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            *(row["message_id"], ticket, now),
        )
    if settlement.remember_sender and row["sender"]:
        yield from _know(ticket, row["sender"], now)
    if settlement.dedupe_key:
        yield from ask(
            "INSERT INTO dedupe (key, entry, at) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET entry = excluded.entry, at = excluded.at",
            *(settlement.dedupe_key, entry_id, now),
        )


def _know(ticket: str, sender: str, now: float) -> Steps[None]:
    """The sender is known on this ticket from now on."""
    yield from ask(
        "INSERT INTO senders (ticket, sender, at) VALUES (?, ?, ?) "
        "ON CONFLICT (ticket, sender) DO UPDATE SET at = excluded.at",
        *(ticket, sender, now),
    )


def remember(table: Literal["numbers", "meta"], key: str, text: str) -> Steps[None]:
    """Keep what a number was resolved to, or a small value."""
    names = {"numbers": ("number", "ticket"), "meta": ("key", "value")}[table]
    yield from ask(
        f"INSERT INTO {table} ({names[0]}, {names[1]}) VALUES (?, ?) "
        f"ON CONFLICT ({names[0]}) DO UPDATE SET {names[1]} = excluded.{names[1]}",
        *(key, text),
    )


def remember_texts(cipher: Cipher, ticket: str, texts: Sequence[str], now: float) -> Steps[None]:
    """Keep the newest texts of a ticket's conversation, bounded."""
    yield from alone(ticket)
    yield from ask("DELETE FROM texts WHERE ticket = ?", ticket)
    for position, text in enumerate(texts[:TEXTS_KEPT]):
        kept = text.encode("utf-8", "replace")[:TEXT_BYTES].decode("utf-8", "ignore").encode()
        yield from ask(
            "INSERT INTO texts (ticket, position, text, at) VALUES (?, ?, ?, ?)",
            *(ticket, position, cipher.seal(kept), now),
        )


def pause_all(seconds: float) -> Steps[None]:
    """Add paused time to every waiting entry."""
    yield from ask(
        "UPDATE entries SET paused_s = paused_s + ? WHERE state IN ('received', 'ready', 'sending', 'unknown')", seconds
    )


def note(entry_id: str, audit: Audit) -> Steps[None]:
    """Add to the audit of an entry."""
    row = yield from rows.find(entry_id)
    yield from write_audit(row["seq"], audit)


def write_audit(seq: int, audit: Audit) -> Steps[None]:
    """One line of the audit."""
    yield from ask(
        "INSERT INTO audit (entry, at, actor, action, note) VALUES (?, ?, ?, ?, ?)",
        *(seq, audit.at, *(codec.clean(text) for text in (audit.actor, audit.action, audit.note))),
    )


@dataclass(frozen=True, slots=True)
class Move:
    """Where a person puts an entry; the members are those of ``Spool.operate``."""

    state: State
    reason: Reason
    lane: str | None
    override: str | None
    released: bool | None
    remember_sender: bool


def operate(entry_id: str, audit: Audit, *, allowed: frozenset[State], move: Move, now: float) -> Steps[None]:
    """A person's move."""
    seen = yield from rows.find(entry_id)
    yield from alone(seen["lane"], move.lane or "")
    row = yield from rows.find(seen["id"], lock="wait")
    new_lane = row["lane"] if move.lane is None else move.lane
    _allow(row, move, new_lane, allowed, now)
    if row["lane"] != seen["lane"]:
        raise WrongState(f"{row['id']} is being worked on right now: try again in a moment")
    override = row["override"] if move.override is None else move.override
    released = row["released"] if move.released is None else int(move.released)
    yield from ask(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, override = ?, released = ?, attempts = 0, head = 0, "
        f"paused_s = ? - accepted_at, hint = ?, updated_at = ?, next_at = ?, token = token + 1, {lanes.FREE} "
        "WHERE seq = ?",
        # Its age counts from here on: it is tried as long as one that was just accepted.
        *(move.state, move.reason, new_lane, override, released, now),
        # A redirected mail that is read anew keeps back its new lane only, not every lane.
        *(override if override.startswith("tkt_") else "", now, now, row["seq"]),
    )
    if move.remember_sender and new_lane and row["sender"]:
        yield from _know(new_lane, row["sender"], now)
    yield from write_audit(row["seq"], audit)
    yield from lanes.elect(row["lane"], now)
    if new_lane != row["lane"]:
        yield from lanes.elect(new_lane, now)


def _allow(row: Row, move: Move, lane: str, allowed: frozenset[State], now: float) -> None:
    """Raises ``WrongState`` when a person's move makes no sense, or the entry is in a worker's hands."""
    present, state = State(row["state"]), move.state
    if present not in allowed:
        raise WrongState(f"{row['id']} is {present}; this needs {' or '.join(sorted(allowed))}")
    if row["lease_until"] > now and row["owner"]:
        raise WrongState(f"{row['id']} is being worked on right now: try again in a moment")
    if state is State.READY and not lane:
        raise WrongState(f"{row['id']} has no ticket: redirect it to one")
    if state in (State.READY, State.RECEIVED) and row["erased"]:
        raise WrongState(f"{row['id']}: its body was erased, there is nothing left to send")
    if state is State.READY and row["decision"] is None:
        raise WrongState(f"{row['id']} was never read: retry it instead")


def erase(cipher: Cipher, *, ended_before: float, held_before: float, now: float) -> Steps[int]:
    """Erase what is past its retention: a few at a time, so that nothing waits for it."""
    yield from alone(_ERASING)
    late = yield from ask(
        "SELECT e.seq FROM entries e WHERE e.state = 'held' AND e.erased = 0 AND e.updated_at < ? LIMIT ?",
        *(held_before, STEP),
        lock="skip",
    )
    for row in late:
        yield from ask(
            "UPDATE entries SET state = 'expired', reason = 'retention', updated_at = ? WHERE seq = ?", now, row["seq"]
        )
        yield from write_audit(row["seq"], Audit(now, "bridge", "expired", "held for longer than held mail is kept"))
    states = ", ".join(f"'{state}'" for state in sorted(ENDED))
    ended = [
        *(
            yield from ask(
                f"SELECT e.seq, e.mail, e.decision FROM entries e WHERE e.state IN ({states}) AND e.erased = 0 "
                "AND e.updated_at < ? LIMIT ?",
                *(ended_before, STEP),
                lock="skip",
            )
        ),
        *(
            yield from ask(
                "SELECT e.seq, e.mail, e.decision FROM entries e WHERE e.state = 'expired' AND e.erased = 0 "
                "AND e.updated_at >= ? AND e.reason = 'retention' LIMIT ?",
                *(ended_before, STEP),
                lock="skip",
            )
        ),
    ]
    for row in ended:
        lean = cipher.seal(codec.without_words(cipher.unseal(row["decision"]))) if row["decision"] else None
        yield from ask("UPDATE entries SET erased = 1, decision = ? WHERE seq = ?", lean, row["seq"])
        yield from ask(
            "UPDATE mails SET raw = NULL WHERE id = ? AND NOT EXISTS "
            "(SELECT 1 FROM entries WHERE mail = mails.id AND erased = 0)",
            row["mail"],
        )
    for table, before in (("texts", ended_before), ("dedupe", now - DEDUPE_S), ("threads", now - THREAD_S)):
        yield from ask(f"DELETE FROM {table} WHERE at < ?", before)
    return len(ended)
