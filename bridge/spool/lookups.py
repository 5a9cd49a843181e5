"""What is read from the spool. Functions on a reading connection; they never wait for the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bridge.model import Context
from bridge.reasons import Reason
from bridge.spool import rows
from bridge.spool.api import Audit, ContextQuery, Counts, Detail, Entry, Filter, State
from bridge.spool.cipher import Cipher

_WAITING = (State.RECEIVED, State.READY, State.SENDING, State.UNKNOWN)
TOO_MANY_WINDOW_S = 600.0
EQUAL_WINDOW_S = 3600.0
FREQUENCY_ROWS = 1000
"""Mails looked at for the frequencies of one sender on one ticket, newest first; the limits are far below."""


def context(db: sqlite3.Connection, cipher: Cipher, query: ContextQuery, now: float) -> Context:
    """What ``decide`` needs to know; the frequencies as of the time when the mail was accepted."""
    ids, tickets = query.message_ids[-100:], query.tickets[:100]
    threads = {
        row["message_id"]: row["ticket"]
        for row in db.execute(f"SELECT message_id, ticket FROM threads WHERE message_id IN ({_marks(ids)})", ids)
    }
    numbers = {
        row["number"]: row["ticket"]
        for row in db.execute(f"SELECT number, ticket FROM numbers WHERE number IN ({_marks(tickets)})", tickets)
    }
    named = tuple(dict.fromkeys((*tickets, *numbers.values(), *threads.values())))
    known = {
        row["ticket"]
        for row in db.execute(
            f"SELECT ticket FROM senders WHERE sender = ? AND ticket IN ({_marks(named)})",
            (query.sender.lower(), *named),
        )
    }
    known |= {number for number, ticket in numbers.items() if ticket in known}
    texts = db.execute(f"SELECT text FROM texts WHERE ticket IN ({_marks(named)}) ORDER BY position", named)
    entry = db.execute("SELECT seq, accepted_at, override, released FROM entries WHERE id = ?", (query.entry_id,))
    this = entry.fetchone()
    recent, equal = _frequency(db, query, named, now if this is None else this["accepted_at"])
    return Context(
        threads=threads,
        known_sender_of=frozenset(known),
        known_texts=tuple(cipher.unseal(row["text"]).decode("utf-8") for row in texts),
        recent_from_sender=recent,
        equal_bodies=equal,
        numbers=numbers,
        override="" if this is None else this["override"],
        released=this is not None and bool(this["released"]),
    )


def _frequency(db: sqlite3.Connection, query: ContextQuery, named: Sequence[str], at: float) -> tuple[int, int]:
    """This sender's other mails to these tickets in the 10 minutes before ``at``, and equal ones in the hour."""
    recent = equal = 0
    for lane in named:
        row = db.execute(
            """SELECT count(*) FILTER (WHERE accepted_at >= ?), count(*) FILTER (WHERE body_digest = ?) FROM
            (SELECT accepted_at, body_digest FROM entries WHERE sender = ? AND lane = ? AND accepted_at BETWEEN ? AND ?
            AND id <> ? AND state NOT IN ('recorded', 'discarded') ORDER BY accepted_at DESC LIMIT ?)""",
            (
                *(at - TOO_MANY_WINDOW_S, query.body_digest, query.sender.lower(), lane),
                *(at - EQUAL_WINDOW_S, at, query.entry_id, FREQUENCY_ROWS),
            ),
        ).fetchone()
        recent, equal = recent + row[0], equal + row[1]
    return recent, equal


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def listing(db: sqlite3.Connection, query: Filter, now: float) -> Sequence[Entry]:
    """Entries that fulfil the filter."""
    clauses, values = ["e.seq > ?"], list[object]([query.after_seq])
    if query.ticket:
        clauses.append("e.lane IN (?, (SELECT ticket FROM numbers WHERE number = ?))")
        values += [query.ticket.lower(), query.ticket]
    for column, wanted in (("e.sender", query.sender.lower()), ("e.reason", query.reason)):
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
    audits = db.execute("SELECT * FROM audit WHERE entry = ? ORDER BY rowid", (row["seq"],))
    return Detail(
        rows.entry(row),
        rows.decision(row, cipher),
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
