"""Moving a spool from one store to another: everything in it, as it is, in the order of acceptance.

Promises: what was copied is committed batch by batch, so that a move that broke off goes on where it was; nothing is
taken away from where it came from, but that spool then says where it went, and no bridge serves it any more. Fails
with ``SpoolError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.errors import SpoolBroken
from bridge.spool import lookups, moves
from bridge.spool.api import Spool
from bridge.spool.ledger import Ledger
from bridge.spool.steps import Row, Steps, ask, marks, value

BATCH, BATCH_BYTES = 200, 16_000_000
MOVING, MOVED = "moving", "moved_to"
"""Values kept in the target while it is filled, and in the source once it was emptied into another."""
_BESIDE = ("threads", "senders", "texts", "numbers", "dedupe", "keys")
_COUNTED = ("mails", "entries", "attempts", "audit", *_BESIDE)


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of it."""

    copied: int
    """Entries copied by this run."""
    tables: Mapping[str, int]
    """Rows of each table, the same in both."""


async def refuse_half(spool: Spool) -> None:
    """Raises ``SpoolBroken`` for a spool that was moved away, or is only half moved in: no bridge may serve it."""
    if await spool.get_meta(MOVED) is not None:
        raise SpoolBroken("this spool was moved to another one: set BRIDGE_SPOOL_URL to that one")
    if await spool.get_meta(MOVING) is not None:
        raise SpoolBroken("this spool is not whole: run `ticket-bridge spool move` again until it has finished")


T = TypeVar("T")


async def _do(spool: Ledger, function: Callable[..., Steps[T]], *arguments: object) -> T:
    """One transaction."""
    return await spool.carry(lambda _: function(*arguments))


async def move(source: Ledger, target: Ledger, name: str, progress: Callable[[int, int], None]) -> Moved:
    """Copy everything; ``name`` tells where to, for people. Raises ``SpoolBroken`` unless both hold the same then."""
    copied = await _do(target, _begin)
    total, done = await _do(source, _count, "entries"), await _do(target, _count, "entries")
    made = 0
    while batch := await _do(source, _batch, copied):
        mails = await _do(source, _of, "mails", "id", batch, "mail")
        attempts = await _do(source, _of, "attempts", "entry", batch, "seq")
        audit = await _do(source, _of, "audit", "entry", batch, "seq")
        copied = batch[-1]["seq"]
        await _do(target, _insert_batch, mails, batch, attempts, audit, copied)
        made += len(batch)
        progress(done + made, total)
    for table in _BESIDE:
        await _do(target, _insert, table, await _do(source, ask, f"SELECT * FROM {table}"))
    await target.filled()
    tables = await _compare(source, target)
    await _do(source, moves.remember, "meta", MOVED, name)
    await _do(target, ask, "DELETE FROM meta WHERE key = ?", MOVING)
    return Moved(made, tables)


def _count(table: str) -> Steps[int]:
    found: int = yield from value(f"SELECT count(*) FROM {table}")
    return found


def _begin() -> Steps[int]:
    """The number of the last entry that an earlier run copied. Raises ``SpoolBroken`` when there are others."""
    at = yield from lookups.meta(MOVING)
    if at is None:
        if (yield from value("SELECT count(*) FROM mails")):
            raise SpoolBroken("the spool to move to is not empty: give one that is new")
        yield from moves.remember("meta", MOVING, "0")
    return int(at or 0)


def _batch(after: int) -> Steps[Sequence[Row]]:
    """The next entries, bounded in number and in their mails' bytes."""
    sizes = yield from ask(
        "SELECT e.seq, m.size FROM entries e JOIN mails m ON m.id = e.mail WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
        *(after, BATCH),
    )
    taken = size = 0
    for row in sizes:
        size += row["size"]
        if taken and size > BATCH_BYTES:
            break
        taken += 1
    return (yield from ask("SELECT * FROM entries WHERE seq > ? ORDER BY seq LIMIT ?", after, taken))


def _of(table: str, column: str, batch: Sequence[Row], key: str) -> Steps[Sequence[Row]]:
    """The rows that belong to the entries of a batch."""
    keys = sorted({row[key] for row in batch})
    order = {"mails": "id", "attempts": "entry, number", "audit": "rowid"}[table]
    return (yield from ask(f"SELECT * FROM {table} WHERE {column} IN ({marks(keys)}) ORDER BY {order}", *keys))


def _insert_batch(
    mails: Sequence[Row], entries: Sequence[Row], attempts: Sequence[Row], audit: Sequence[Row], at: int
) -> Steps[None]:
    """All that belongs to some entries, and how far that is, together."""
    for table, rows in (("mails", mails), ("entries", entries), ("attempts", attempts), ("audit", audit)):
        yield from _insert(table, rows)
    yield from moves.remember("meta", MOVING, str(at))


def _insert(table: str, rows: Sequence[Row]) -> Steps[None]:
    """Insert what is not there yet: a mail of several entries comes with the first of them."""
    for row in rows:
        columns = {name: row[name] for name in row.keys() if name != "rowid"}  # noqa: SIM118 - a row is no mapping
        yield from ask(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks(tuple(columns))}) ON CONFLICT DO NOTHING",
            *columns.values(),
        )


async def _compare(source: Ledger, target: Ledger) -> Mapping[str, int]:
    counted = {}
    for table in _COUNTED:
        here, there = await _do(source, _count, table), await _do(target, _count, table)
        if here != there:
            raise SpoolBroken(f"{table}: {here} rows were to be moved, {there} are there; nothing was taken away")
        counted[table] = here
    return counted
