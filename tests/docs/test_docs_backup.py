"""The backup of docs/operations.md, taken while the bridge runs, and its restore: with the spool's key, and without."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.world import KEY, World

WAITS = "ready --state unknown"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_sealed_spool_is_backed_up_and_restored(world: World) -> None:
    spool, backup = world.root / "var/lib/ticket-bridge/spool.db", world.root / "backup/spool.db"
    key = world.credential.parent / "spool_key"
    key.write_text("a:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    world.credential.write_text("a-key-that-is-refused")
    world.start()
    world.send("support", "A word that is sealed.", "nils@holm.example")
    world.entries("held", 1)
    world.send(words="Posted after the copy.")
    world.entries(WAITS, 1)
    (posted,) = world.ids(WAITS)
    # What the shell's `.backup` does (SQLite's online backup), through Python's own module.
    with closing(sqlite3.connect(spool)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    (entry,) = world.ids("held")
    world.credential.write_text(KEY)
    world.systemctl("restart")
    world.entries("delivered", 1)
    assert world.run(f"tb queue discard {entry}").returncode == 0
    world.stop()
    for file in spool.parent.glob("spool.db*"):
        file.unlink()
    shutil.copy(backup, spool)
    assert b"A word that is sealed" not in spool.read_bytes()
    assert world.run("tb spool verify").returncode == 0
    waiting = "--state received --state ready --state unknown"
    assert world.run(f"tb queue hold --all --yes {waiting} --note restored").stdout.count("done") == 1
    world.start()
    assert set(world.ids("held")) == {entry, posted}, "as it was when the copy was made, and nothing is posted again"
    assert world.api.bodies() == ["Posted after the copy."]
    assert "A word that is sealed." in world.run(f"tb queue export {entry} -").stdout
    world.stop()
    key.write_text("a:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n")
    done = world.run("tb serve")
    assert done.returncode in (74, 78)
    assert "ticket-bridge: " in done.stdout
    assert "BRIDGE_SPOOL_KEY" in done.stdout
