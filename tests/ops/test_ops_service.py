"""The service as systemd runs it: ready, alive, reloaded, drained, and ended when it cannot be trusted."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.main_job.running import Api, Bridge, eventually, sandbox

MAIL = "From: a@b.example\r\nSubject: Re: x\r\n\r\nHello.\r\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with sandbox(tmp_path) as running:
        yield running


def test_systemd_hears_ready_alive_and_stopping(tmp_path: Path, api: Api) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(10)
        bridge = Bridge(tmp_path, api.url, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        try:
            heard = [sock.recv(100) for _ in range(4)]
            assert set(heard) == {b"READY=1", b"WATCHDOG=1"}
            assert bridge.process.stop() == 0
            while heard[-1] != b"STOPPING=1":
                heard.append(sock.recv(100))
        finally:
            bridge.process.kill()


def test_sockets_that_systemd_opened(tmp_path: Path, api: Api) -> None:
    """The child gets a listening socket as descriptor 3, as sd_listen_fds(3) says."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        start = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execv(sys.executable, [sys.executable, '-m', 'bridge', 'serve'])"
        )
        environ = {
            **os.environ,
            "BRIDGE_LISTEN": "127.0.0.1:0",
            "BRIDGE_MAIL_DOMAINS": "example.com",
            "BRIDGE_API_URL": api.url,
            "BRIDGE_API_KEY": "k",
            "BRIDGE_SPOOL_URL": f"sqlite:///{tmp_path}/activated.db",
            "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        }
        descriptor = listening.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", start, str(descriptor)],
            env=environ,
            pass_fds=(descriptor,),
            stderr=subprocess.DEVNULL,
        ) as child:
            try:
                with smtplib.SMTP("127.0.0.1", listening.getsockname()[1], timeout=20) as client:
                    assert client.noop()[0] == 250
            finally:
                child.send_signal(signal.SIGTERM)
            assert child.wait(30) == 0


def test_a_certificate_is_reloaded_and_a_bad_one_is_not_taken(tmp_path: Path, api: Api) -> None:
    authority = trustme.CA()
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def write(name: str) -> None:
        made = authority.issue_cert(name)
        made.private_key_pem.write_to_path(str(key))
        made.cert_chain_pems[0].write_to_path(str(cert))

    write("one.example.com")
    bridge = Bridge(tmp_path, api.url, BRIDGE_TLS_CERT_FILE=str(cert), BRIDGE_TLS_KEY_FILE=str(key))
    try:
        write("two.example.com")
        bridge.process.child.send_signal(signal.SIGHUP)
        assert eventually(lambda: [line for line in bridge.process.output if '"reloaded"' in line])
        cert.write_text("nonsense")
        bridge.process.child.send_signal(signal.SIGHUP)
        assert eventually(lambda: [line for line in bridge.process.output if '"reload_failed"' in line])
        with smtplib.SMTP("127.0.0.1", bridge.port, timeout=10) as client:
            assert client.starttls()[0] == 220
            assert client.noop()[0] == 250
        assert bridge.process.stop() == 0
    finally:
        bridge.process.kill()


def test_a_second_bridge_on_the_same_spool_or_port_is_refused(tmp_path: Path, api: Api) -> None:
    bridge = Bridge(tmp_path, api.url)
    try:
        done = bridge.command("serve", check=False)
        assert done.returncode in (74, 75)
        assert "ticket-bridge: " in done.stderr
        assert "Traceback" not in done.stderr
        where = f"127.0.0.1:{bridge.port}"
        bridge.environ |= {"BRIDGE_LISTEN": where, "BRIDGE_SPOOL_URL": f"sqlite:///{tmp_path}/other.db"}
        done = bridge.command("serve", check=False)
        assert done.returncode == 78
        assert where in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        bridge.process.kill()


def test_the_risk_of_guessable_numbers_is_said_at_the_start(tmp_path: Path, api: Api) -> None:
    bridge = Bridge(tmp_path, api.url)
    try:
        assert eventually(lambda: [line for line in bridge.process.output if "BRIDGE_AUTHSERV_ID closes this" in line])
    finally:
        bridge.process.kill()


def test_shadow_mode_posts_nothing_until_it_is_replayed(tmp_path: Path, api: Api) -> None:
    bridge = Bridge(tmp_path, api.url, BRIDGE_MODE="shadow")
    try:
        bridge.send(MAIL)
        rows = eventually(lambda: [row for row in bridge.queue() if row["state"] == "recorded"])
        assert [row["reason"] for row in rows] == ["shadow"]
        time.sleep(0.3)
        assert api.bodies() == []
        bridge.command("queue", "replay", rows[0]["id"])
        assert eventually(api.bodies) == ["Hello."]
    finally:
        bridge.process.kill()


def test_a_rule_file_that_is_wrong_ends_the_start(tmp_path: Path, api: Api) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nid = "x"\npattern = "("\n')
    bridge = Bridge(tmp_path, api.url)
    bridge.process.kill()
    bridge.environ["BRIDGE_SENSITIVITY_RULES"] = str(rules)
    done = bridge.command("serve", check=False)
    assert (done.returncode, str(rules) in done.stderr) == (78, True)
    assert "Traceback" not in done.stderr
