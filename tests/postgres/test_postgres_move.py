"""``spool move``: SQLite to PostgreSQL and back, broken off and gone on with, counted and compared."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import SpoolBroken
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Audit, Filter, Kind, State
from bridge.spool.ledger import Ledger
from bridge.spool.moving import move, refuse_half
from tests.postgres.server import Database, free_port, new_schema
from tests.spool.samples import decision, delivered, lane, mail


async def opened(url: str) -> Ledger:
    return await open_spool(url, owner="mover", high_water_bytes=1 << 30, min_free_bytes=0)


async def fill(spool: Ledger) -> None:
    """Something of everything: waiting, delivered, held, erased, an open request, texts, numbers, an audit."""
    for number in range(7):
        await spool.accept(mail("a@example.com", "b@example.com", raw=b"raw %d" % number))
    claims = await spool.claim_received(12, 60)
    for number, claim in enumerate(claims[:9]):
        await spool.decided(claim, decision(), state=State.READY, lane=lane(number % 3), body_digest="d")
    await spool.decided(claims[9], decision(), state=State.HELD, lane="", body_digest="d")
    for claim in await spool.claim_ready(2, 60):
        attempt = await spool.intend(claim, Kind.POST, "f")
        await spool.settle(claim, delivered(attempt.number, dedupe=claim.entry.id, remember_sender=True))
    (open_,) = await spool.claim_ready(1, 60)
    await spool.intend(open_, Kind.POST, "f")
    await spool.note(claims[9].entry.id, Audit(1.0, "anna", "looked", "ö"))
    await spool.remember_texts(lane(1), ["old", "words"])
    await spool.remember_number("149943", lane(1))


async def everything(spool: Ledger) -> list[object]:
    found: list[object] = [(await spool.counts()).by_state]
    for entry in await spool.list(Filter()):
        found += [entry, await spool.detail(entry.id), await spool.raw(entry.id)]
    return [*found, await spool.ticket_of("149943"), await spool.duplicate_of("x", "y")]


def test_there_and_back_again(tmp_path: Path, postgres_server: Database) -> None:
    async def main() -> None:
        url = new_schema(postgres_server)
        await migrate_postgres(url)
        first, middle, last = [
            await opened(each) for each in (f"sqlite:///{tmp_path}/a.db", url, f"sqlite:///{tmp_path}/b.db")
        ]
        await fill(first)
        before = await everything(first)
        moved = await move(first, middle, "there", lambda _done, _total: None)
        assert (moved.copied, moved.tables["entries"], moved.tables["mails"]) == (14, 14, 7)
        assert await everything(middle) == before
        with pytest.raises(SpoolBroken, match="was moved"):
            await refuse_half(first)
        await refuse_half(middle)
        (new,) = await middle.accept(mail(raw=b"later"))
        assert (await middle.list(Filter()))[-1].id == new
        again = await move(middle, last, "back", lambda _done, _total: None)
        assert again.copied == 15
        assert (await everything(last))[1:-2][:-3] == before[1:-2]
        with pytest.raises(SpoolBroken, match="not empty"):
            await move(first, last, "there", lambda _done, _total: None)
        for spool in (first, middle, last):
            await spool.close()

    asyncio.run(main())


def test_a_move_that_broke_off_goes_on(
    tmp_path: Path, postgres_server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.spool.moving.BATCH", 3)

    def breaks(done: int, _total: int) -> None:
        if done >= 6:
            raise ConnectionError

    async def main() -> None:
        url = new_schema(postgres_server)
        await migrate_postgres(url)
        source, target = await opened(f"sqlite:///{tmp_path}/a.db"), await opened(url)
        await fill(source)
        before = await everything(source)
        with pytest.raises(ConnectionError):
            await move(source, target, "there", breaks)
        with pytest.raises(SpoolBroken, match="not whole"):
            await refuse_half(target)
        assert (await move(source, target, "there", lambda _done, _total: None)).copied == 14 - 6
        assert await everything(target) == before
        await source.close()
        await target.close()

    asyncio.run(main())


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"BRIDGE_SPOOL_URL": url, "BRIDGE_MAIL_DOMAINS": "example.com", "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.system
@pytest.mark.timeout(180)
def test_the_commands(tmp_path: Path, postgres_server: Database) -> None:
    url, file = new_schema(postgres_server), f"sqlite:///{tmp_path}/spool.db"

    async def prepare() -> None:
        spool = await opened(file)
        await fill(spool)
        await spool.close()

    asyncio.run(prepare())
    missing = command(url, "queue", "list")
    assert (missing.returncode, "spool migrate" in missing.stderr) == (74, True)
    made = command(url, "spool", "migrate", "--json")
    assert (made.returncode, json.loads(made.stdout)) == (0, {"before": 0, "after": 1})
    moved = command(file, "spool", "move", file, url, "--json")
    assert (moved.returncode, json.loads(moved.stdout)["copied"]) == (0, 14)
    for looks in (("spool", "verify"), ("spool", "compact")):
        assert command(url, *looks).returncode == 0, looks
    assert command(url.replace("/bridge?", "/none?"), "queue", "list").returncode == 78
    away = command(f"postgresql://bridge@127.0.0.1:{free_port()}/bridge", "queue", "list")
    assert (away.returncode, "cannot be reached" in away.stderr) == (75, True)
