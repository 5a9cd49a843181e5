"""``ticket-bridge sensitivity``, ``check`` and the reload: what they tell of rules, and no mail's words."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.main_job.running import Bridge, eventually, sandbox
from tests.ops.conftest import Cli
from tests.sensitivity.test_sensitivity_rules import GOOD

ROOT = Path(__file__).parents[2]


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    box = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (box / name).mkdir(parents=True)
    words = {
        "certain": "The password is Canary7!kfp2",
        "cut": "Thanks.\n\nOn Mon, Rita wrote:\n> The password is Canary7!kfp2",
        "clean": "Thank you, it works now.",
        "badge": "it is BADGE-1234",
    }
    for name, text in words.items():
        mail = f"From: a@b.example\nTo: support@example.com\nSubject: Re: x\nMessage-ID: <{name}@b.example>\n\n{text}\n"
        (box / "new" / name).write_text(mail)
    return box


def test_the_shipped_rules_and_the_example_hold(cli_run: Cli) -> None:
    done = cli_run("sensitivity", "test")
    assert done.code == 0, done
    assert "default.toml" in done.out
    done = cli_run("sensitivity", "test", str(ROOT / "config/sensitivity.example.toml"))
    assert done.code == 0, done
    assert "3 rules of its own" in done.out


def test_the_rules_in_use_are_those_of_the_settings(cli_run: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("extend = false\n" + GOOD)
    done = cli_run("sensitivity", "test", BRIDGE_SENSITIVITY_RULES=str(own))
    assert "1 rules of its own; 1 of 1 rules are in force" in done.out
    assert "all 2 examples hold" in done.out


def test_every_failing_example_is_told_at_once_and_none_is_shown(cli_run: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    other = GOOD.replace('"badge"', '"other"').replace("BADGE-12", "BADGE-9999")
    own.write_text(GOOD.replace("BADGE-1234", "canary-in-example") + other)
    for command in (("sensitivity", "test", str(own)), ("check", "--offline")):
        done = cli_run(*command, BRIDGE_SENSITIVITY_RULES=str(own))
        told = done.out + done.err
        assert done.code == (78 if command[0] == "sensitivity" else 1), done
        assert f"{own}:2: rule 'badge': match example 1 is not matched" in told
        assert f"{own}:9: rule 'other': no_match example 1 is matched" in told
        assert "canary" not in told


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_told(cli_run: Cli, tmp_path: Path, content: bytes | None) -> None:
    own = tmp_path / "own.toml"
    if content is not None:
        own.write_bytes(content)
    done = cli_run("sensitivity", "test", str(own))
    assert done.code == 78
    assert str(own) in done.err


def test_a_scan_counts_and_shows_no_words(cli_run: Cli, maildir: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(GOOD)
    done = cli_run("sensitivity", "scan", "--rules", str(own), "--files", str(maildir))
    assert done.code == 0, done
    assert "4 mails, 2 would be encrypted (50.0%), 0 could not be read" in done.out
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line[:4] in {"pass", "badg"}}
    assert rows["password"] == ["1", "0", "1"]
    assert rows["badge"] == ["1", "0", "0"]
    assert f"{maildir}/new/badge: badge" in done.out
    assert "Canary" not in done.out + done.err
    assert "BADGE" not in done.out + done.err


def test_a_scan_in_json_by_the_settings(cli_run: Cli, maildir: Path) -> None:
    done = cli_run("sensitivity", "scan", "--json", "--files", str(maildir), BRIDGE_SENSITIVITY_QUOTED="true")
    (counts,) = done.objects()
    assert (counts["mails"], counts["flagged"], counts["unreadable"]) == (4, 2, 0)
    assert counts["certain"]["password"] == counts["cut"]["password"] == 1
    assert set(counts["files"]) == {f"{maildir}/new/certain", f"{maildir}/new/cut"}
    assert "files" not in cli_run("sensitivity", "scan", "--json", str(maildir)).objects()[0]


@pytest.mark.parametrize(
    ("settings", "flagged"),
    [
        ({}, 1),
        ({"BRIDGE_SENSITIVITY_QUOTED": "true"}, 2),
        ({"BRIDGE_SENSITIVITY_ALWAYS": "b.example"}, 4),
        ({"BRIDGE_SENSITIVITY_NEVER": "b.example", "BRIDGE_SENSITIVITY_QUOTED": "true"}, 0),
        ({"BRIDGE_SENSITIVITY_NEVER": "example.com"}, 0),
        ({"BRIDGE_SENSITIVITY_ALWAYS": "example.com", "BRIDGE_SENSITIVITY_NEVER": "b.example"}, 4),
        ({"BRIDGE_SENSITIVITY_TIER": "certain"}, 1),
    ],
)
def test_every_setting_does_what_it_says(cli_run: Cli, maildir: Path, settings: dict[str, str], flagged: int) -> None:
    assert cli_run("sensitivity", "scan", "--json", str(maildir), **settings).objects()[0]["flagged"] == flagged


def test_a_scan_of_nothing(cli_run: Cli, tmp_path: Path) -> None:
    for name in ("cur", "new"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    assert "0 mails, 0 would be encrypted, 0" in cli_run("sensitivity", "scan", str(tmp_path / "empty")).out
    assert cli_run("sensitivity", "scan", str(tmp_path / "nowhere")).code == 78


@pytest.mark.system
@pytest.mark.system
def test_rules_are_reloaded_and_a_broken_file_keeps_the_last_good_ones(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("extend = false\n" + GOOD)
    with sandbox(tmp_path) as api:
        bridge = Bridge(tmp_path, api.url, BRIDGE_SENSITIVITY_RULES=str(own), BRIDGE_OPS_BIND="127.0.0.1:0")
        output = bridge.process.output

        def post(text: str) -> bool:
            bridge.send(f"From: c@example.net\r\nSubject: Re: x\r\n\r\n{text}\r\n")
            assert eventually(lambda: text in api.bodies())
            return bool(next(new["encrypted"] for new in api.new() if new["body"] == text))

        def ready() -> str:
            page = re.search(r'"url": "(http\S+?)/?"', "".join(output))
            assert page
            return httpx.get(page[1] + "/readyz", trust_env=False).text

        def reloaded(event: str) -> str:
            before = len(output)
            bridge.process.child.send_signal(signal.SIGHUP)
            found = eventually(lambda: [line for line in output[before:] if event in line and "sensitivity" in line])
            assert found, output
            return str(found[0])

        try:
            assert post("first BADGE-1234")
            assert not post("first COIN-1234")
            own.write_text("extend = false\n" + GOOD.replace("BADGE", "COIN"))
            reloaded('"reloaded"')
            assert post("second COIN-1234")
            assert not post("second BADGE-1234")
            own.write_text("extend = false\n" + GOOD.replace("BADGE-(", "(?=BADGE-)("))
            told = json.loads(reloaded('"reload_failed"'))
            assert told["level"] == "error"
            assert f"{own}:3: rule 'badge': RE2 cannot express the pattern" in told["what"]
            assert post("third COIN-1234")
            assert "last good ones are in force" in bridge.command("status", check=False).stdout
            assert "last good ones are in force" in ready()
            own.write_text("extend = false\n" + GOOD)
            reloaded('"reloaded"')
            assert eventually(lambda: "last good" not in ready())
            assert bridge.process.stop() == 0
        finally:
            bridge.process.kill()
