"""Lanes and claims: who goes next (design §2). Functions on the writing connection, inside its transaction.

At most one entry of a lane is its head; a claim looks at heads only, so that it costs the same at a million rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bridge.errors import SpoolBroken, StaleToken, WrongState
from bridge.reasons import Reason
from bridge.spool import rows
from bridge.spool.api import Attempt, Claim, State
from bridge.spool.cipher import Cipher

FREE = "owner = '', lease_until = 0"
_CLAIM_READY = (
    rows.ENTRY
    + """WHERE e.head = 1 AND e.next_at <= :now AND e.lease_until <= :now
    AND e.seq < ifnull((SELECT min(seq) FROM entries WHERE state = 'received' AND hint = ''), 9223372036854775807)
    AND NOT EXISTS (SELECT 1 FROM entries r WHERE r.state = 'received' AND r.hint = e.lane AND r.seq < e.seq)
    ORDER BY e.next_at, e.seq LIMIT :limit"""
)
_CLAIM_RECEIVED = (
    rows.ENTRY
    + """WHERE e.state = 'received' AND e.next_at <= :now AND e.lease_until <= :now ORDER BY e.seq LIMIT :limit"""
)


def elect(db: sqlite3.Connection, lane: str, now: float) -> None:
    """Make the earliest waiting entry of a lane its head, unless the present one is being worked on."""
    if not lane:
        return
    present = db.execute(
        "SELECT seq, state, lease_until, owner FROM entries WHERE lane = ? AND head = 1", (lane,)
    ).fetchone()
    if present and (present["state"] in ("sending", "unknown") or present["lease_until"] > now):
        return
    first = db.execute(
        "SELECT min(seq) FROM entries WHERE lane = ? AND state IN ('ready', 'sending', 'unknown')", (lane,)
    ).fetchone()[0]
    if present and present["seq"] != first:
        if present["owner"]:
            # Its worker is late: it must not begin to send beside the new head's.
            give_back(db, present["seq"], present["state"])
        db.execute("UPDATE entries SET head = 0 WHERE seq = ?", (present["seq"],))
    if first is not None and (present is None or present["seq"] != first):
        db.execute("UPDATE entries SET head = 1 WHERE seq = ?", (first,))


def claim_received(db: sqlite3.Connection, owner: str, limit: int, now: float, lease_s: float) -> Sequence[Claim]:
    """Claim entries to be read."""
    found = db.execute(_CLAIM_RECEIVED, {"now": now, "limit": limit}).fetchall()
    return [_claim(db, row, owner, now + lease_s) for row in found]


def claim_ready(
    db: sqlite3.Connection, cipher: Cipher, owner: str, limit: int, now: float, lease_s: float
) -> Sequence[Claim]:
    """Claim heads that are due; one that still has an owner, or an open request, was lost by its worker."""
    claims: list[Claim] = []
    for row in db.execute(_CLAIM_READY, {"now": now, "limit": limit}).fetchall():
        if row["owner"] or row["state"] == State.SENDING:
            give_back(db, row["seq"], row["state"])
            elect(db, row["lane"], now)
            row = db.execute(rows.ENTRY + "WHERE e.seq = ? AND e.head = 1", (row["seq"],)).fetchone()  # noqa: PLW2901 - the same entry, as it is now
        if row is not None:
            claims += _claim_or_hold(db, row, owner, cipher, now, lease_s)
    return claims


def _claim_or_hold(
    db: sqlite3.Connection, row: sqlite3.Row, owner: str, cipher: Cipher, now: float, lease_s: float
) -> Sequence[Claim]:
    """One claim; none, and the entry held, when its decision cannot be read: it must not stop the others."""
    try:
        return [_claim(db, row, owner, now + lease_s, cipher)]
    except SpoolBroken as error:
        db.execute(
            f"UPDATE entries SET state = 'held', reason = ?, head = 0, updated_at = ?, {FREE} WHERE seq = ?",
            (Reason.UNREADABLE, now, row["seq"]),
        )
        db.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (row["seq"], now, "bridge", Reason.UNREADABLE, str(error))
        )
        elect(db, row["lane"], now)
        return []


def give_back(db: sqlite3.Connection, seq: int, state: str) -> None:
    """Free an entry whose worker died; while ``sending``, an open intent may have been applied."""
    if state == State.SENDING:
        open_ = db.execute(
            "SELECT 1 FROM attempts WHERE entry = ? AND settled_at IS NULL AND kind IN ('post', 'create')", (seq,)
        ).fetchone()
        new, reason = (State.UNKNOWN, Reason.RETRY) if open_ else (State.READY, Reason.WAITING)
        db.execute("UPDATE entries SET state = ?, reason = ? WHERE seq = ?", (new, reason, seq))
    db.execute(f"UPDATE entries SET token = token + 1, {FREE} WHERE seq = ?", (seq,))


def _claim(
    db: sqlite3.Connection, row: sqlite3.Row, owner: str, lease_until: float, cipher: Cipher | None = None
) -> Claim:
    decision, attempts = None, tuple[Attempt, ...]()
    if cipher is not None:
        decision, attempts = rows.decision(row, cipher), rows.attempts(db, row["seq"])
    token = row["token"] + 1
    db.execute(
        "UPDATE entries SET token = ?, lease_until = ?, owner = ? WHERE seq = ?",
        (token, lease_until, owner, row["seq"]),
    )
    return Claim(rows.entry(row), token, lease_until, decision, attempts)


def held_by(db: sqlite3.Connection, claim: Claim, *allowed: State) -> sqlite3.Row:
    """The entry's row. Raises ``StaleToken`` unless the claim is its newest, ``WrongState`` outside ``allowed``."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM entries WHERE seq = ?", (claim.entry.seq,)).fetchone()
    if row is None or row["token"] != claim.token or not row["owner"]:
        raise StaleToken(f"{claim.entry.id}: another worker has taken it over")
    if allowed and row["state"] not in allowed:
        raise WrongState(f"{claim.entry.id} is {row['state']}; this needs {' or '.join(allowed)}")
    return row


def recover(db: sqlite3.Connection, owner: str | None, now: float) -> int:
    """Give back what ``owner`` (everybody for None) had claimed and cannot finish any more."""
    clause, values = ("owner <> ''", ()) if owner is None else ("owner = ? AND owner <> ''", (owner,))
    found = db.execute(f"SELECT seq, state, lane FROM entries WHERE {clause}", values).fetchall()
    for row in found:
        give_back(db, row["seq"], row["state"])
        elect(db, row["lane"], now)
    return len(found)
