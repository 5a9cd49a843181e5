"""What is read from the spool. Steps that change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.model import Context
from bridge.reasons import Reason
from bridge.spool import rows
from bridge.spool.api import Audit, ContextQuery, Counts, Detail, Entry, Filter, State
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Steps, ask, first, marks, value

_WAITING = (State.RECEIVED, State.READY, State.SENDING, State.UNKNOWN)
TOO_MANY_WINDOW_S = 600.0
EQUAL_WINDOW_S = 3600.0
FREQUENCY_ROWS = 1000
"""Mails looked at for the frequencies of one sender on one ticket, newest first; the limits are far below."""


def context(cipher: Cipher, query: ContextQuery, now: float) -> Steps[Context]:
    """What ``decide`` needs to know; the frequencies as of the time when the mail was accepted."""
    ids, tickets = query.message_ids[-100:], query.tickets[:100]
    found = yield from ask(f"SELECT message_id, ticket FROM threads WHERE message_id IN ({marks(ids)})", *ids)
    threads = {row["message_id"]: row["ticket"] for row in found}
    found = yield from ask(f"SELECT number, ticket FROM numbers WHERE number IN ({marks(tickets)})", *tickets)
    numbers = {row["number"]: row["ticket"] for row in found}
    named = tuple(dict.fromkeys((*tickets, *numbers.values(), *threads.values())))
    found = yield from ask(
        f"SELECT ticket FROM senders WHERE sender = ? AND ticket IN ({marks(named)})", query.sender.lower(), *named
    )
    known = {row["ticket"] for row in found}
    known |= {number for number, ticket in numbers.items() if ticket in known}
    texts = yield from ask(f"SELECT text FROM texts WHERE ticket IN ({marks(named)}) ORDER BY position", *named)
    this = yield from first("SELECT accepted_at, override, released FROM entries WHERE id = ?", query.entry_id)
    recent, equal = yield from _frequency(query, named, now if this is None else this["accepted_at"])
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


def _frequency(query: ContextQuery, named: Sequence[str], at: float) -> Steps[tuple[int, int]]:
    """This sender's other mails to these tickets in the 10 minutes before ``at``, and equal ones in the hour."""
    recent = equal = 0
    for lane in named:
        row = yield from first(
            """SELECT count(*) FILTER (WHERE accepted_at >= ?), count(*) FILTER (WHERE body_digest = ?) FROM
            (SELECT accepted_at, body_digest FROM entries WHERE sender = ? AND lane = ? AND accepted_at BETWEEN ? AND ?
            AND id <> ? AND state NOT IN ('recorded', 'discarded') ORDER BY accepted_at DESC LIMIT ?) AS newest""",
            *(at - TOO_MANY_WINDOW_S, query.body_digest, query.sender.lower(), lane),
            *(at - EQUAL_WINDOW_S, at, query.entry_id, FREQUENCY_ROWS),
        )
        if row is not None:
            recent, equal = recent + row[0], equal + row[1]
    return recent, equal


def listing(query: Filter, now: float) -> Steps[Sequence[Entry]]:
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
            clauses.append(f"{column} IN ({marks(several)})")
            values += several
    if query.older_than_s is not None:
        clauses.append("e.accepted_at < ?")
        values.append(now - query.older_than_s)
    order = "DESC" if query.newest_first else "ASC"
    sql = f"{rows.ENTRY} WHERE {' AND '.join(clauses)} ORDER BY e.seq {order} LIMIT ?"
    return [rows.entry(row) for row in (yield from ask(sql, *values, query.limit))]


def detail(cipher: Cipher, entry_id: str) -> Steps[Detail]:
    """Everything about one entry but its raw bytes."""
    row = yield from rows.find(entry_id)
    attempts = yield from rows.attempts([row["seq"]])
    audits = yield from ask("SELECT at, actor, action, note FROM audit WHERE entry = ? ORDER BY rowid", row["seq"])
    return Detail(
        rows.entry(row),
        rows.decision(row, cipher),
        attempts[row["seq"]],
        tuple(Audit(line["at"], line["actor"], line["action"], line["note"]) for line in audits),
    )


def counts() -> Steps[Counts]:
    """Counters, and the oldest entry that waits."""
    by_state = dict.fromkeys(State, 0)
    held: dict[str, int] = {}
    for row in (yield from ask("SELECT state, reason, n FROM counters WHERE n > 0")):
        by_state[State(row["state"])] += row["n"]
        if row["state"] == State.HELD:
            held[Reason(row["reason"])] = row["n"]
    oldest = []
    for state in _WAITING:
        at = yield from value("SELECT accepted_at FROM entries WHERE state = ? ORDER BY seq LIMIT 1", state)
        oldest += [] if at is None else [at]
    return Counts(by_state, held, min(oldest, default=None))


def ticket_of(number: str) -> Steps[str | None]:
    """The public id that a ticket number was resolved to."""
    found: str | None = yield from value("SELECT ticket FROM numbers WHERE number = ?", number)
    return found


def duplicate_of(dedupe_key: str, entry_id: str, since: float) -> Steps[str | None]:
    """The entry that was delivered with this key since then, unless it is this one."""
    sql = "SELECT entry FROM dedupe WHERE key = ? AND entry <> ? AND at >= ?"
    found: str | None = yield from value(sql, dedupe_key, entry_id, since)
    return found


def confirmed_ids(ticket: str) -> Steps[frozenset[str]]:
    """The message ids on this ticket that the ledger has confirmed as posted by us."""
    sql = "SELECT message_id FROM attempts WHERE ticket = ? AND message_id LIKE 'tmsg%'"
    return frozenset(row[0] for row in (yield from ask(sql, ticket)))


def last_reopened(ticket: str) -> Steps[float | None]:
    """When this ticket was last reopened by us.

    An intent that stands open is of a process that died: a ticket that is seen closed after it was not reopened by it,
    or was closed again since, and to reopen it once more harms nobody.
    """
    sql = "SELECT max(intent_at) FROM attempts WHERE ticket = ? AND kind = 'reopen' AND outcome = 'delivered'"
    found: float | None = yield from value(sql, ticket)
    return found


def meta(key: str) -> Steps[str | None]:
    """A small value shared by all bridges on this spool."""
    found: str | None = yield from value("SELECT value FROM meta WHERE key = ?", key)
    return found
