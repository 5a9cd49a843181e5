"""How fast what was accepted is delivered: ``python -m benchmarks.delivery [--out FILE]``.

``ticket-bridge serve``, a process of its own, is started on a spool that holds 5 KB human mails (words, a signature, a
quoted history, in quoted-printable) and takes them the whole way: read, extract, scan, intent, POST, settle. The ticket
API is a stub in another process that answers 201 at once and takes the time from the first POST to the last. The peer,
in the same run: Python processes started one after another that each parse one mail and post it with httpx. Rounds
alternate; the best of each counts. Exits with 1 below a target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from benchmarks.servers import PROCESS
from bridge.model import Envelope
from bridge.spool import open_spool
from bridge.spool.api import NewMail

MAILS, TICKETS, PEERS = 4000, 500, 20
AT_LEAST, TIMES = 300.0, 20.0
_TEXT = """
hej och tack för ert snabba svar jag har provat att starta om tjänsten men felet är kvar när jag loggar in på sidan
kommer samma meddelande upp igen vi behöver hjälp före fredag annars stannar hela butiken
"""
_WORDS = _TEXT.split()


def mail(number: int, lines: int = 40) -> bytes:
    """A customer's answer, no two alike: about 5 KB with a history of 40 lines."""
    chance = random.Random(number)

    def words(count: int) -> str:
        return " ".join(chance.choice(_WORDS) for _ in range(count))

    history = "\n".join(f"> {words(11)}" for _ in range(lines))
    made = EmailMessage()
    made["From"] = f"Anna Andersson <anna{number}@example.net>"
    made["To"] = "support@example.com"
    made["Subject"] = "Re: Felet är kvar"
    made["Message-ID"] = f"<{number}@example.net>"
    made["Date"] = "Mon, 05 Jan 2026 10:00:00 +0100"
    made.set_content(
        f"Hej,\n\n{words(70)}.\n\n{words(80)}.\n\nMed vänliga hälsningar\nAnna\n\n"
        f"On Mon, 5 Jan 2026 at 09:12, Support <support@example.com> wrote:\n{history}\n",
        cte="quoted-printable",
    )
    return made.as_bytes().replace(b"\n", b"\r\n")


class Stub(asyncio.Protocol):
    """Answers every request at once, and knows when the first and the last POST came."""

    count, first, last = 0, 0.0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, rest = self.data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self.data = rest[size:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        body: dict[str, object] = {"count": Stub.count, "seconds": Stub.last - Stub.first}
        posted = head.startswith(b"POST")
        if posted:
            Stub.count += 1
            Stub.last = time.monotonic()
            Stub.first = Stub.first or Stub.last
            ticket = head.split(b"/", 7)[5].decode()
            body = {"id": f"tmsg_{Stub.count:026d}", "ticketId": ticket, "sender": "customer", "attachments": []}
        content = json.dumps(body).encode()
        status = b"201 Created" if posted else b"200 OK"
        self.transport.write(  # type: ignore[attr-defined]  # asyncio gives protocols a writing transport
            b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, len(content), content)
        )


async def stub() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def stub_process() -> Iterator[str]:
    """The stub, in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delivery", "--stub"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def fill(path: Path, mails: int) -> None:
    """A spool with mails that were accepted and not yet read."""
    spool = await open_spool(f"sqlite:///{path}", owner="bench", high_water_bytes=1 << 33, min_free_bytes=0)

    async def one(number: int) -> None:
        ticket = f"tkt_{number % TICKETS:026d}"
        envelope = Envelope(f"anna{number}@example.net", f"support+{ticket}@example.com", client_ip="127.0.0.1")
        await spool.accept(NewMail(mail(number), (envelope,), (ticket,)))

    for begin in range(0, mails, 500):
        await asyncio.gather(*(one(number) for number in range(begin, min(begin + 500, mails))))
    await spool.close()


def bridge(mails: int) -> float:
    """Mails delivered in a second by the bridge."""
    with tempfile.TemporaryDirectory() as directory, stub_process() as url:
        asyncio.run(fill(Path(directory) / "spool.db", mails))
        environ = {
            **os.environ,
            "BRIDGE_LISTEN": "127.0.0.1:0",
            "BRIDGE_MAIL_DOMAINS": "example.com",
            "BRIDGE_API_URL": url,
            "BRIDGE_API_KEY": "bench",
            "BRIDGE_SPOOL_URL": f"sqlite:///{directory}/spool.db",
            "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        }
        serving = subprocess.Popen([sys.executable, "-m", "bridge", "serve"], env=environ, stderr=subprocess.DEVNULL)
        try:
            return _watched(url, mails)
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.wait(60)


def _watched(url: str, mails: int) -> float:
    deadline = time.monotonic() + 170
    while time.monotonic() < deadline:
        time.sleep(0.5)
        with urllib.request.urlopen(url) as answer:
            seen = json.loads(answer.read())
        if seen["count"] >= mails:
            return (mails - 1) / float(seen["seconds"])
    raise SystemExit(f"only {seen['count']} of {mails} mails were delivered")


def peer(mails: int) -> float:
    """Mails delivered in a second by processes that each take one."""
    with tempfile.TemporaryDirectory() as directory, stub_process() as url:
        path = Path(directory) / "mail.eml"
        path.write_bytes(mail(0))
        target = f"{url}/api/v2/support/tickets/tkt_{0:026d}/messages"
        started = time.monotonic()
        for _ in range(mails):
            with path.open("rb") as raw:
                subprocess.run([sys.executable, "-c", PROCESS, target], stdin=raw, check=True)
        return mails / (time.monotonic() - started)


def report(ours: float, theirs: float, rounds: int, mails: int) -> str:
    """The result as Markdown."""
    where = (
        f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; {rounds} rounds of {mails} "
        f"mails ({len(mail(1))} bytes) on {TICKETS} tickets, the best counts."
    )
    return "\n".join(
        [
            "# Delivery",
            "",
            "`make bench-delivery` measures this; `benchmarks/delivery.py` says how.",
            "",
            where,
            "",
            "| what | delivered per second | target |",
            "|---|---|---|",
            f"| the bridge: read, extract, scan, intent, POST, settle | {ours:.0f} | {AT_LEAST:.0f} |",
            f"| a Python process for each mail: parse, POST with httpx | {theirs:.1f} | |",
            f"| ratio | {ours / theirs:.0f} | {TIMES:.0f} |",
            "",
        ]
    )


def main() -> int:
    """Measure; 1 below a target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stub", action="store_true")
    parser.add_argument("--mails", type=int, default=MAILS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out")
    options = parser.parse_args()
    if options.stub:
        import uvloop

        uvloop.run(stub())
        return 0
    ours = theirs = 0.0
    for _ in range(options.rounds):
        ours, theirs = max(ours, bridge(options.mails)), max(theirs, peer(PEERS))
    text = report(ours, theirs, options.rounds, options.mails)
    print(text)
    if options.out:
        Path(options.out).write_text(text, "utf-8")
    return 0 if ours >= AT_LEAST and ours / theirs >= TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
