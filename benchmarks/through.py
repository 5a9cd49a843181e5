"""Mails sent by SMTP until the API has their replies: accepted and delivered a second, processor time and memory.

All servers get the same mails (answers of customers, no two alike, over as many tickets as there are sessions) from the
same sender, which shares the machine with them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

from benchmarks.delivery import mail
from benchmarks.machine import usage
from benchmarks.paced import Session
from benchmarks.servers import Server, server

SESSIONS = 20
WITHIN_S = 240
LINES = {5_120: 49, 102_400: 1_348}
"""Lines of quoted history that make a mail of about so many bytes."""


@dataclass(frozen=True)
class Through:
    """What one server did."""

    accepted_per_s: float
    delivered_per_s: float
    cpu_ms: float
    """Per mail, of the server's processes, accepting and delivering."""
    rss_mb: float
    """Of the server's processes together, the most that was seen."""


def through(kind: str, size: int, mails: int, *, reuse: bool) -> Through:
    """A server of this kind takes ``mails`` mails and posts them."""
    raws = [mail(number, LINES[size]) for number in range(mails)]
    with server(kind) as running:
        uvloop.run(_send(running.port, raws[:SESSIONS], warm=True, reuse=True))
        _posted(running, SESSIONS)
        return uvloop.run(_measured(running, raws, reuse=reuse))


def _posted(running: Server, replies: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while running.replies() < replies:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {running.replies()} of {replies} replies came")
        time.sleep(0.02)


async def _measured(running: Server, raws: list[bytes], *, reuse: bool) -> Through:
    before, began = usage(running.pid), time.perf_counter()
    highest = before.rss_mb

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, usage(running.pid).rss_mb)
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    await _send(running.port, raws, warm=False, reuse=reuse)
    accepted = time.perf_counter() - began
    await asyncio.to_thread(_posted, running, SESSIONS + len(raws))
    delivered = time.perf_counter() - began
    watching.cancel()
    cpu = usage(running.pid).cpu_s - before.cpu_s
    return Through(len(raws) / accepted, len(raws) / delivered, cpu * 1000 / len(raws), highest)


async def _send(port: int, raws: list[bytes], *, warm: bool, reuse: bool) -> None:
    await asyncio.gather(
        *(_one(port, raws[number::SESSIONS], number, warm=warm, reuse=reuse) for number in range(SESSIONS))
    )


async def _one(port: int, raws: list[bytes], ticket: int, *, warm: bool, reuse: bool) -> None:
    """One sender: a session for all its mails, or one for each."""
    for first in range(0, len(raws), len(raws) if reuse else 1):
        transport, session = await asyncio.get_running_loop().create_connection(Session, "127.0.0.1", port)
        await session.expect(b"220")
        session.send(b"EHLO sender.example\r\n")
        await session.expect(b"250")
        for raw in raws if reuse else raws[first : first + 1]:
            # The mails that warm the server up are for other tickets, so that they are no copies.
            recipient = f"support+tkt_{ticket + 500 * warm:026d}@example.com"
            session.send(f"MAIL FROM:<anna@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
            for code in (b"250", b"250", b"354"):
                await session.expect(code)
            session.send(raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            await session.expect(b"250")
        session.send(b"QUIT\r\n")
        await session.expect(b"221")
        transport.close()
