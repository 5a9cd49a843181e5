"""The judge of the torture sees what it is there to see, and the frozen spool of the first version still opens."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bridge.spool import open_spool
from torture.checker import judge
from torture.lasting import restore
from torture.load import Sent


def mail(ticket: str, number: int, *entries: str) -> Sent:
    sent = Sent(ticket, number)
    sent.entries.extend(entries)
    return sent


def database(directory: Path, posted: list[tuple[str, str]]) -> Path:
    """What the sandbox would hold."""
    path = directory / "sandbox.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE messages (seq INTEGER PRIMARY KEY, ticket_id TEXT, sender TEXT, request_id TEXT, body TEXT)"
    )
    connection.executemany(
        "INSERT INTO messages (ticket_id, sender, request_id, body) VALUES (?, 'customer', 'r', ?)", posted
    )
    connection.commit()
    connection.close()
    return path


A, B = mail("tkt_a", 0, "e0"), mail("tkt_a", 1, "e1")
BOTH = [("tkt_a", A.body), ("tkt_a", B.body)]


@pytest.mark.parametrize(
    ("posted", "states", "wrong"),
    [
        (BOTH, {"e0": "delivered", "e1": "delivered"}, ""),
        (BOTH[:1], {"e0": "delivered", "e1": "ready"}, ""),
        (BOTH[:1], {"e0": "delivered", "e1": "held"}, ""),
        (BOTH[:1], {"e0": "delivered", "e1": "delivered"}, "lost"),
        (BOTH[:1], {"e0": "delivered"}, "lost"),
        ([*BOTH, BOTH[1]], {"e0": "delivered", "e1": "delivered"}, "twice"),
        (BOTH[::-1], {"e0": "delivered", "e1": "delivered"}, "disordered"),
        ([BOTH[0], ("tkt_b", B.body)], {"e0": "delivered", "e1": "delivered"}, "astray"),
    ],
)
def test_what_went_wrong_is_counted(
    tmp_path: Path, posted: list[tuple[str, str]], states: dict[str, str], wrong: str
) -> None:
    balance = judge([A, B, mail("tkt_a", 2)], database(tmp_path, posted), states)
    assert balance.accepted == 2, "what was never acknowledged is nobody's duty"
    assert balance.kept is (wrong == "")
    assert {name for name in ("lost", "twice", "disordered", "astray", "refused") if getattr(balance, name)} == (
        {wrong} if wrong else set()
    )


def test_the_first_versions_spool_is_opened(tmp_path: Path) -> None:
    states = restore(tmp_path / "spool.db")

    async def main() -> None:
        spool = await open_spool(
            f"sqlite:///{tmp_path}/spool.db", owner="bridge", high_water_bytes=1 << 40, min_free_bytes=0
        )
        counts = await spool.counts()
        assert {str(state): count for state, count in counts.by_state.items() if count} == {
            state: list(states.values()).count(state) for state in set(states.values())
        }
        assert await spool.recover() == 1, "what was being sent when it was frozen"
        waiting = [entry for entry, state in states.items() if state == "ready"]
        assert all([await spool.raw(entry) for entry in waiting])
        assert all([(await spool.detail(entry)).decision for entry in waiting])
        await spool.close()

    asyncio.run(main())
