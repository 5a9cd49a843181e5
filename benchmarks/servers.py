"""The servers that are measured, each a process of its own; and this disk's own speed.

``accepting``: the intake before a store that keeps nothing. ``durable``: the whole bridge as it is served, on SQLite,
while it reads a backlog of accepted mails and posts them to an API that counts them. ``aiosmtpd``: 1.4.6 as shipped,
with a handler that does nothing. ``smtp-sink``: Postfix's, which throws mail away. ``process-per-mail``: aiosmtpd whose
handler starts a Python process for each mail, which parses it and posts it, as a pipe behind a mail server does.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from bridge.model import Envelope
from bridge.spool import open_spool
from bridge.spool.api import NewMail

TICKET = "tkt_01hzy3v7k2m4n6p8q0r2s4t6v8"
RECIPIENT = f"support+{TICKET}@example.com"
LANES = 400
BLOCK = 4096
MESSAGES = f"/api/v2/support/tickets/{TICKET}/messages"
PROCESS = """
import sys, httpx, mailparser
mail = mailparser.parse_from_bytes(sys.stdin.buffer.read())
answer = httpx.post(sys.argv[1], json={"message": "".join(mail.text_plain), "encrypted": False})
assert answer.status_code == 201
"""


@dataclass(frozen=True)
class Server:
    """A server that is up."""

    port: int
    pid: int
    replies: Callable[[], int]
    """How many replies the API has got; 0 where there is none."""


async def _bare(port: int, url: str | None = None) -> None:
    from aiosmtpd.smtp import SMTP, Session
    from aiosmtpd.smtp import Envelope as Received

    class Nothing:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Received) -> str:  # noqa: N802
            return "250 OK"

    class Processes:
        """One process for each mail, as many at a time as there are cores."""

        free = asyncio.Semaphore(os.cpu_count() or 1)

        async def handle_DATA(self, server: SMTP, session: Session, envelope: Received) -> str:  # noqa: N802
            async with self.free:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", PROCESS, f"{url}{MESSAGES}", stdin=asyncio.subprocess.PIPE
                )
                await process.communicate(bytes(envelope.original_content or b""))
            return "250 OK" if process.returncode == 0 else "451 not posted"

    handler = Processes() if url else Nothing()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(handler, hostname="mx.example.com", loop=loop), "127.0.0.1", port)
    await asyncio.Event().wait()


async def _accepting(port: int) -> None:
    from bridge.intake import Intake, IntakeConfig, Listen
    from bridge.ops import logs
    from bridge.reference import AddressKeys, parse_address

    class Accepting:
        async def accept(self, mail: NewMail) -> tuple[str, ...]:
            return ("01hzy3v7k2m4n6p8q0r2s4t6v8",) * len(mail.envelopes)

        def accepting(self) -> bool:
            return True

    domains, mailboxes = frozenset({"example.com"}), frozenset({"support"})
    config = IntakeConfig(
        hostname="mx.example.com",
        match=partial(parse_address, domains=domains, mailboxes=mailboxes, keys=AddressKeys(), signed="off"),
        domains=domains,
        relay_networks=(ip_network("127.0.0.0/8"),),
    )
    intake = Intake(config, Accepting(), logs.configure("json"))
    await intake.start([Listen(host="127.0.0.1", port=port)])
    await asyncio.Event().wait()


async def _fill(url: str, mails: int) -> None:
    """Accepted mails that wait to be read: each of another sender, over ``LANES`` tickets."""
    spool = await open_spool(url, owner="bridge", high_water_bytes=1 << 40, min_free_bytes=0)

    async def one(number: int) -> None:
        ticket = f"tkt_{number % LANES:026d}"
        sender = f"kund{number}@example.net"
        words = "\r\n".join(f"This is line {line} of answer {number}." for line in range(40))
        head = f"From: {sender}\r\nTo: support@example.com\r\nSubject: Re: x\r\nMessage-ID: <{number}@example.net>\r\n"
        raw = f"Received: x\r\n{head}\r\n{words}\r\n".encode()
        envelope = Envelope(sender, f"support+{ticket}@example.com", received_at=time.time())
        await spool.accept(NewMail(raw, (envelope,), (ticket,)))

    for first in range(0, mails, 500):
        await asyncio.gather(*(one(number) for number in range(first, min(first + 500, mails))))
    await spool.close()


def serve(kind: str, port: int, url: str | None = None) -> None:
    """Be one of the servers that are no bridge."""
    if kind == "smtp-sink":
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        os.execvp("smtp-sink", ["smtp-sink", *user, f"127.0.0.1:{port}", "512"])
    if kind in ("aiosmtpd", "process-per-mail"):
        asyncio.run(_bare(port, url))
    import uvloop

    uvloop.run(_accepting(port))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def server(kind: str, backlog: int = 0) -> Iterator[Server]:
    """A server that answers; ``backlog`` mails wait in a durable one, and are being delivered already."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-"))
        port = _free_port()
        replies: Callable[[], int] = lambda: 0  # noqa: E731 - nothing to count
        command = ["-m", "benchmarks.servers", kind, str(port)]
        environ = dict(os.environ)
        if kind in ("durable", "process-per-mail"):
            api = stack.enter_context(_running(["-m", "benchmarks.stub_api"], environ))
            assert api.stdout
            api_port = int(api.stdout.readline())
            replies = partial(_count, api_port)
            command.append(f"http://127.0.0.1:{api_port}")
        if kind == "durable":
            url = f"sqlite:///{directory}/spool.db"
            asyncio.run(_fill(url, backlog))
            command, environ = ["-m", "bridge", "serve"], environ | _settings(port, api_port, url)
        process = stack.enter_context(_running(command, environ))
        _until(lambda: _answers(port), "the server does not answer")
        if backlog:
            _until(lambda: replies() > 0, "nothing is delivered")
        yield Server(port, process.pid, replies)


def _settings(port: int, api_port: int, url: str) -> dict[str, str]:
    return {
        "BRIDGE_LISTEN": f"127.0.0.1:{port}",
        "BRIDGE_HOSTNAME": "mx.example.com",
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_API_URL": f"http://127.0.0.1:{api_port}",
        "BRIDGE_API_KEY": "bench",
        "BRIDGE_SPOOL_URL": url,
        "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        "BRIDGE_SPOOL_HIGH_WATER_BYTES": str(1 << 40),
    }


@contextmanager
def _running(command: Sequence[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE if "benchmarks.stub_api" in command else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _until(true: Callable[[], bool], fault: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(fault)
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return sock.recv(3) == b"220"
    except OSError:
        return False


def _count(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count") as answer:
        return int(json.load(answer)["replies"])


def rss(pid: int) -> float:
    """Resident memory of a process, MB (10^6 bytes)."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def syncs(number: int) -> list[float]:
    """Sorted milliseconds that appending 4 KB and fdatasync took on this disk, one after the other."""
    took = []
    with tempfile.TemporaryFile(dir=Path.cwd(), buffering=0) as file:
        for _ in range(number):
            began = time.perf_counter()
            file.write(bytes(BLOCK))
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
