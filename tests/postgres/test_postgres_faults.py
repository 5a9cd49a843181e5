"""The server killed, promoted, full; bridges frozen: nothing that was acknowledged is lost, nothing is posted twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from bridge.errors import SpoolBusy, SpoolError, SpoolFull
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Filter, Spool
from bridge.spool.postgres import carrying
from tests.postgres import losses, several
from tests.postgres.server import new_schema, servers
from tests.spool.samples import mail


@pytest.mark.system
@pytest.mark.timeout(180)
def test_two_bridges_one_frozen_past_its_lease(tmp_path: Path) -> None:
    with servers() as made:
        result = several.run(made.server(), tmp_path, bridges=2, mails=160, tickets=20, freeze_s=22.0, patience_s=100.0)
    assert result.acknowledged == 160
    assert result.well(), result


@pytest.mark.system
@pytest.mark.timeout(240)
def test_the_server_killed_under_load() -> None:
    with servers() as made:
        result = asyncio.run(losses.kills(made.server(), rounds=4, seed=1))
    assert result.acknowledged > 20
    assert result.lost == 0, result


@pytest.mark.system
@pytest.mark.timeout(240)
def test_synchronous_standbys_promoted_under_load() -> None:
    with servers() as made:
        result = asyncio.run(losses.promotions(made, rounds=1, seed=1, synchronous=True))
    assert result.acknowledged > 20
    assert result.lost == 0, result


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120m,mode=0755", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_full_disk_is_answered_before_acceptance_and_room_heals_it() -> None:
    with servers() as made, small_disk(made.root / "small") as disk:
        if os.geteuid() == 0:
            os.chown(disk, 65534, 65534)
        running = made.server("small/data", extra="max_wal_size = 32MB\nmin_wal_size = 32MB\n")
        ballast = disk / "ballast"
        url = new_schema(running)

        async def main() -> None:
            await migrate_postgres(url)
            spool = await open_spool(url, owner="a", high_water_bytes=1 << 40, min_free_bytes=0)
            kept = list(await spool.accept(mail()))
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            ballast.write_bytes(b"\0" * max(0, free - 2_000_000))
            with pytest.raises((SpoolFull, SpoolBusy)):
                await fill(spool, kept)
            ballast.unlink()
            await healed(spool, kept)
            assert {entry.id for entry in await spool.list(Filter())} >= set(kept)
            await spool.close()

        asyncio.run(main())


async def fill(spool: Spool, kept: list[str]) -> None:
    for _ in range(200):
        kept += await spool.accept(mail(raw=os.urandom(200_000)))


async def healed(spool: Spool, kept: list[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            kept += await spool.accept(mail())
        except SpoolError as error:
            if not error.temporary or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            return


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_commit_whose_standby_is_away_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither after the deadline, nor when an administrator ends the wait."""
    monkeypatch.setattr(carrying, "DEADLINE_S", 4.0)
    with servers() as made:
        primary = made.server("primary")
        url = new_schema(primary)

        async def main() -> None:
            await migrate_postgres(url)
            spool = await open_spool(url, owner="a", high_water_bytes=1 << 40, min_free_bytes=0)
            await spool.accept(mail())
            primary.configure(synchronous_standby_names="nobody")
            await asyncio.sleep(1)
            with pytest.raises(SpoolBusy):
                await spool.accept(mail())
            admin = await asyncpg.connect(primary.url, server_settings={"synchronous_commit": "local"})
            waiting = asyncio.create_task(spool.accept(mail()))
            await asyncio.sleep(0.5)
            await admin.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            with pytest.raises(SpoolBusy, match="standby"):
                await waiting
            primary.configure(synchronous_standby_names="")
            await asyncio.sleep(1)
            await healed(spool, [])
            await admin.close()
            await spool.close()

        asyncio.run(main())


def test_losses_are_counted() -> None:
    result = losses.judge({"a", "b"}, {"b", "c"})
    assert (result.acknowledged, result.lost) == (2, 1)
