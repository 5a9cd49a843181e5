"""What is read from the spool. Functions on a reading connection; they never wait for the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bridge.model import Context
from bridge.reasons import Reason
from bridge.spool import codec, rows
from bridge.spool.api import Audit, ContextQuery, Counts, Detail, Entry, Filter, State
from bridge.spool.cipher import Cipher

_WAITING = (State.RECEIVED, State.READY, State.SENDING, State.UNKNOWN)
TOO_MANY_WINDOW_S = 600.0
EQUAL_WINDOW_S = 3600.0


def context(db: sqlite3.Connection, cipher: Cipher, query: ContextQuery, now: float) -> Context:
    """What ``decide`` needs to know."""
    ids = query.message_ids[:100]
    threads = {
        row["message_id"]: row["ticket"]
        for row in db.execute(f"SELECT message_id, ticket FROM threads WHERE message_id IN ({_marks(ids)})", ids)
    }
    named = tuple(dict.fromkeys((*query.tickets, *threads.values())))
    known = db.execute(
        f"SELECT ticket FROM senders WHERE sender = ? AND ticket IN ({_marks(named)})",
        (query.sender, *named),
    )
    texts = db.execute(
        f"SELECT text FROM texts WHERE ticket IN ({_marks(named)}) ORDER BY position",
        named,
    )
    recent, equal = _frequency(db, query, named, now)
    return Context(
        threads=threads,
        known_sender_of=frozenset(row["ticket"] for row in known),
        known_texts=tuple(cipher.unseal(row["text"]).decode("utf-8") for row in texts),
        recent_from_sender=recent,
        equal_bodies=equal,
    )


def _frequency(db: sqlite3.Connection, query: ContextQuery, named: Sequence[str], now: float) -> tuple[int, int]:
    """Mails of this sender to these tickets in 10 minutes, and equal ones in an hour, other than this mail."""
    if not named:
        return 0, 0
    row = db.execute(
        f"""SELECT count(*) FILTER (WHERE accepted_at >= ?), count(*) FILTER (WHERE body_digest = ?)
        FROM entries WHERE sender = ? AND accepted_at >= ? AND lane IN ({_marks(named)}) AND id <> ?
        AND state NOT IN ('recorded', 'discarded')""",
        (now - TOO_MANY_WINDOW_S, query.body_digest, query.sender, now - EQUAL_WINDOW_S, *named, query.entry_id),
    ).fetchone()
    return row[0], row[1]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def listing(db: sqlite3.Connection, query: Filter, now: float) -> Sequence[Entry]:
    """Entries that fulfil the filter."""
    clauses, values = ["e.seq > ?"], list[object]([query.after_seq])
    for column, wanted in (("e.lane", query.ticket), ("e.sender", query.sender.lower()), ("e.reason", query.reason)):
        if wanted:
            clauses.append(f"{column} = ?")
            values.append(wanted)
    for column, several in (("e.state", query.states), ("e.id", query.ids)):
        if several:
            clauses.append(f"{column} IN ({_marks(several)})")
            values += several
    if query.older_than_s is not None:
        clauses.append("e.accepted_at < ?")
        values.append(now - query.older_than_s)
    order = "DESC" if query.newest_first else "ASC"
    sql = f"{rows.ENTRY} WHERE {' AND '.join(clauses)} ORDER BY e.seq {order} LIMIT ?"
    return [rows.entry(row) for row in db.execute(sql, (*values, query.limit))]


def detail(db: sqlite3.Connection, cipher: Cipher, entry_id: str) -> Detail:
    """Everything about one entry but its raw bytes."""
    row = rows.find(db, entry_id)
    decision = codec.load_decision(cipher.unseal(row["decision"])) if row["decision"] is not None else None
    audits = db.execute("SELECT * FROM audit WHERE entry = ? ORDER BY rowid", (row["seq"],))
    return Detail(
        rows.entry(row),
        decision,
        rows.attempts(db, row["seq"]),
        tuple(Audit(line["at"], line["actor"], line["action"], line["note"]) for line in audits),
    )


def counts(db: sqlite3.Connection) -> Counts:
    """Counters, and the oldest entry that waits."""
    by_state = dict.fromkeys(State, 0)
    held: dict[str, int] = {}
    for row in db.execute("SELECT state, reason, n FROM counters WHERE n > 0"):
        by_state[State(row["state"])] += row["n"]
        if row["state"] == State.HELD:
            held[Reason(row["reason"])] = row["n"]
    oldest = [
        db.execute("SELECT accepted_at FROM entries WHERE state = ? ORDER BY seq LIMIT 1", (state,)).fetchone()
        for state in _WAITING
    ]
    return Counts(by_state, held, min((row[0] for row in oldest if row is not None), default=None))


def value(db: sqlite3.Connection, sql: str, *parameters: object) -> object:
    """The first column of the first row, or None."""
    row = db.execute(sql, parameters).fetchone()
    return None if row is None else row[0]
