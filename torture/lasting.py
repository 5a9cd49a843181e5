"""What shows with time: a soak, and the upgrade of a spool that an earlier version filled."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from tests.main_job.running import Bridge, eventually, sandbox
from torture.checker import posted
from torture.network import rss
from torture.world import Criterion, balanced, world

GROWTH = 0.10
WARM = 5_000
"""Mails after which every cache and pool has its size."""


def soak(scale: float) -> Iterator[Criterion]:
    """100,000 mails at the pace of the slowest part; memory once all parts are warm against memory at the end."""
    mails = max(2 * WARM, round(100_000 * scale))
    with world(tickets=100) as it:
        began = time.monotonic()
        load = it.load(mails, relays=8, size=5_000)
        eventually(lambda: len(load.acknowledged) >= WARM, 3_600)
        early = rss(it.bridge.process.child.pid)
        load.join(7_200)
        accepted_s = time.monotonic() - began
        balance = it.balance(load.mails, 3_600)
        late, delivered_s = rss(it.bridge.process.child.pid), time.monotonic() - began
    yield balanced(f"soak, {accepted_s:.0f} s to accept, {delivered_s:.0f} s to deliver", balance)
    growth = late / early - 1
    yield Criterion(f"RSS grows < {GROWTH:.0%}", f"{early >> 20} MB → {late >> 20} MB ({growth:+.1%})", growth < GROWTH)


FIXTURE = "spool-schema-1.sql"
"""Written by the first landed version; never to be written anew."""
_TIMES = (
    ("entries", ("accepted_at", "updated_at", "next_at", "lease_until")),
    ("attempts", ("intent_at", "settled_at")),
)


def upgrade(scale: float) -> Iterator[Criterion]:
    """A spool that the first landed version filled, in every state, is opened by this one and delivered."""
    del scale
    with world(tickets=0) as it:
        it.bridge.process.kill()
        with sandbox(_made(it.directory / "fresh")) as api:
            spool = it.directory / "fresh" / "spool.db"
            before = restore(spool)
            bridge = Bridge(spool.parent, api.url)
            try:
                eventually(lambda: not _waiting(bridge), 120)
                after = {entry["id"]: entry["state"] for entry in bridge.queue("--limit", "100000")}
            finally:
                bridge.process.kill()
            on_api = Counter(body for _, body in posted(it.directory / "fresh" / "sandbox.db"))
    waited = {entry for entry, state in before.items() if state in ("received", "ready", "sending", "unknown")}
    delivered = sum(after[entry] == "delivered" for entry in waited)
    yield Criterion(
        "upgrade: every entry is still known",
        f"{len(set(before) & set(after))} of {len(before)}",
        set(before) <= set(after),
    )
    yield Criterion("upgrade: all that waited is delivered", f"{delivered} of {len(waited)}", delivered == len(waited))
    twice = sum(count > 1 for count in on_api.values())
    yield Criterion(
        "upgrade: on the tickets, once", f"{len(on_api)} replies, {twice} twice", not twice and len(on_api) == delivered
    )
    others = {entry: state for entry, state in before.items() if entry not in waited}
    kept = sum(after[entry] == state for entry, state in others.items())
    yield Criterion("upgrade: what was settled stays as it was", f"{kept} of {len(others)}", kept == len(others))


def restore(spool: Path) -> dict[str, str]:
    """Write the frozen spool to ``spool``, as if it had been filled just now; entry id → state."""
    script = resources.files("torture").joinpath("fixtures", FIXTURE).read_text("utf-8")
    connection = sqlite3.connect(spool)
    try:
        connection.executescript(script)
        since = time.time() - connection.execute("SELECT max(updated_at) FROM entries").fetchone()[0]
        for table, columns in _TIMES:
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = {column} + ? WHERE {column} > 0", (since,))
        connection.commit()
        return dict(connection.execute("SELECT id, state FROM entries").fetchall())
    finally:
        connection.close()


def _waiting(bridge: Bridge) -> int:
    states = ("received", "ready", "sending", "unknown")
    return len(bridge.queue(*(word for state in states for word in ("--state", state))))


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
