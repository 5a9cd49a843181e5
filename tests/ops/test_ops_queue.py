"""``ticket-bridge queue``: every action on every state, what it shows, and that nothing happens without an audit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.reasons import Reason
from bridge.spool.api import Detail, State
from tests.ops.conftest import Cli, with_spool
from tests.spool import samples

Entries = dict[str, str]


def detail(path: Path, entry_id: str) -> Detail:
    return with_spool(path, lambda spool: spool.detail(entry_id), exclusive=False)


def test_list_tells_everything_that_scripts_rely_on(cli_run: Cli, entries: Entries) -> None:
    rows = cli_run("queue", "list", "--json").objects()
    assert [row["id"] for row in rows] == list(entries.values())
    assert [row["state"] for row in rows] == ["delivered", "held", "held", "held", "recorded", "ready", "received"]
    row = rows[1]
    assert {"id", "state", "reason", "ticket", "sender", "attempts", "age_seconds"} <= set(row)
    assert (row["reason"], row["ticket"], row["sender"]) == ("refused_by_api", samples.lane(8), "anna@example.org")
    assert row["attempts"] == 1
    assert 0 <= row["age_seconds"] < 60
    assert rows[3]["ticket"] is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--state", "held"), ["unsure", "stranger", "no_ticket"]),
        (("--state", "held", "--state", "ready"), ["unsure", "stranger", "no_ticket", "ready"]),
        (("--reason", "no_ticket"), ["no_ticket"]),
        (("--ticket", samples.lane(3)), ["ready"]),
        (("--older-than", "1h"), []),
        (("--older-than", "0"), ["delivered", "unsure", "stranger", "no_ticket", "recorded", "ready", "received"]),
        (("--sender", "ANNA@example.org", "--state", "recorded"), ["recorded"]),
        (("--limit", "2"), ["delivered", "unsure"]),
        (("--sender", "nobody@example.org"), []),
    ],
)
def test_list_filters(cli_run: Cli, entries: Entries, options: tuple[str, ...], names: list[str]) -> None:
    rows = cli_run("queue", "list", "--json", *options).objects()
    assert [row["id"] for row in rows] == [entries[name] for name in names]


def test_list_for_people(cli_run: Cli, entries: Entries) -> None:
    done = cli_run("queue", "list")
    assert "no_ticket" in done.out
    assert entries["ready"] in done.out
    assert "only the first 7 are shown" in cli_run("queue", "list", "--limit", "7").err
    assert cli_run("queue", "list", "--limit", "8").err == ""


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [("--state", "lost", "states: received"), ("--reason", "because", "docs/reasons.md"), ("--older-than", "2w", "2h")],
)
def test_a_filter_that_cannot_be_is_bad_usage(
    cli_run: Cli, entries: Entries, option: str, value: str, hint: str
) -> None:
    for command in (("queue", "list"), ("queue", "discard", "--all", "--yes")):
        done = cli_run(*command, option, value)
        assert (done.code, hint in done.err) == (2, True)


def test_completion_offers_every_state_and_reason(cli_run: Cli) -> None:
    """Bash asks, as the installed completion does."""
    asked = "ticket-bridge queue list --state "
    environ = {"_TICKET_BRIDGE_COMPLETE": "complete_bash", "COMP_WORDS": asked, "COMP_CWORD": "4"}
    assert set(cli_run(**environ).out.split()) == set(State)
    environ |= {"COMP_WORDS": "ticket-bridge queue list --reason ticket_", "COMP_CWORD": "4"}
    assert set(cli_run(**environ).out.split()) == {reason for reason in Reason if reason.startswith("ticket_")}
    environ |= {"COMP_WORDS": "ticket-bridge queue re", "COMP_CWORD": "2"}
    assert set(cli_run(**environ).out.split()) == {"redirect", "retry", "release", "replay", "reject"}


def test_actions_tell_scripts_what_became_of_each(cli_run: Cli, entries: Entries) -> None:
    done = cli_run("queue", "release", "--json", entries["stranger"], entries["no_ticket"])
    well, bad = done.objects()
    assert done.code == 1
    assert well == {"id": entries["stranger"], "action": "release", "done": True}
    assert (bad["id"], bad["done"], "redirect it" in bad["error"]) == (entries["no_ticket"], False, True)


def test_many_show_how_far_they_are(tmp_path: Path, entries: Entries) -> None:
    """On a terminal; what scripts read stays clean."""
    arguments = ["queue", "hold", "--json", *[entries["ready"]] * 30]
    environ = {
        **os.environ,
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_SPOOL_URL": f"sqlite:///{tmp_path}/spool.db",
        "TERM": "xterm",
    }
    leader, terminal = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments], env=environ, stdout=subprocess.PIPE, stderr=terminal, check=False
    )
    os.close(terminal)
    painted = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(leader, 65536):
            painted += chunk
    os.close(leader)
    assert done.returncode == 1
    assert [json.loads(line)["done"] for line in done.stdout.splitlines()] == [True] + [False] * 29
    assert b"hold" in painted


def test_show_keeps_the_words_back_until_they_are_asked_for(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    (shown,) = cli_run("queue", "show", entries["delivered"][:20], "--json").objects()
    assert "message" not in shown["decision"]
    assert "words" not in str(shown)
    assert shown["attempts_made"][0]["message_id"] == "tmsg_1"
    assert shown["audit"] == []
    (shown,) = cli_run("queue", "show", entries["delivered"], "--json", "--text").objects()
    assert shown["decision"]["elided"] == "> old"
    assert [line.action for line in detail(tmp_path, entries["delivered"]).audit] == ["reveal"]


def test_show_paints_nobodys_terminal(cli_run: Cli, entries: Entries) -> None:
    done = cli_run("queue", "show", entries["delivered"], "--text")
    assert "words" in done.out
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "\\x1b[31m" in done.out
    assert "words" not in cli_run("queue", "show", entries["delivered"]).out
    assert "audit" in cli_run("queue", "show", entries["delivered"]).out


def test_release_sends_as_it_stands_and_knows_the_sender(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    assert cli_run("queue", "release", entries["stranger"], "--note", "asked by phone").code == 0
    found = detail(tmp_path, entries["stranger"])
    assert (found.entry.state, found.entry.released) == ("ready", True)
    assert (found.audit[0].action, found.audit[0].note) == ("release", "asked by phone")
    assert found.audit[0].actor.startswith("cli:")


def test_release_of_what_names_no_ticket_says_what_to_do(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    done = cli_run("queue", "release", entries["no_ticket"])
    assert done.code == 1
    assert "redirect it to a ticket" in done.err
    assert detail(tmp_path, entries["no_ticket"]).audit == ()


def test_redirect(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    done = cli_run("queue", "redirect", entries["no_ticket"], "tkt_1")
    assert (done.code, "no ticket" in done.err) == (1, True)
    assert cli_run("queue", "redirect", entries["no_ticket"], samples.lane(5).upper()).code == 0
    found = detail(tmp_path, entries["no_ticket"])
    assert (found.entry.state, found.entry.override) == ("received", samples.lane(5))
    assert samples.lane(5) in found.audit[0].note


@pytest.mark.parametrize(
    ("command", "well", "state"),
    [
        ("retry", {"unsure", "stranger", "no_ticket", "ready", "received"}, None),
        ("release", {"unsure", "stranger"}, "ready"),
        ("replay", {"recorded"}, "ready"),
        ("hold", {"ready", "received"}, "held"),
        ("discard", {"unsure", "stranger", "no_ticket", "recorded", "ready", "received"}, "discarded"),
    ],
)
def test_every_action_on_every_state(
    cli_run: Cli, entries: Entries, tmp_path: Path, command: str, well: set[str], state: str | None
) -> None:
    for name, entry_id in entries.items():
        before = detail(tmp_path, entry_id).entry.state
        done = cli_run("queue", command, entry_id)
        found = detail(tmp_path, entry_id)
        assert (done.code == 0) is (name in well), (name, done)
        if name in well:
            assert state is None or found.entry.state == state
            assert [line.action for line in found.audit] == [command]
        else:
            assert (found.entry.state, found.audit) == (before, ())


def test_bulk_asks_first(cli_run: Cli, entries: Entries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = cli_run("queue", "discard", "--all", "--state", "held")
    assert (done.code, "discard 3 entries?" in done.err) == (1, True)
    assert detail(tmp_path, entries["unsure"]).entry.state == "held"
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert cli_run("queue", "discard", "--all", "--state", "held").code == 0
    assert detail(tmp_path, entries["unsure"]).entry.state == "discarded"


def test_bulk(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    assert cli_run("queue", "discard").code == 2
    assert cli_run("queue", "discard", "--all", entries["ready"]).code == 2
    assert cli_run("queue", "discard", "--all", "--yes", "--state", "held").out.count("done") == 3
    assert detail(tmp_path, entries["unsure"]).entry.state == "discarded"
    done = cli_run("queue", "discard", "--all", "--state", "held")
    assert (done.code, done.out, done.err) == (0, "", "no entry is selected\n")


def test_bulk_selects_what_the_action_is_for(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    done = cli_run("queue", "hold", "--all", "--yes", "--json")
    assert done.code == 0
    assert {row["id"] for row in done.objects()} == {entries["ready"], entries["received"]}


def test_bulk_redirect(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    two = (entries["no_ticket"], entries["stranger"])
    assert cli_run("queue", "redirect", *two, "149943").out.count("done") == 2
    assert [detail(tmp_path, one).entry.override for one in two] == ["149943"] * 2
    assert cli_run("queue", "redirect", "149943").code == 2
    assert cli_run("queue", "redirect", "--all", "--yes", "--state", "recorded", samples.lane(5)).code == 0
    assert detail(tmp_path, entries["recorded"]).entry.override == samples.lane(5)


def test_it_needs_no_key(cli_run: Cli, entries: Entries) -> None:
    assert cli_run("queue", "list", BRIDGE_API_KEY="").code == 0


def test_unknown_entry_and_erased_entry(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    assert cli_run("queue", "retry", "01zzzzzzzzzzzzzzzzzzzzzzzz").code == 1
    with_spool(tmp_path, lambda spool: spool.erase(ended_before=2e9, held_before=0), exclusive=False)
    done = cli_run("queue", "replay", entries["recorded"])
    assert (done.code, "erased" in done.err) == (1, True)
    done = cli_run("queue", "export", entries["recorded"], str(tmp_path / "gone.eml"))
    assert done.code == 1
    assert cli_run("queue", "show", "01zzzzzzzzzzzzzzzzzzzzzzzz").code == 1
    assert not (tmp_path / "gone.eml").exists()


def test_export(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    file = tmp_path / "out.eml"
    assert cli_run("queue", "export", entries["no_ticket"], str(file)).code == 0
    assert b"Subject: no_ticket\r\n\r\nraw words\r\n" in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [line.action for line in detail(tmp_path, entries["no_ticket"]).audit] == ["export"]
    done = cli_run("queue", "export", entries["no_ticket"], str(file))
    assert (done.code, "File exists" in done.err) == (1, True)
    done = cli_run("queue", "export", entries["no_ticket"], "-")
    assert done.out.encode() == file.read_bytes()


def test_without_a_spool_it_says_so(cli_run: Cli) -> None:
    done = cli_run("queue", "list")
    assert done.code == 74
    assert "ticket-bridge: " in done.err
