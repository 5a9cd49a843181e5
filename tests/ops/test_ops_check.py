"""``ticket-bridge check`` and ``address``: each fault is named, and everything looked at is said."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ops.conftest import Cli, with_spool
from tests.sandbox.serving import EXAMPLE, KEY, NUMBER, WRITE_ONLY, Served, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("check") / "sandbox.db") as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> None:
    async def nothing(_spool: object) -> None:
        return

    with_spool(tmp_path, nothing)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def greeting(text: bytes) -> Iterator[int]:
    """A listener that greets one client."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.settimeout(10)

        def greet() -> None:
            with sock.accept()[0] as client:
                client.sendall(text)

        thread = threading.Thread(target=greet)
        thread.start()
        yield sock.getsockname()[1]
        thread.join(10)


@pytest.mark.usefixtures("spool")
def test_all_is_well(cli_run: Cli, api: Served) -> None:
    done = cli_run(
        "check",
        "--ticket",
        NUMBER,
        BRIDGE_API_URL=api.url,
        BRIDGE_API_KEY=KEY,
        BRIDGE_LISTEN=f"127.0.0.1:{free_port()}",
    )
    assert done.code == 0, done
    assert "WRONG" not in done.out
    for said in (
        "configuration",
        "rules and keys",
        "number policy",
        "free",
        "durable",
        "read:support",
        "write:support",
    ):
        assert said in done.out, said
    assert f"reached: {EXAMPLE}, status answered" in done.out
    messages = api.api.get(f"/api/v2/support/tickets/{EXAMPLE}").json()["messages"]
    assert not any(message["body"] == "check" for message in messages)


@pytest.mark.usefixtures("spool")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BRIDGE_API_KEY": "wrong"}, "401"),
        ({"BRIDGE_API_KEY": WRITE_ONLY}, "no read:support"),
        ({"BRIDGE_API_URL": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_faults_of_the_api(cli_run: Cli, api: Served, settings: dict[str, str], said: str) -> None:
    done = cli_run(
        "check", **{"BRIDGE_API_URL": api.url, "BRIDGE_API_KEY": KEY, "BRIDGE_LISTEN": "127.0.0.1:0", **settings}
    )
    assert done.code == 1
    assert any(line.startswith("WRONG") and said in line for line in done.out.splitlines()), done.out


@pytest.mark.usefixtures("spool")
def test_a_ticket_that_the_key_does_not_reach(cli_run: Cli, api: Served) -> None:
    ticket = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"
    done = cli_run("check", "--ticket", ticket, BRIDGE_API_URL=api.url, BRIDGE_API_KEY=KEY, BRIDGE_LISTEN="127.0.0.1:0")
    assert done.code == 1
    assert f"WRONG ticket {ticket}: the ticket API answered 404" in done.out
    done = cli_run(
        "check", "--ticket", "x/../y", BRIDGE_API_URL=api.url, BRIDGE_API_KEY=KEY, BRIDGE_LISTEN="127.0.0.1:0"
    )
    assert "is no ticket id" in done.out


@pytest.mark.usefixtures("spool")
def test_ports(cli_run: Cli) -> None:
    with greeting(b"220 bridge.example.com ESMTP\r\n") as port:
        done = cli_run("check", "--offline", BRIDGE_LISTEN=f"127.0.0.1:{port},lmtp+unix:///run/x.sock")
    assert (done.code, "held by this bridge" in done.out, "not probed" in done.out) == (0, True, True)
    with greeting(b"220 other.example.com ESMTP\r\n") as port:
        done = cli_run("check", "--offline", BRIDGE_LISTEN=f"127.0.0.1:{port}")
    assert (done.code, "Address already in use" in done.out) == (1, True)
    done = cli_run("check", "--offline", BRIDGE_LISTEN="192.0.2.77:2525")
    assert (done.code, "Cannot assign requested address" in done.out) == (1, True)
    done = cli_run("check", "--offline", BRIDGE_LISTEN="nowhere.invalid:2525")
    assert (done.code, "WRONG listen nowhere.invalid:2525" in done.out) == (1, True)


def test_a_spool_that_is_none(cli_run: Cli, tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"not a database" * 1000)
    done = cli_run("check", "--offline", BRIDGE_LISTEN="127.0.0.1:0")
    assert done.code == 1
    assert "WRONG spool" in done.out


def test_a_spool_that_is_not_there_yet(cli_run: Cli, tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/new/spool.db"
    done = cli_run("check", "--offline", BRIDGE_LISTEN="127.0.0.1:0", BRIDGE_SPOOL_URL=where)
    assert (done.code, "can be made" in done.out) == (0, True)
    assert list(tmp_path.iterdir()) == []
    for path in ("/proc/new/spool.db", f"{tmp_path}/a/b/spool.db"):
        done = cli_run("check", "--offline", BRIDGE_LISTEN="127.0.0.1:0", BRIDGE_SPOOL_URL=f"sqlite:///{path}")
        assert (done.code, f"WRONG spool: {path} cannot be made" in done.out) == (1, True)


@pytest.mark.usefixtures("spool")
def test_a_spool_past_its_high_water_mark(cli_run: Cli) -> None:
    done = cli_run("check", "--offline", BRIDGE_LISTEN="127.0.0.1:0", BRIDGE_SPOOL_MIN_FREE_BYTES=str(2**60))
    assert (done.code, "mail gets 452" in done.out) == (1, True)


@pytest.mark.usefixtures("spool")
def test_a_rule_file_that_is_wrong(cli_run: Cli, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rule]]\nid = ")
    done = cli_run("check", "--offline", BRIDGE_LISTEN="127.0.0.1:0", BRIDGE_SENSITIVITY_RULES=str(rules))
    assert (done.code, str(rules) in done.out) == (1, True)


KEYS = "a:" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.mark.usefixtures("spool")
def test_mailboxes_too_long_to_sign(cli_run: Cli) -> None:
    settings = {
        "BRIDGE_LISTEN": "127.0.0.1:0",
        "BRIDGE_ADDRESS_KEYS": KEYS,
        "BRIDGE_SIGNED_ADDRESSES": "warn",
        "BRIDGE_MAILBOXES": "support,customer-service-desk",
    }
    done = cli_run("check", "--offline", **settings)
    assert (done.code, "customer-service-desk: over 15 octets" in done.out) == (1, True)


def test_address(cli_run: Cli) -> None:
    assert cli_run("address", EXAMPLE).out == f"support+{EXAMPLE}@example.com\n"
    signed = cli_run("address", EXAMPLE.upper(), "--json", BRIDGE_ADDRESS_KEYS=KEYS).objects()[0]["address"]
    assert signed.startswith(f"support+{EXAMPLE}.a")
    assert len(signed.partition("@")[0]) == len(f"support+{EXAMPLE}.a") + 16
    assert cli_run("address", "tkt_short").code == 2


def test_version_and_help(cli_run: Cli) -> None:
    assert cli_run("--version").out.startswith("ticket-bridge ")
    assert "explain" in cli_run("--help").out
    assert cli_run("nonsense").code == 2


def test_warnings_are_said_and_faults_end_it(cli_run: Cli, tmp_path: Path) -> None:
    done = cli_run("address", EXAMPLE, BRIDGE_SERVICE_HOST="10.0.0.1")
    assert (done.code, "Kubernetes" in done.err) == (0, True)
    done = cli_run("address", EXAMPLE, BRIDGE_MAILBOX="x")
    assert (done.code, "did you mean BRIDGE_MAILBOXES" in done.err) == (78, True)
    file = tmp_path / "bridge.env"
    file.write_text("BRIDGE_MAILBOXES=help\n")
    assert cli_run("--env-file", str(file), "address", EXAMPLE).out == f"help+{EXAMPLE}@example.com\n"
