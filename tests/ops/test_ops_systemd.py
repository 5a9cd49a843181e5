"""Where no systemd runs its protocol is played, as the unit asks for it.

Sources: systemd.exec(5), sd_listen_fds(3), sd_notify(3).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.main_job.running import KEY, Api, eventually, sandbox

ROOT = Path(__file__).resolve().parents[2]
WATCHDOG_S = 2.0
HANGS = """import asyncio, sys, time
from bridge import sdnotify
real, hang = sdnotify.notify, sys.argv.pop(1)
def notify(state, *rest):
    if state == "READY=1":
        asyncio.get_running_loop().call_later(1, time.sleep, float(hang))
    return real(state, *rest)
sdnotify.notify = notify
from bridge.__main__ import main
main()
"""
LISTENS = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def directives(name: str) -> dict[str, list[str]]:
    """What a unit file says."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


class Manager:
    """Does for one service what systemd does."""

    def __init__(self, path: Path, api: Api) -> None:
        self.path, self.api = path, api
        self.unit, self.socket_unit = directives("ticket-bridge.service"), directives("ticket-bridge.socket")
        env_file = path / "bridge.env"
        given = {
            "BRIDGE_MAIL_DOMAINS": "example.com",
            "BRIDGE_HOSTNAME": "bridge.example.com",
            "BRIDGE_LISTEN": "127.0.0.1:0",
            "BRIDGE_API_URL": api.url,
            "BRIDGE_SPOOL_URL": f"sqlite:///{path}/spool.db",
            "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        }
        env_file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(str(path / "notify"))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.child: subprocess.Popen[bytes] | None = None

    def _credentials(self) -> Path:
        """``LoadCredential=ID:DIRECTORY``: each file of it, as ID_NAME, readable by the service only."""
        (line,) = self.unit["LoadCredential"]
        name, _, source = line.partition(":")
        assert source == "/etc/ticket-bridge/credentials"
        files = self.path / "credentials"
        files.mkdir(exist_ok=True)
        (files / "api_key").write_text(f"{KEY}\n")
        loaded = self.path / "loaded"
        shutil.rmtree(loaded, ignore_errors=True)
        loaded.mkdir()
        for file in files.iterdir():
            shutil.copy(file, loaded / f"{name}_{file.name}")
        return loaded

    def start(self, *, hang_s: float = 0.0, within_s: float = 30.0) -> None:
        (line,) = self.unit["ExecStart"]
        tool, *arguments = line.split()
        assert tool == "/opt/ticket-bridge/bin/ticket-bridge"
        assert self.unit["Type"] == ["notify"]
        assert float(self.unit["WatchdogSec"][0]) > 2 * 15, "two beats fit"
        read = (self.path / "bridge.env").read_text().splitlines()
        environ = {
            "PATH": os.environ["PATH"],
            **dict(one.split("=", 1) for one in self.unit["Environment"]),
            **dict(one.split("=", 1) for one in read),
            "CREDENTIALS_DIRECTORY": str(self._credentials()),
            "NOTIFY_SOCKET": str(self.path / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
            "LISTEN_FDNAMES": self.socket_unit["FileDescriptorName"][0],
        }
        run = ["-c", HANGS, str(hang_s)] if hang_s else ["-m", "bridge"]
        descriptor = self.listening.fileno()
        with (self.path / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-c", LISTENS, str(descriptor), *run, *arguments],
                env=environ,
                pass_fds=(descriptor,),
                stderr=log,
                cwd=ROOT,
            )
        assert b"READY=1" in self.next(within_s)

    def next(self, within_s: float) -> bytes:
        """The next message; TimeoutError when none comes in time."""
        self.heard.settimeout(within_s)
        return self.heard.recv(1000)

    def drain(self) -> None:
        self.heard.setblocking(False)
        try:
            while self.heard.recv(1000):
                pass
        except BlockingIOError:
            pass

    def silent_for(self) -> float:
        """Seconds until the next WATCHDOG=1."""
        self.drain()
        begin = time.monotonic()
        assert self.next(30) == b"WATCHDOG=1"
        return time.monotonic() - begin

    def stop(self) -> int:
        assert self.child
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(float(self.unit["TimeoutStopSec"][0]))

    def close(self) -> None:
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait(10)
        self.heard.close()
        self.listening.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with sandbox(tmp_path) as api:
        made = Manager(tmp_path, api)
        yield made
        made.close()


def test_a_service_as_the_unit_starts_it(manager: Manager) -> None:
    """Settings from the env file, the key from a credential, the port from a socket; ready, alive, drained, gone."""
    manager.start()
    assert manager.next(20) == b"WATCHDOG=1"
    with smtplib.SMTP("127.0.0.1", manager.listening.getsockname()[1], timeout=30) as client:
        mail = "From: a@b.example\r\nSubject: Re: x\r\n\r\nBy a socket of systemd.\r\n"
        client.sendmail("a@b.example", ["support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@example.com"], mail)
    assert eventually(manager.api.bodies) == ["By a socket of systemd."]
    assert KEY not in (manager.path / "log").read_text()
    assert manager.child
    environ = Path(f"/proc/{manager.child.pid}/task/{manager.child.pid}/children").read_text().split()
    for child in environ:
        assert KEY.encode() not in Path(f"/proc/{child}/environ").read_bytes()
    manager.drain()
    assert manager.stop() == 0
    assert b"STOPPING=1" in manager.next(5)


def test_the_port_stays_open_over_a_restart(manager: Manager) -> None:
    manager.start()
    assert manager.stop() == 0
    with socket.create_connection(manager.listening.getsockname(), timeout=30) as waiting:
        manager.drain()
        manager.start()
        assert waiting.recv(100).startswith(b"220 ")


def test_bad_settings_are_not_started_again(manager: Manager) -> None:
    env_file = manager.path / "bridge.env"
    env_file.write_text(env_file.read_text() + "BRIDGE_MAILBOXS=help\n")
    with pytest.raises(TimeoutError):
        manager.start(within_s=5)
    assert manager.child
    code = manager.child.wait(20)
    assert [str(code)] == manager.unit["RestartPreventExitStatus"]


@pytest.mark.timeout(120)
def test_the_watchdog_starves_when_the_loop_hangs(manager: Manager) -> None:
    manager.start(hang_s=5)
    longest = 0.0
    begin = time.monotonic()
    while time.monotonic() - begin < 9:
        longest = max(longest, manager.silent_for())
    assert longest > WATCHDOG_S, "systemd would have ended it"
    assert manager.stop() == 0


@pytest.mark.timeout(120)
def test_the_watchdog_starves_when_the_writer_hangs(manager: Manager) -> None:
    """Another process keeps the spool's lock; once it lets go, the bridge is alive again."""
    manager.start()
    assert manager.next(20) == b"WATCHDOG=1"
    blocker = sqlite3.connect(manager.path / "spool.db", isolation_level=None, timeout=20)
    blocker.execute("BEGIN IMMEDIATE")
    time.sleep(0.5)
    manager.drain()
    with pytest.raises(TimeoutError):
        manager.next(WATCHDOG_S + 1)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert manager.next(30) == b"WATCHDOG=1"
    assert re.search(r"part_failed", (manager.path / "log").read_text()) is None
    assert manager.stop() == 0
