"""One HTTP exchange as bytes, and the TCP connection under it, which a fault may cut.

ASGI has no word for a broken connection. The server therefore enters each connection's transport in ``Connections``,
under the peer's address that the ASGI scope names as ``client``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope, Send

_LINGER_ZERO = struct.pack("ii", 1, 0)
_FLUSH_S = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer, without ``Content-Length``."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def with_body(self, body: bytes) -> Answer:
        """The same answer with another body."""
        return replace(self, body=body)

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same answer with more headers."""
        return replace(self, headers=(*self.headers, *headers.items()))


class Connections:
    """The open connections, by the peer's host and port."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, peer: tuple[str, int], transport: asyncio.Transport) -> None:
        """A connection was accepted."""
        self._open[peer] = transport

    def lost(self, peer: tuple[str, int]) -> None:
        """A connection is gone."""
        self._open.pop(peer, None)

    def of(self, peer: object) -> asyncio.Transport:
        """The transport of a peer. Raises ``ConnectionResetError`` when it has none (gone, or no TCP at all)."""
        transport = self._open.get(peer) if isinstance(peer, tuple) else None
        if transport is None:
            raise ConnectionResetError("this exchange has no open TCP connection")
        return transport

    def reset_all(self, *, but: object = None) -> None:
        """Reset every connection except one peer's."""
        for peer, transport in list(self._open.items()):
            if peer != but:
                reset(transport)


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP RST: a zero linger time makes close() discard what is unsent (socket(7))."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


class Exchange:
    """Sends one answer, whole, in part, or not at all."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, connections: Connections) -> None:
        """``receive`` must have given the whole request already."""
        self._peer = scope.get("client")
        self._receive = receive
        self._send = send
        self._connections = connections

    async def start(self, answer: Answer, *, length: int | None = None) -> None:
        """Send the head; ``Content-Length`` is the body's, or ``length``."""
        size = len(answer.body) if length is None else length
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
        if answer.status not in (204, 304):
            headers.append((b"content-length", str(size).encode()))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def answer(self, answer: Answer) -> None:
        """Send all of it."""
        await self.start(answer)
        await self._send({"type": "http.response.body", "body": answer.body})

    async def pieces(self, pieces: Iterable[bytes], pause_s: float) -> None:
        """Send the body piece by piece, each after a pause, until the peer has gone."""
        gone = asyncio.ensure_future(self.gone())
        try:
            for piece in pieces:
                await asyncio.wait((gone,), timeout=pause_s)
                if gone.done():
                    return
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def cut(self, answer: Answer, at: int) -> None:
        """Send the head and the first ``at`` bytes of the body, then reset the connection."""
        await self.begin(answer, at)
        await self.hang_up("reset")

    async def begin(self, answer: Answer, at: int) -> None:
        """Send the head and the first ``at`` bytes of the body."""
        await self.start(answer)
        await self._send({"type": "http.response.body", "body": answer.body[:at], "more_body": True})
        await asyncio.sleep(_FLUSH_S)  # a reset throws away what the kernel has not sent yet

    async def hang_up(self, how: str) -> None:
        """End the connection without (more of) an answer: ``reset`` by RST, ``close`` by FIN."""
        transport = self._connections.of(self._peer)
        if how == "reset":
            reset(transport)
        else:
            transport.close()
        await self.gone()

    async def raw(self, data: bytes) -> None:
        """Write bytes that need not be HTTP, then close."""
        self._connections.of(self._peer).write(data)
        await self.hang_up("close")

    async def gone(self) -> None:
        """Wait until the peer has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
