"""Every move of an entry, and what is remembered with it. Functions on the writing connection, in its transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

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
from bridge.spool.cipher import Cipher

THREAD_S = 400 * 86_400.0
"""How long a Message-ID is known to belong to a ticket."""
DEDUPE_S = 30 * 86_400.0
STEP = 200
"""Entries erased, or expired, in one go."""


def accept(
    db: sqlite3.Connection, ids: codec.Ids, mail: NewMail, sealed: bytes, digest: str, now: float
) -> tuple[str, ...]:
    """Store a mail once, and an entry for each envelope."""
    cursor = db.execute("INSERT INTO mails (raw, size, digest) VALUES (?, ?, ?)", (sealed, len(mail.raw), digest))
    made = []
    for envelope, hint in zip(mail.envelopes, mail.hints, strict=True):
        entry_id = ids.new(now)
        db.execute(
            "INSERT INTO entries (id, mail, state, reason, hint, envelope, sender, accepted_at, updated_at, next_at) "
            "VALUES (?, ?, 'received', 'waiting', ?, ?, ?, ?, ?, ?)",
            (
                entry_id,
                cursor.lastrowid,
                hint,
                codec.dump_envelope(envelope),
                codec.clean(envelope.mail_from.lower()),
                now,
                now,
                now,
            ),
        )
        made.append(entry_id)
    return tuple(made)


def decided(
    db: sqlite3.Connection,
    cipher: Cipher,
    claim: Claim,
    decision: Decision,
    *,
    state: State,
    lane: str,
    body_digest: str,
    now: float,
    not_before: float,
) -> None:
    """``received`` to what was decided."""
    lanes.held_by(db, claim, State.RECEIVED)
    if state is State.READY and not lane:
        raise WrongState(f"{claim.entry.id} cannot be ready without a lane")
    reason = Reason.WAITING if state is State.READY else decision.verdict.reason
    sender = decision.sender.address.lower() if decision.sender else claim.entry.sender
    db.execute(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, decision = ?, body_digest = ?, sender = ?, "
        f"message_id = ?, attempts = 0, updated_at = ?, next_at = ?, {lanes.FREE} WHERE seq = ?",
        (
            *(state, reason, lane, cipher.seal(codec.dump_decision(decision)), body_digest, codec.clean(sender)),
            *(codec.clean(decision.message_id), now, max(not_before, claim.entry.accepted_at), claim.entry.seq),
        ),
    )
    lanes.elect(db, lane, now)


def unreadable(db: sqlite3.Connection, claim: Claim, defect: str, now: float) -> None:
    """``received`` to ``held``, with the defect in the audit."""
    lanes.held_by(db, claim, State.RECEIVED)
    db.execute(
        f"UPDATE entries SET state = 'held', reason = 'unreadable', updated_at = ?, {lanes.FREE} WHERE seq = ?",
        (now, claim.entry.seq),
    )
    write_audit(db, claim.entry.seq, Audit(now, "bridge", "unreadable", defect))


def defer(db: sqlite3.Connection, claim: Claim, until: float, *, counted: bool, now: float) -> None:
    """Give a claim back unchanged."""
    row = lanes.held_by(db, claim)
    db.execute(
        f"UPDATE entries SET next_at = ?, attempts = attempts + ?, {lanes.FREE} WHERE seq = ?",
        (until, int(counted), claim.entry.seq),
    )
    lanes.elect(db, row["lane"], now)


def extend(db: sqlite3.Connection, claim: Claim, until: float) -> None:
    """Prolong a lease."""
    lanes.held_by(db, claim)
    db.execute("UPDATE entries SET lease_until = ? WHERE seq = ?", (until, claim.entry.seq))


def intend(db: sqlite3.Connection, claim: Claim, kind: Kind, fingerprint: str, now: float) -> Attempt:
    """Write the intent of one request."""
    row = lanes.held_by(db, claim, State.READY, State.SENDING, State.UNKNOWN)
    seq = claim.entry.seq
    number = db.execute("SELECT ifnull(max(number), 0) + 1 FROM attempts WHERE entry = ?", (seq,)).fetchone()[0]
    db.execute(
        "INSERT INTO attempts (entry, number, kind, ticket, intent_at, fingerprint, token) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (seq, number, kind, row["lane"], now, fingerprint, claim.token),
    )
    if kind in (Kind.POST, Kind.CREATE):
        db.execute("UPDATE entries SET state = 'sending', reason = 'waiting', updated_at = ? WHERE seq = ?", (now, seq))
    return Attempt(number, kind, now, fingerprint, claim.token, ticket=row["lane"])


def finish(db: sqlite3.Connection, claim: Claim, number: int, result: AttemptResult, now: float) -> None:
    """Close an attempt."""
    lanes.held_by(db, claim)
    _close(db, claim.entry.seq, number, result, now)


def _close(db: sqlite3.Connection, seq: int, number: int, result: AttemptResult, now: float) -> None:
    db.execute(
        "UPDATE attempts SET settled_at = ?, outcome = ?, status = ?, code = ?, detail = ?, request_id = ?, "
        "message_id = ? WHERE entry = ? AND number = ?",
        (
            *(now, result.outcome, result.status, codec.clean(result.code), codec.clean(result.detail)),
            *(codec.clean(result.request_id), codec.clean(result.message_id), seq, number),
        ),
    )


def settle(db: sqlite3.Connection, claim: Claim, settlement: Settlement, now: float) -> None:
    """Move a claimed entry, and remember what a delivery teaches."""
    old = lanes.held_by(db, claim)
    seq = claim.entry.seq
    if settlement.attempt is not None and settlement.result is not None:
        _close(db, seq, settlement.attempt, settlement.result, now)
    lane = old["lane"] if settlement.lane is None else settlement.lane
    waiting = settlement.state in (State.READY, State.SENDING, State.UNKNOWN)
    moved = lane != old["lane"]
    db.execute(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, next_at = ?, attempts = attempts + ?, updated_at = ?, "
        f"head = CASE WHEN ? THEN head ELSE 0 END, {lanes.FREE} WHERE seq = ?",
        (
            *(settlement.state, settlement.reason, lane, settlement.next_at, int(settlement.counted), now),
            *(waiting and not moved, seq),
        ),
    )
    if moved:
        db.execute("UPDATE attempts SET ticket = ? WHERE entry = ?", (lane, seq))
    if settlement.state is State.DELIVERED:
        _learn(db, claim.entry.id, lane, old, settlement, now)
    lanes.elect(db, old["lane"], now)
    if moved:
        lanes.elect(db, lane, now)


def _learn(
    db: sqlite3.Connection, entry_id: str, ticket: str, row: sqlite3.Row, settlement: Settlement, now: float
) -> None:
    if row["message_id"]:
        db.execute("INSERT OR IGNORE INTO threads VALUES (?, ?, ?)", (row["message_id"], ticket, now))
    if settlement.remember_sender and row["sender"]:
        db.execute("INSERT OR REPLACE INTO senders VALUES (?, ?, ?)", (ticket, row["sender"], now))
    if settlement.dedupe_key:
        db.execute("INSERT OR REPLACE INTO dedupe VALUES (?, ?, ?)", (settlement.dedupe_key, entry_id, now))


def write_audit(db: sqlite3.Connection, seq: int, audit: Audit) -> None:
    """One line of the audit."""
    db.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?)",
        (seq, audit.at, *(codec.clean(text) for text in (audit.actor, audit.action, audit.note))),
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


def operate(
    db: sqlite3.Connection,
    entry_id: str,
    audit: Audit,
    *,
    allowed: frozenset[State],
    move: Move,
    now: float,
) -> None:
    """A person's move."""
    state, lane, released = move.state, move.lane, move.released
    row = rows.find(db, entry_id)
    present = State(row["state"])
    if present not in allowed:
        raise WrongState(f"{row['id']} is {present}; this needs {' or '.join(sorted(allowed))}")
    if row["lease_until"] > now and row["owner"]:
        raise WrongState(f"{row['id']} is being worked on right now: try again in a moment")
    new_lane = row["lane"] if lane is None else lane
    override = row["override"] if move.override is None else move.override
    if state is State.READY and not new_lane:
        raise WrongState(f"{row['id']} has no ticket: redirect it to one")
    if state in (State.READY, State.RECEIVED) and row["erased"]:
        raise WrongState(f"{row['id']}: its body was erased, there is nothing left to send")
    if state is State.READY and row["decision"] is None:
        raise WrongState(f"{row['id']} was never read: retry it instead")
    db.execute(
        f"UPDATE entries SET state = ?, reason = ?, lane = ?, override = ?, released = ?, attempts = 0, head = 0, "
        f"hint = ?, updated_at = ?, next_at = ?, token = token + 1, {lanes.FREE} WHERE seq = ?",
        (
            *(state, move.reason, new_lane, override, row["released"] if released is None else int(released)),
            # A redirected mail that is read anew keeps back its new lane only, not every lane.
            *(override if override.startswith("tkt_") else "", now, now, row["seq"]),
        ),
    )
    if move.remember_sender and new_lane and row["sender"]:
        db.execute("INSERT OR REPLACE INTO senders VALUES (?, ?, ?)", (new_lane, row["sender"], now))
    write_audit(db, row["seq"], audit)
    lanes.elect(db, row["lane"], now)
    if new_lane != row["lane"]:
        lanes.elect(db, new_lane, now)


def erase(db: sqlite3.Connection, cipher: Cipher, *, ended_before: float, held_before: float, now: float) -> int:
    """Erase what is past its retention: a few at a time, so that nothing waits for it."""
    late = db.execute(
        "SELECT seq, lane FROM entries WHERE state = 'held' AND erased = 0 AND updated_at < ? LIMIT ?",
        (held_before, STEP),
    ).fetchall()
    for row in late:
        db.execute(
            "UPDATE entries SET state = 'expired', reason = 'retention', updated_at = ? WHERE seq = ?",
            (now, row["seq"]),
        )
        write_audit(db, row["seq"], Audit(now, "bridge", "expired", "held for longer than held mail is kept"))
    states = ", ".join(f"'{state}'" for state in sorted(ENDED))
    ended = db.execute(
        f"SELECT seq, mail, decision FROM entries WHERE state IN ({states}) AND erased = 0 AND updated_at < ? LIMIT ?",
        (ended_before, STEP),
    ).fetchall()
    ended += db.execute(
        "SELECT seq, mail, decision FROM entries WHERE state = 'expired' AND erased = 0 AND updated_at >= ? "
        "AND reason = 'retention' LIMIT ?",
        (ended_before, STEP),
    ).fetchall()
    for row in ended:
        lean = cipher.seal(codec.without_words(cipher.unseal(row["decision"]))) if row["decision"] else None
        db.execute("UPDATE entries SET erased = 1, decision = ? WHERE seq = ?", (lean, row["seq"]))
        db.execute(
            "UPDATE mails SET raw = NULL WHERE id = ? AND NOT EXISTS "
            "(SELECT 1 FROM entries WHERE mail = mails.id AND erased = 0)",
            (row["mail"],),
        )
    db.execute("DELETE FROM texts WHERE at < ?", (ended_before,))
    db.execute("DELETE FROM dedupe WHERE at < ?", (now - DEDUPE_S,))
    db.execute("DELETE FROM threads WHERE at < ?", (now - THREAD_S,))
    return len(ended)
