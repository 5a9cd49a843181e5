"""Mails at a steady rate, and how long each waited: ``python -m benchmarks.paced PORT RATE MAILS SESSIONS SIZE RCPT``.

Prints the sorted milliseconds from the end of DATA to its ``250``, as JSON. Schedules are kept whatever the server
does: a mail that is late because the one before it was slow counts from when it was sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop


class Session(asyncio.Protocol):
    """One SMTP session; replies are taken one line at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if line[3:4] == b" ":
                self._waiting.put_nowait(line)

    async def expect(self, code: bytes) -> None:
        line = await self._waiting.get()
        if not line.startswith(code):
            raise SystemExit(f"expected {code!r}, got {line!r}")

    def send(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]  # uvloop's transports are none by class


async def one(port: int, slots: list[float], size: int, recipient: str, waited: list[float]) -> None:
    loop = asyncio.get_running_loop()
    _, session = await loop.create_connection(Session, "127.0.0.1", port)
    await session.expect(b"220")
    session.send(b"EHLO paced.example\r\n")
    await session.expect(b"250")
    body = b"Subject: paced\r\n\r\n" + (b"x" * 78 + b"\r\n") * (size // 80) + b".\r\n"
    commands = f"MAIL FROM:<kund@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    for slot in slots:
        await asyncio.sleep(max(0.0, slot - time.perf_counter()))
        session.send(commands)
        for code in (b"250", b"250", b"354"):
            await session.expect(code)
        began = time.perf_counter()
        session.send(body)
        await session.expect(b"250")
        waited.append((time.perf_counter() - began) * 1000)


async def main(port: int, rate: float, mails: int, sessions: int, size: int, recipient: str) -> None:
    waited: list[float] = []
    begin = time.perf_counter() + 0.5
    slots = [[begin + number / rate for number in range(first, mails, sessions)] for first in range(sessions)]
    await asyncio.gather(*(one(port, mine, size, recipient, waited) for mine in slots))
    print(json.dumps(sorted(waited)))


if __name__ == "__main__":
    port, rate, mails, sessions, size, recipient = sys.argv[1:]
    uvloop.run(main(int(port), float(rate), int(mails), int(sessions), int(size), recipient))
