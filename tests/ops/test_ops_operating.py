"""``status``, ``settings`` and ``send-test``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.delivery import GateState
from bridge.ops.heartbeat import KEY, Beat
from tests.main_job.running import TICKET, Api, Bridge, eventually, sandbox
from tests.ops.conftest import Cli, with_spool

Entries = dict[str, str]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with sandbox(tmp_path) as running:
        yield running


def beat(path: Path, beat: Beat) -> None:
    """A bridge was here."""
    with_spool(path, lambda spool: spool.put_meta(KEY, beat.dumps()), exclusive=False)


def test_status(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    beat(tmp_path, Beat(time.time(), GateState(open=True), circuit_open=False))
    done = cli_run("status", "--json")
    (found,) = done.objects()
    assert done.code == 0
    assert found["counts"]["by_state"]["held"] == 3
    assert found["counts"]["held_by_reason"]["no_ticket"] == 1
    assert (found["usage"]["accepting"], found["troubles"]) == (True, [])
    done = cli_run("status")
    assert "3  held" in done.out
    assert "1  held: no_ticket" in done.out
    assert "oldest waiting" in done.out
    assert "delivery: open" in done.out


def test_status_beside_a_bridge_knows_what_it_knows(cli_run: Cli, entries: Entries, tmp_path: Path) -> None:
    now = time.time()
    done = cli_run("status")
    assert (done.code, "WRONG No bridge runs on this spool:" in done.out) == (1, True)
    beat(tmp_path, Beat(now, GateState(open=False, reason="key", since=now - 5), circuit_open=False))
    done = cli_run("status")
    assert done.code == 1
    assert re.search(r"delivery: paused: key, for [0-9]+ s$", done.out, re.MULTILINE)
    assert "WRONG Delivery is paused: the API refuses the key." in done.out
    for gone in (Beat(now - 120, GateState(open=True), False), Beat(now - 120, GateState(open=True), False, True)):
        beat(tmp_path, gone)
        done = cli_run("status")
        assert re.search(r"No bridge runs on this spool \(last seen 1[2-9][0-9] s ago\)", done.out)


def test_status_says_what_is_wrong(cli_run: Cli, entries: Entries) -> None:
    done = cli_run("status", BRIDGE_SPOOL_MIN_FREE_BYTES=str(2**60))
    assert (done.code, "WRONG No mail is accepted" in done.out) == (1, True)


def test_settings_tell_their_source_and_no_secret(cli_run: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bridge.env"
    file.write_text("BRIDGE_MAILBOXES=help,support\nBRIDGE_TLS_REQUIRED=false\n")
    token = tmp_path / "token"
    token.write_text("a-secret-of-operators")
    (tmp_path / "bridge_address_keys").write_text("a:bm90LWEtcmVhbC1rZXktMTIzNA==")
    done = cli_run(
        "--env-file", str(file), "settings", BRIDGE_OPS_TOKEN_FILE=str(token), CREDENTIALS_DIRECTORY=str(tmp_path)
    )
    assert done.code == 0
    lines = dict(line.split("=", 1) for line in done.out.splitlines())
    assert lines["BRIDGE_MAILBOXES"] == f"help,support  (the env file {file})"
    assert lines["BRIDGE_MAIL_DOMAINS"] == "example.com  (the environment)"
    assert lines["BRIDGE_OPS_TOKEN"] == "********  (its file, named by the environment)"
    assert lines["BRIDGE_ADDRESS_KEYS"] == "********  (a systemd credential)"
    assert lines["BRIDGE_MAX_RECIPIENTS"] == "100  (default)"
    assert lines["BRIDGE_API_KEY"] == "********  (the environment)"
    assert lines["BRIDGE_TLS_REQUIRED"].startswith("false")
    assert lines["BRIDGE_SENSITIVITY_RULES"] == "  (default)"
    assert "a-secret-of-operators" not in done.out
    rows = {row["name"]: row for row in cli_run("settings", "--json").objects()}
    assert rows["BRIDGE_MAX_RECIPIENTS"] == {"name": "BRIDGE_MAX_RECIPIENTS", "value": "100", "source": "default"}


def test_send_test_goes_the_whole_way(tmp_path: Path, api: Api) -> None:
    bridge = Bridge(tmp_path, api.url)
    try:
        bridge.environ["BRIDGE_LISTEN"] = f"127.0.0.1:{bridge.port}"
        done = bridge.command("send-test", "--ticket", TICKET, "--json")
        told = json.loads(done.stdout)
        assert (told["state"], told["ticket"]) == ("delivered", TICKET)
        assert [message["id"] for message in api.new()] == told["posted"]
        assert api.bodies()[0].startswith("This is a test of the ticket bridge")
        bridge.environ["BRIDGE_TEST_TICKET"] = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"
        done = bridge.command("send-test", check=False)
        assert (done.returncode, "held, ticket_not_found" in done.stdout) == (1, True)
        bridge.environ["BRIDGE_MAILBOXES"] = "elsewhere"
        done = bridge.command("send-test", check=False)
        assert (done.returncode, "did not take the mail: 550" in done.stderr) == (1, True)
        api.fault(fault="refuse", seconds=30, count=1)
        bridge.environ["BRIDGE_MAILBOXES"] = "support"
        done = bridge.command("send-test", "--ticket", TICKET, "--wait", "0.5", check=False)
        assert done.returncode == 1
        assert eventually(lambda: "delivered" not in done.stdout)
    finally:
        bridge.process.kill()


def test_send_test_without_a_bridge_or_a_ticket(cli_run: Cli) -> None:
    done = cli_run("send-test", BRIDGE_LISTEN="127.0.0.1:9")
    assert (done.code, "--ticket or BRIDGE_TEST_TICKET" in done.err) == (78, True)
    for listen in ("127.0.0.1:9", "lmtp://127.0.0.1:9", "lmtp+unix:///nonexistent/socket", "0.0.0.0:9"):
        done = cli_run("send-test", "--ticket", TICKET, BRIDGE_LISTEN=listen)
        assert (done.code, f"does not take mail at {listen}" in done.err) == (1, True)
