"""``ticket-bridge spool``: what is wrong is found, keys are rotated, room is given back, and mails leave whole."""

from __future__ import annotations

import base64
import mailbox
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.spool.api import State
from bridge.spool.files import lock
from tests.ops.conftest import Cli, with_spool
from tests.spool import samples

Entries = dict[str, str]
OLD = f"a:{base64.b64encode(bytes(range(32))).decode()}"
NEW = f"b:{base64.b64encode(bytes(range(1, 33))).decode()}"


def spoil(path: Path, sql: str) -> None:
    with sqlite3.connect(path / "spool.db") as db:
        assert db.execute(sql).rowcount > 0
    db.close()


def test_a_spool_that_is_well(cli_run: Cli, entries: Entries) -> None:
    done = cli_run("spool", "verify")
    assert (done.code, done.out, done.err) == (0, "7 entries, 7 mails of 210 bytes: all well\n", "")
    (found,) = cli_run("spool", "verify", "--json").objects()
    assert found == {"entries": 7, "mails": 7, "bytes": 210, "faults": []}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE mails SET raw = x'00666f72676564' WHERE id = 3", "the raw mail is not what was stored"),
        ("UPDATE mails SET digest = 'x' WHERE id = 3", "the raw mail is not what was stored"),
        ("UPDATE mails SET raw = x'017a00' WHERE id = 3", "sealed with key 'z'"),
        ("UPDATE mails SET raw = NULL WHERE id = 3", "although nothing erased it"),
        ("DELETE FROM mails WHERE id = 3", "its mail is not there"),
        ("DELETE FROM mails WHERE id = 3", "points at a mails that is not there"),
        ("UPDATE entries SET decision = x'007b7d' WHERE seq = 3", "a decision in the spool cannot be read"),
        ("UPDATE entries SET envelope = '{}' WHERE seq = 3", "an envelope in the spool cannot be read"),
        ("UPDATE counters SET n = 9 WHERE state = 'ready'", "counter ready/waiting: 9, but there are 1 entries"),
        ("UPDATE entries SET head = 0 WHERE head = 1", f"lane {samples.lane(3)}: nothing in it can be claimed"),
        ("INSERT INTO texts VALUES ('t', 0, x'00ff', 1)", "text of t"),
    ],
)
def test_what_is_wrong_is_told(cli_run: Cli, entries: Entries, tmp_path: Path, sql: str, told: str) -> None:
    spoil(tmp_path, sql)
    done = cli_run("spool", "verify")
    assert done.code == 1
    assert told in done.out
    (found,) = cli_run("spool", "verify", "--json").objects()
    assert any(told in fault for fault in found["faults"])
    assert "words" not in done.out


def test_a_page_that_the_disk_changed_is_told(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page, size = (
            db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries_state'").fetchone()[0],
            db.execute("PRAGMA page_size").fetchone()[0],
        )
    db.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size + size - 40 : page * size] = b"\xff" * 40
    path.write_bytes(content)
    done = cli_run("spool", "verify")
    assert done.code in (1, 74)
    assert "file:" in done.out or "SQLITE_CORRUPT" in done.err


@pytest.mark.parametrize("command", ["verify", "migrate", "compact"])
def test_no_spool_is_made_by_looking_at_it(cli_run: Cli, tmp_path: Path, command: str) -> None:
    done = cli_run("spool", command)
    assert (done.code, "there is no spool" in done.err) == (74, True)
    assert list(tmp_path.iterdir()) == []


def test_something_else_is_no_spool(cli_run: Cli, tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"this is no database at all" * 100)
    for command in ("verify", "migrate", "compact"):
        done = cli_run("spool", command)
        assert (done.code, "SQLITE_NOTADB" in done.err) == (74, True)


def test_keys_are_rotated_and_the_old_one_is_needed_no_more(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    held = entries["stranger"]
    path = tmp_path / "spool.db"
    with_spool(tmp_path, lambda spool: spool.remember_texts("t", ["text words"]))
    done = cli_run("spool", "compact", BRIDGE_SPOOL_KEY=OLD)
    assert (done.code, done.out.startswith("14 values sealed anew; ")) == (0, True)
    assert b"words" not in path.read_bytes()
    assert cli_run("spool", "verify").code == 78
    for keys in (f"{NEW},{OLD}", NEW):
        assert cli_run("queue", "show", held, "--text", "--json", BRIDGE_SPOOL_KEY=keys).code == (
            0 if OLD in keys else 78
        )
    (found,) = cli_run("spool", "compact", "--json", BRIDGE_SPOOL_KEY=f"{NEW},{OLD}").objects()
    assert (found["resealed"], found["shrunk"]) == (14, True)
    assert cli_run("spool", "compact", "--json", BRIDGE_SPOOL_KEY=f"{NEW},{OLD}").objects()[0]["resealed"] == 0
    assert cli_run("spool", "verify", BRIDGE_SPOOL_KEY=NEW).code == 0
    (shown,) = cli_run("queue", "show", held, "--text", "--json", BRIDGE_SPOOL_KEY=NEW).objects()
    assert "words" in shown["decision"]["message"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (f"a:{base64.b64encode(bytes(32)).decode()}", "key 'a' is not the one that the spool's mail was sealed with"),
        ("", "sealed with key 'a', which is not configured"),
        (NEW, "sealed with key 'a', which is not configured"),
        ("nonsense-secret", "BRIDGE_SPOOL_KEY: key 1: give one letter, a colon, and 32 bytes in base64"),
        (f"{OLD},{OLD}", "BRIDGE_SPOOL_KEY: two keys have the same letter"),
    ],
)
def test_a_wrong_key_ends_the_start(cli_run: Cli, entries: Entries, keys: str, told: str) -> None:
    assert cli_run("spool", "compact", BRIDGE_SPOOL_KEY=OLD).code == 0
    for command in (("serve",), ("spool", "verify"), ("spool", "compact"), ("queue", "list")):
        done = cli_run(
            *command, BRIDGE_SPOOL_KEY=keys, BRIDGE_LISTEN="127.0.0.1:0", BRIDGE_API_URL="http://127.0.0.1:1"
        )
        assert (done.code, told in done.err) == (78, True), done
        assert keys.partition(":")[2] not in done.err or not keys.partition(":")[2]
        assert "nonsense" not in done.err


def test_the_key_may_come_from_a_file(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    file = tmp_path / "spool.key"
    file.write_text(f"{OLD}\n")
    assert cli_run("spool", "compact", BRIDGE_SPOOL_KEY_FILE=str(file)).code == 0
    assert cli_run("spool", "verify").code == 78
    assert cli_run("spool", "verify", BRIDGE_SPOOL_KEY_FILE=str(file)).code == 0


def test_room_is_given_back_unless_a_bridge_serves(cli_run: Cli, tmp_path: Path) -> None:
    big = samples.mail(raw=b"x" * 500_000)

    async def erased(spool: object) -> None:
        assert hasattr(spool, "accept")
        await spool.accept(big)
        (claim,) = await spool.claim_received(1, 60)  # type: ignore[attr-defined]  # a spool
        await spool.decided(claim, samples.decision(), state=State.DISCARDED, lane="", body_digest="")  # type: ignore[attr-defined]
        assert await spool.erase(ended_before=2e9, held_before=0) == 1  # type: ignore[attr-defined]

    with_spool(tmp_path, erased)
    size = (tmp_path / "spool.db").stat().st_size
    held = lock(tmp_path / "spool.db")
    try:
        done = cli_run("spool", "compact")
        assert (done.code, "not shrunk, because a bridge serves it" in done.out) == (0, True)
        assert cli_run("spool", "migrate").code == 75
        assert cli_run("serve").code == 75
        assert cli_run("spool", "verify").code == 0
    finally:
        import os

        os.close(held)
    (found,) = cli_run("spool", "compact", "--json").objects()
    assert (found["shrunk"], found["size_after"] < size / 2) == (True, True)


def test_migrate_says_what_it_did(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    (found,) = cli_run("spool", "migrate", "--json").objects()
    assert found["before"] == found["after"] > 0
    assert "nothing to do" in cli_run("spool", "migrate").out
    (tmp_path / "spool.db").unlink()
    sqlite3.connect(tmp_path / "spool.db").close()
    (tmp_path / "spool.db").touch()
    done = cli_run("spool", "migrate")
    assert (done.code, done.out) == (0, f"schema 0 became {found['after']}\n")


def test_a_newer_schema_is_refused(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "spool.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    for command in ("verify", "migrate", "compact"):
        done = cli_run("spool", command)
        assert (done.code, "written by a newer bridge (schema 999)" in done.err) == (74, True)


def test_export(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    target = tmp_path / "out" / "maildir"
    (found,) = cli_run("spool", "export", str(target), "--json").objects()
    assert found == {"written": 7, "present": 0, "erased": 0, "faults": []}
    kept = mailbox.Maildir(target, create=False)
    raws = {key.split(".")[1]: kept.get_bytes(key) for key in kept.keys()}  # noqa: SIM118
    assert set(raws) == set(entries.values())
    assert raws[entries["ready"]] == (
        b"Return-Path: <Anna@Example.org>\r\nDelivered-To: support@example.com\r\nSubject: ready\r\n\r\nraw words\r\n"
    )
    (file,) = (target / "new").glob(f"*{entries['ready']}*")
    assert file.read_bytes().endswith(b"Subject: ready\r\n\r\nraw words\r\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert list((target / "tmp").iterdir()) == []
    done = cli_run("spool", "export", str(target), "--state", "held")
    assert done.out == f"0 mails written to {target}, 3 were there, 0 have no body any more\n"
    (shown,) = cli_run("queue", "show", entries["ready"], "--json").objects()
    assert [line["action"] for line in shown["audit"]] == ["export"]


def test_export_says_what_it_could_not(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    spoil(tmp_path, "UPDATE mails SET raw = x'00666f72676564' WHERE id = 3")
    spoil(tmp_path, "UPDATE entries SET erased = 1 WHERE seq = 4")
    done = cli_run("spool", "export", str(tmp_path / "m"))
    assert done.code == 1
    assert f"WRONG {entries['stranger']}: " in done.out
    assert "5 mails written" in done.out
    assert "1 have no body any more" in done.out
    (tmp_path / "file").write_text("")
    done = cli_run("spool", "export", str(tmp_path / "file"))
    assert (done.code, "file" in done.err) == (1, True)
    assert cli_run("spool", "export", str(tmp_path / "m"), "--state", "lost").code == 2


def test_progress_is_shown_to_people_only(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from bridge.spool_cli import _Progress

    shown: Callable[..., None] = _Progress("verified")
    shown(1, 2)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = _Progress("verified")
    progress(100, 200)
    progress(101, 200)
    progress.end()
    assert capfd.readouterr().err == "\rverified: 100 of 200\x1b[K\r\x1b[K"
