"""Lanes and claims: who goes next (design §2). Steps inside a transaction.

At most one entry of a lane is its head; a claim looks at heads only, so that it costs the same at a million rows.
Whoever moves a lane's head is alone at the lane first; whoever claims takes only rows that nobody else has locked.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import SpoolBroken, StaleToken, WrongState
from bridge.reasons import Reason
from bridge.spool import jumps, rows
from bridge.spool.api import Claim, State
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Row, Steps, alone, ask, first, marks, value

FREE = "owner = '', lease_until = 0"
_DUE_HEADS = (
    rows.ENTRY
    + """WHERE e.head = 1 AND e.next_at <= ? AND e.lease_until <= ?
    AND e.seq < coalesce((SELECT min(seq) FROM entries WHERE state = 'received' AND hint = ''), 9223372036854775807)
    AND NOT EXISTS (SELECT 1 FROM entries r WHERE r.state = 'received' AND r.hint = e.lane AND r.seq < e.seq)
    ORDER BY e.next_at, e.seq LIMIT ?"""
)
_DUE_RECEIVED = (
    rows.ENTRY + "WHERE e.state = 'received' AND e.next_at <= ? AND e.lease_until <= ? ORDER BY e.seq LIMIT ?"
)
_LAPSED = """SELECT seq, lane FROM entries WHERE owner <> '' AND head = 1 AND next_at <= ? AND lease_until <= ?
    UNION SELECT seq, lane FROM entries
    WHERE state = 'sending' AND owner = '' AND head = 1 AND next_at <= ? AND lease_until <= ?"""


def elect(lane: str, now: float) -> Steps[None]:
    """Make the earliest waiting entry of a lane its head, unless the present one is being worked on."""
    if not lane:
        return
    present = yield from first(
        "SELECT e.seq, e.state, e.lease_until, e.owner FROM entries e WHERE e.lane = ? AND e.head = 1",
        lane,
        lock="wait",
    )
    if present and (present["state"] in ("sending", "unknown") or present["lease_until"] > now):
        return
    earliest = yield from value(
        "SELECT min(seq) FROM entries WHERE lane = ? AND state IN ('ready', 'sending', 'unknown')", lane
    )
    if present and present["seq"] != earliest:
        if present["owner"]:
            # Its worker is late: it must not begin to send beside the new head's.
            yield from give_back(present["seq"], present["state"])
        yield from ask("UPDATE entries SET head = 0 WHERE seq = ?", present["seq"])
    if earliest is not None and (present is None or present["seq"] != earliest):
        yield from ask("UPDATE entries SET head = 1 WHERE seq = ?", earliest)


def claim_received(owner: str, limit: int, now: float, lease_s: float) -> Steps[Sequence[Claim]]:
    """Claim entries to be read."""
    found = yield from ask(_DUE_RECEIVED, now, now, limit, lock="skip")
    yield from _claim(found, owner, now + lease_s)
    return [Claim(rows.entry(row), row["token"] + 1, now + lease_s) for row in found]


def claim_ready(cipher: Cipher, owner: str, limit: int, now: float, lease_s: float) -> Steps[Sequence[Claim]]:
    """Claim heads that are due, after taking over those that their workers have lost."""
    yield from _take_over(now)
    found = yield from ask(_DUE_HEADS, now, now, limit, lock="skip")
    yield from _claim(found, owner, now + lease_s)
    attempts = yield from rows.attempts([row["seq"] for row in found])
    claims = []
    for row in found:
        try:
            decision = rows.decision(row, cipher)
        except SpoolBroken as error:
            # One decision that cannot be read must not stop the others.
            yield from _hold(row, str(error), now)
            continue
        claims.append(Claim(rows.entry(row), row["token"] + 1, now + lease_s, decision, attempts[row["seq"]]))
    return claims


def _take_over(now: float) -> Steps[None]:
    """Give back heads whose lease ran out, and those that were given back while a request was open."""
    lapsed = yield from ask(_LAPSED, now, now, now, now)
    if not lapsed:
        return
    yield from alone(*(row["lane"] for row in lapsed))
    for row in lapsed:
        still = yield from first(
            "SELECT e.state FROM entries e WHERE e.seq = ? AND e.lease_until <= ? AND (e.owner <> '' "
            "OR e.state = 'sending')",
            *(row["seq"], now),
            lock="wait",
        )
        if still is not None:
            yield from give_back(row["seq"], still["state"])
            yield from elect(row["lane"], now)


def _hold(row: Row, why: str, now: float) -> Steps[None]:
    yield from ask(
        f"UPDATE entries SET state = 'held', reason = ?, head = 0, updated_at = ?, {FREE} WHERE seq = ?",
        *(Reason.UNREADABLE, now, row["seq"]),
    )
    yield from ask(
        "INSERT INTO audit (entry, at, actor, action, note) VALUES (?, ?, ?, ?, ?)",
        *(row["seq"], now, "bridge", Reason.UNREADABLE, why),
    )
    yield from alone(row["lane"])
    yield from elect(row["lane"], now)


def give_back(seq: int, state: str) -> Steps[None]:
    """Free an entry whose worker died; while ``sending``, an open intent may have been applied."""
    if state == State.SENDING:
        open_ = yield from first(
            "SELECT 1 FROM attempts WHERE entry = ? AND settled_at IS NULL AND kind IN ('post', 'create')", seq
        )
        new, reason = (State.UNKNOWN, Reason.RETRY) if open_ else (State.READY, Reason.WAITING)
        yield from ask("UPDATE entries SET state = ?, reason = ? WHERE seq = ?", new, reason, seq)
    yield from ask(f"UPDATE entries SET token = token + 1, {FREE} WHERE seq = ?", seq)


def _claim(found: Sequence[Row], owner: str, lease_until: float) -> Steps[None]:
    if found:
        seqs = [row["seq"] for row in found]
        yield from ask(
            f"UPDATE entries SET token = token + 1, lease_until = ?, owner = ? WHERE seq IN ({marks(seqs)})",
            *(lease_until, owner, *seqs),
        )


def held_by(claim: Claim, *allowed: State) -> Steps[Row]:
    """The entry's row. Raises ``StaleToken`` unless the claim is its newest, ``WrongState`` outside ``allowed``."""
    row = yield from first("SELECT e.* FROM entries e WHERE e.seq = ?", claim.entry.seq, lock="wait")
    if row is None or row["token"] != claim.token or not row["owner"]:
        raise StaleToken(f"{claim.entry.id}: another worker has taken it over")
    if allowed and row["state"] not in allowed:
        raise WrongState(f"{claim.entry.id} is {row['state']}; this needs {' or '.join(allowed)}")
    return row


def recover(owner: str | None, now: float) -> Steps[int]:
    """Give back what ``owner`` (everybody for None) had claimed and cannot finish any more."""
    clause, values = ("owner <> ''", ()) if owner is None else ("owner = ? AND owner <> ''", (owner,))
    found = yield from ask(f"SELECT seq, lane FROM entries WHERE {clause}", *values)
    yield from alone(*(row["lane"] for row in found))
    for row in found:
        still = yield from first("SELECT e.state FROM entries e WHERE e.seq = ?", row["seq"], lock="wait")
        if still is not None:
            yield from give_back(row["seq"], still["state"])
            yield from elect(row["lane"], now)
    if owner is None:  # beside other bridges the waits are theirs, and none of them is set anew by one that starts
        yield from jumps.forget_waits(now)
    return len(found)
