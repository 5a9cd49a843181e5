"""The whole bridge when its disk is short, full, read-only or lies about a sync, and when clients want its memory."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.servers import rss
from tests.main_job.conftest import api, make_bridge  # noqa: F401 - fixtures
from tests.main_job.running import TICKET, Api, Bridge, Process, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
TO = f"support+{TICKET}@example.com"
Make = Callable[..., Bridge]


def mail(number: int, size: int = 0) -> bytes:
    head = f"From: kund{number}@example.net\r\nSubject: Re: x\r\nMessage-ID: <{number}@x>\r\n\r\nAnswer {number}\r\n"
    return head.encode() + b"x" * size + b"\r\n"


def send(bridge: Bridge, raw: bytes) -> tuple[int, bytes]:
    """The answer to a mail, wherever it comes: MAIL, RCPT or the end of DATA."""
    with smtplib.SMTP("127.0.0.1", bridge.port, timeout=60) as client:
        client.ehlo()
        code, text = client.mail("kund@example.net")
        if code == 250:
            client.rcpt(TO)
            code, text = client.data(raw)
        return code, text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", where], check=True)
    try:
        yield where
    finally:
        # The bridge that uses it is ended after this: it goes when nobody has it open any more.
        subprocess.run(["umount", "--lazy", where], check=True)


def fill(where: Path, left: int) -> Path:
    """Take room until ``left`` bytes are free."""
    filler = where / "filler"
    with filler.open("wb") as file:
        while (free := os.statvfs(where).f_bavail * os.statvfs(where).f_frsize) > left:
            file.write(bytes(min(65_536, free - left)))
            file.flush()
    return filler


def test_a_full_disk_delays_mail_and_loses_none(make_bridge: Make, api: Api, small_disk: Path) -> None:  # noqa: F811
    bridge = make_bridge(BRIDGE_SPOOL_URL=f"sqlite:///{small_disk}/spool.db")
    assert send(bridge, mail(1))[0] == 250
    eventually(api.bodies)
    filler = fill(small_disk, 0)
    answers = [send(bridge, mail(number, 200_000)) for number in range(2, 8)]
    assert answers[-1][0] in (451, 452), answers
    assert answers[-1][1].startswith((b"4.3.0", b"4.3.1"))
    assert all(code in (250, 451, 452) for code, _ in answers)
    kept = [number for number, (code, _) in enumerate(answers, 2) if code == 250]
    assert bridge.process.child.poll() is None, "".join(bridge.process.output[-20:])
    filler.unlink()
    assert eventually(lambda: send(bridge, mail(9))[0] == 250, 30), "it accepts again by itself"
    wanted = {1, 9, *kept}
    eventually(lambda: len(api.bodies()) >= len(wanted), 60)
    assert {int(body.split()[1]) for body in api.bodies()} == wanted
    bridge.process.stop()
    assert bridge.command("spool", "verify").returncode == 0


def test_a_short_disk_is_told_before_the_mail(make_bridge: Make, api: Api, small_disk: Path) -> None:  # noqa: F811
    settings = {"BRIDGE_SPOOL_URL": f"sqlite:///{small_disk}/spool.db", "BRIDGE_SPOOL_MIN_FREE_BYTES": str(4 << 20)}
    bridge = make_bridge(**settings)
    assert send(bridge, mail(1))[0] == 250
    filler = fill(small_disk, 3 << 20)
    assert eventually(lambda: send(bridge, mail(2)) == (452, b"4.3.1 Insufficient storage, try again later"), 10)
    filler.unlink()
    assert eventually(lambda: send(bridge, mail(3))[0] == 250, 10)


def test_a_disk_that_became_read_only(make_bridge: Make, api: Api, small_disk: Path) -> None:  # noqa: F811
    bridge = make_bridge(BRIDGE_SPOOL_URL=f"sqlite:///{small_disk}/spool.db")
    assert send(bridge, mail(1))[0] == 250
    eventually(api.bodies)
    bridge.process.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = bridge.command("serve", check=False)
    assert (done.returncode, "cannot be used" in done.stderr) == (74, True), done
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    bridge.start()
    assert send(bridge, mail(2))[0] == 250
    assert eventually(lambda: len(api.bodies()) == 2 and api.bodies(), 20) == ["Answer 1", "Answer 2"]


class Traced(Bridge):
    """A bridge in which system calls fail as strace is told."""

    def start(self) -> None:
        super().start()
        self.strace: subprocess.Popen[bytes] | None = None

    def fail(self, what: str) -> None:
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={what}", "-p", str(self.process.child.pid)]
        self.strace = subprocess.Popen(command, stderr=subprocess.PIPE)
        time.sleep(1.5)

    def heal(self) -> None:
        if self.strace:
            self.strace.send_signal(signal.SIGINT)
            self.strace.communicate(timeout=20)
            self.strace = None


@pytest.mark.parametrize("what", ["fsync,fdatasync:error=EIO", "pwrite64:error=EIO"])
def test_after_a_failed_sync_nothing_is_acknowledged(api: Api, tmp_path: Path, what: str) -> None:  # noqa: F811
    """Once the disk says that it could not keep something, the process ends; the relay keeps the mail."""
    bridge = Traced(tmp_path, api.url)
    try:
        assert send(bridge, mail(1))[0] == 250
        eventually(api.bodies)
        bridge.fail(what)
        try:
            answer = send(bridge, mail(2))
        except (OSError, smtplib.SMTPException):
            answer = (0, b"")
        assert answer[0] != 250
        assert eventually(lambda: bridge.process.child.poll() is not None, 30)
        bridge.heal()
        assert bridge.process.stop() == 74
        bridge.start()
        assert send(bridge, mail(2))[0] == 250
        eventually(lambda: len(api.bodies()) >= 2)
        assert sorted(set(api.bodies())) == ["Answer 1", "Answer 2"]
        assert len(api.bodies()) == 2
    finally:
        bridge.heal()
        bridge.process.stop()


def raw_client(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.recv(200)
    sock.sendall(f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{TO}>\r\nDATA\r\n".encode())
    heard = b""
    while b"354" not in heard:
        heard += sock.recv(4096)
    return sock


def test_memory_stays_bounded(make_bridge: Make, api: Api) -> None:  # noqa: F811
    """200 connections of 25 MB at once, and one endless line: RSS under 256 MB, and ``4xx`` for what does not fit."""
    bridge = make_bridge(BRIDGE_MAX_MESSAGE_BYTES="27000000", BRIDGE_LISTEN="127.0.0.1:0")
    pid, peak = bridge.process.child.pid, 0.0
    clients = [raw_client(bridge.port) for _ in range(200)]
    chunk = b"y" * 998 + b"\r\n"
    block = chunk * 1_000
    try:
        for _ in range(25):
            for client in clients:
                client.sendall(block)
            peak = max(peak, rss(pid))
        answers = []
        for client in clients:
            client.sendall(b".\r\n")
            answers.append(client.recv(200)[:3])
            peak = max(peak, rss(pid))
    finally:
        for client in clients:
            client.close()
    assert set(answers) <= {b"250", b"452", b"451"}
    assert answers.count(b"452") > 150
    assert peak < 256, f"{peak} MB"
    with raw_client(bridge.port) as client:
        try:
            for _ in range(300):
                client.sendall(b"z" * 1_000_000)
            client.sendall(b"\r\n.\r\n")
            answer = client.recv(200)[:3]
        except OSError:
            answer = b""
        assert answer in (b"552", b"452", b"")
    assert rss(pid) < 256


def test_sigterm_ends_what_is_in_flight_and_exits_well(make_bridge: Make, api: Api) -> None:  # noqa: F811
    bridge = make_bridge(BRIDGE_GRACE_SECONDS="10")
    idle = socket.create_connection(("127.0.0.1", bridge.port), timeout=20)
    idle.recv(200)
    busy = raw_client(bridge.port)
    busy.sendall(mail(1)[:20])
    time.sleep(0.3)
    bridge.process.child.send_signal(signal.SIGTERM)
    assert idle.recv(200).startswith(b"421 4.3.2 ")
    assert eventually(lambda: not _connects(bridge.port), 5)
    busy.sendall(mail(1)[20:] + b".\r\n")
    assert busy.recv(200).startswith(b"250 2.6.0 ")
    assert bridge.process.child.wait(30) == 0
    idle.close()
    busy.close()
    assert [row["state"] for row in bridge.queue()] in (["received"], ["ready"], ["delivered"])


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_socket_activation(api: Api, tmp_path: Path) -> None:  # noqa: F811
    """As systemd does it (sd_listen_fds(3)): open sockets from number 3 on, named by their protocol."""
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    launcher = (
        "import os, sys\n"
        f"os.dup2({first.fileno()}, 103); os.dup2({second.fileno()}, 104)\n"
        "os.dup2(103, 3); os.dup2(104, 4)\n"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'smtp:lmtp'}\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'bridge', 'serve'])\n"
    )
    environ = {
        "BRIDGE_LISTEN": "127.0.0.1:0",
        "BRIDGE_HOSTNAME": "bridge.example.com",
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_API_URL": api.url,
        "BRIDGE_API_KEY": "main-job-key",
        "BRIDGE_SPOOL_URL": f"sqlite:///{tmp_path}/spool.db",
        "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
    }
    script = tmp_path / "launch.py"
    script.write_text(launcher)
    for sock in (first, second):
        os.set_inheritable(sock.fileno(), True)
    process = Process([str(script)], r'"event": "started"', environ, pass_fds=(first.fileno(), second.fileno()))
    try:
        with smtplib.SMTP(*first.getsockname(), timeout=20) as client:
            client.sendmail("kund@example.net", [TO], mail(1))
        with smtplib.LMTP(*second.getsockname()) as local:
            local.sendmail("kund@example.net", [TO], mail(2))
        assert eventually(lambda: len(api.bodies()) >= 2 and sorted(api.bodies())) == ["Answer 1", "Answer 2"]
    finally:
        assert process.stop() == 0
        first.close()
        second.close()
