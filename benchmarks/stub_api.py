"""A ticket API that takes every reply at once and counts them: ``python -m benchmarks.stub_api``; prints its port.

It does no more than the contract asks of a success (``201`` with the message's id), so that what is measured is the
bridge. ``GET /count`` tells how many replies came.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Api(asyncio.Protocol):
    """One connection, kept alive."""

    replies = 0
    numbers = itertools.count(1)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            found = _LENGTH.search(head)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < size:
                return
            del self._buffer[:size]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        status, body = "200 OK", json.dumps({"replies": Api.replies})
        if head.startswith(b"POST ") and b"/messages " in head.split(b"\r\n", 1)[0]:
            Api.replies += 1
            status, body = "201 Created", json.dumps({"id": f"tmsg_{next(Api.numbers):026d}"})
        elif not head.startswith(b"GET /count "):
            status, body = "200 OK", json.dumps({"data": [], "id": "x", "messages": []})
        told = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self._transport.write(told.encode())  # type: ignore[attr-defined]  # uvloop's transports are none by class


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
