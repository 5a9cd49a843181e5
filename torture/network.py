"""Clients that mean harm beside good ones, and two bridges that answer each other."""

from __future__ import annotations

import random
import smtplib
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.main_job.running import Bridge
from torture.world import Criterion, balanced, world

RSS_BOUND = 256 * 1024 * 1024


def rss(process: int) -> int:
    """Resident bytes of one process."""
    for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _slow(sock: socket.socket, chance: random.Random) -> None:
    for byte in b"EHLO slow.example\r\nMAIL FROM:<a@b.example>\r\n":
        sock.sendall(bytes([byte]))
        time.sleep(chance.uniform(0.05, 0.3))


def _endless_line(sock: socket.socket, chance: random.Random) -> None:
    del chance
    for _ in range(200):
        sock.sendall(b"A" * 65_536)


def _endless_mail(sock: socket.socket, chance: random.Random) -> None:
    del chance
    sock.sendall(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n")
    for _ in range(800):
        sock.sendall(b"x" * 65_536)


def _garbage(sock: socket.socket, chance: random.Random) -> None:
    for _ in range(50):
        sock.sendall(chance.randbytes(4_096))


def _goes_away(sock: socket.socket, chance: random.Random) -> None:
    sock.sendall(
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\nSubject: half a mail\r\n"
    )
    time.sleep(chance.uniform(0.0, 0.2))
    sock.shutdown(socket.SHUT_WR)


def _never_reads(sock: socket.socket, chance: random.Random) -> None:
    del chance
    sock.settimeout(2.0)
    for _ in range(2_000):
        sock.sendall(b"NOOP\r\n" * 100)


HOSTILE: tuple[Callable[[socket.socket, random.Random], None], ...] = (
    _slow,
    _endless_line,
    _endless_mail,
    _garbage,
    _goes_away,
    _never_reads,
)


def _attack(port: Callable[[], int], over: threading.Event, seed: int) -> None:
    chance = random.Random(seed)
    while not over.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port()), timeout=10) as sock:
                HOSTILE[seed % len(HOSTILE)](sock, chance)
        except OSError:
            time.sleep(0.05)


def hostile_clients(scale: float) -> Iterator[Criterion]:
    """Slow, endless, silent and garbled clients, 24 at a time, beside relays that behave."""
    over = threading.Event()
    with world(tickets=16) as it:
        attackers = [
            threading.Thread(target=_attack, args=(lambda: it.bridge.port, over, n), daemon=True) for n in range(24)
        ]
        for thread in attackers:
            thread.start()
        load, most = it.load(max(200, round(2_000 * scale)), pause_s=0.02), 0
        while load.running:
            most = max(most, rss(it.bridge.process.child.pid))
            time.sleep(0.2)
        over.set()
        balance = it.balance(load.mails, 120)
        for thread in attackers:
            thread.join(15)
    took = sorted(mail.took_s for mail in load.acknowledged)
    p99 = statistics.quantiles(took, n=100)[98]
    yield balanced("beside 24 hostile clients", balance)
    yield Criterion("p99 from the end of DATA to 250 for the good ones ≤ 2 s", f"{p99 * 1000:.0f} ms", p99 <= 2.0)
    yield Criterion(f"RSS ≤ {RSS_BOUND >> 20} MB", f"{most >> 20} MB", most <= RSS_BOUND)


def loop(scale: float) -> Iterator[Criterion]:
    """Each bridge is the other's smarthost for reports to senders; every mail is rejected by an operator on both."""
    mails = max(5, round(20 * scale))
    with world(tickets=1) as it:
        it.bridge.process.kill()
        ports = [_free_port(), _free_port()]
        pair = [
            Bridge(
                _made(it.directory / name),
                it.api.url,
                BRIDGE_LISTEN=f"127.0.0.1:{ports[at]}",
                BRIDGE_MAIL_DOMAINS=f"{name}.example",
                BRIDGE_AUTHSERV_ID="mx.example",
                BRIDGE_NOTICE_SMARTHOST=f"127.0.0.1:{ports[1 - at]}",
                BRIDGE_NOTICE_FROM=f"support@{name}.example",
            )
            for at, name in enumerate(("first", "second"))
        ]
        try:
            yield from _loop(pair, ports, mails)
        finally:
            for bridge in pair:
                bridge.process.kill()


def _loop(pair: list[Bridge], ports: list[int], mails: int) -> Iterator[Criterion]:
    for number in range(mails):
        with smtplib.SMTP("127.0.0.1", ports[0], timeout=30) as client:
            client.sendmail(
                "support@second.example",
                ["support@first.example"],
                "Received: from x by mx.example; Wed, 25 Nov 2026 10:00:00 +0000\r\n"
                "Authentication-Results: mx.example; dmarc=pass header.from=second.example\r\n"
                f"From: support@second.example\r\nSubject: loop {number}\r\n"
                f"Message-ID: <{number}@loop.example>\r\n\r\nHello {number}\r\n",
            )
    counts = []
    for _ in range(8):
        for bridge in pair:
            for entry in bridge.queue("--state", "held"):
                bridge.command("queue", "reject", entry["id"], check=False)
        time.sleep(10)
        counts.append(sum(len(bridge.queue()) for bridge in pair))
    reports = [entry for bridge in pair for entry in bridge.queue() if entry["state"] == "recorded"]
    bound = mails + 2
    yield Criterion(
        f"two bridges in a loop: {mails} mails stay at most {bound}", f"{counts[-1]} entries", counts[-1] <= bound
    )
    yield Criterion("and come to rest", " → ".join(map(str, counts)), counts[-1] == counts[-2])
    yield Criterion("a report is recorded, never answered", f"{len(reports)} recorded", len(reports) <= 2)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
