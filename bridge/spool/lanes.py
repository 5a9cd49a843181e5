"""Lanes and claims: who goes next (design §2). Functions on the writing connection, inside its transaction.

At most one entry of a lane is its head; a claim looks at heads only, so that it costs the same at a million rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bridge.errors import StaleToken
from bridge.reasons import Reason
from bridge.spool import codec, rows
from bridge.spool.api import Claim, State
from bridge.spool.cipher import Cipher

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
    present = db.execute("SELECT seq, state, lease_until FROM entries WHERE lane = ? AND head = 1", (lane,)).fetchone()
    if present and (present["state"] in ("sending", "unknown") or present["lease_until"] > now):
        return
    first = db.execute(
        "SELECT min(seq) FROM entries WHERE lane = ? AND state IN ('ready', 'sending', 'unknown')", (lane,)
    ).fetchone()[0]
    if present and present["seq"] != first:
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
    """Claim heads that are due; a ``sending`` one's lease has run out, so that its worker is taken for dead."""
    claims = []
    for row in db.execute(_CLAIM_READY, {"now": now, "limit": limit}).fetchall():
        if row["state"] == State.SENDING:
            orphaned(db, row["seq"])
            row = db.execute(rows.ENTRY + "WHERE e.seq = ?", (row["seq"],)).fetchone()  # noqa: PLW2901 - the same entry, as it is now
        claims.append(_claim(db, row, owner, now + lease_s, cipher))
    return claims


def orphaned(db: sqlite3.Connection, seq: int) -> None:
    """Move an entry whose worker died while ``sending``: an open intent may have been applied."""
    open_ = db.execute(
        "SELECT 1 FROM attempts WHERE entry = ? AND settled_at IS NULL AND kind IN ('post', 'create')", (seq,)
    ).fetchone()
    state, reason = (State.UNKNOWN, Reason.RETRY) if open_ else (State.READY, Reason.WAITING)
    db.execute("UPDATE entries SET state = ?, reason = ? WHERE seq = ?", (state, reason, seq))


def _claim(
    db: sqlite3.Connection, row: sqlite3.Row, owner: str, lease_until: float, cipher: Cipher | None = None
) -> Claim:
    token = row["token"] + 1
    db.execute(
        "UPDATE entries SET token = ?, lease_until = ?, owner = ? WHERE seq = ?",
        (token, lease_until, owner, row["seq"]),
    )
    decision = None
    if cipher is not None and row["decision"] is not None:
        decision = codec.load_decision(cipher.unseal(row["decision"]))
    made = rows.attempts(db, row["seq"]) if cipher is not None else ()
    return Claim(rows.entry(row), token, lease_until, decision, made)


def held_by(db: sqlite3.Connection, claim: Claim) -> None:
    """Raise ``StaleToken`` unless the claim is the entry's newest."""
    row = db.execute("SELECT token, owner FROM entries WHERE seq = ?", (claim.entry.seq,)).fetchone()
    if row is None or row["token"] != claim.token or not row["owner"]:
        raise StaleToken(f"{claim.entry.id}: another worker has taken it over")


def recover(db: sqlite3.Connection, owner: str) -> int:
    """Give back what ``owner`` (a process that died) had claimed."""
    found = db.execute("SELECT seq, state FROM entries WHERE owner = ?", (owner,)).fetchall()
    for row in found:
        if row["state"] == State.SENDING:
            orphaned(db, row["seq"])
    db.execute("UPDATE entries SET owner = '', lease_until = 0, token = token + 1 WHERE owner = ?", (owner,))
    return len(found)
