"""The gate before the API: reads a request whole, writes the journal, lets a fault have its way, sends the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.sandbox.faults import EARLY, Armoury, Fault
from bridge.sandbox.ids import IdSource
from bridge.sandbox.journal import Journal, Trace
from bridge.sandbox.mischief import BEHAVIOURS, refused
from bridge.sandbox.problems import Refusal
from bridge.sandbox.wire import Answer, Connections, Exchange

MAX_JSON_BYTES = 1_048_576
MAX_UPLOAD_BYTES = 33_554_432
_OPERATIONS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("POST", re.compile(r"/api/v2/support/tickets/[^/]+/messages"), "messages"),
    ("POST", re.compile(r"/api/v2/support/tickets/[^/]+/actions/(reopen|close)"), "actions"),
    ("GET", re.compile(r"/api/v2/support/tickets/[^/]+"), "read"),
    ("GET", re.compile(r"/api/v2/support/tickets"), "list"),
    ("POST", re.compile(r"/api/v2/support/tickets"), "create"),
    ("POST", re.compile(r"/api/v2/support/attachments"), "attachments"),
    ("GET", re.compile(r"/api/v2/support/departments"), "departments"),
)


def operation(method: str, path: str) -> str:
    """The short name of what a request asks for; ``other`` for anything that the contract does not know."""
    for wanted, pattern, name in _OPERATIONS:
        if method == wanted and pattern.fullmatch(path):
            return name
    return "other"


class TooLarge(Exception):
    """The request's body is past its limit."""


async def read_whole(receive: Receive, limit: int) -> bytes | None:
    """The request's body; None when the client went away. Raises ``TooLarge``."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def read_half(receive: Receive, scope: Scope) -> bytes:
    """Half of the request's body, or a little more; less when the client goes away."""
    length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    seen = b""
    while len(seen) < length // 2:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        seen += message.get("body", b"")
    return seen


@dataclass(frozen=True, slots=True)
class Gate:
    """An ASGI application around the API's router."""

    api: ASGIApp
    ids: IdSource
    journal: Journal
    armoury: Armoury
    connections: Connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        trace = self._trace(scope)
        scope.setdefault("state", {})["trace"] = trace
        exchange = Exchange(scope, receive, send, self.connections)
        upload = trace.operation == "attachments"
        fault = self.armoury.meet(trace.operation, scope["path"])
        if fault is not None and fault.place in EARLY:
            seen = await read_half(receive, scope) if fault.place == "body" else b""
            self.journal.received(trace, seen, textual=not upload)
            await self._meet(fault, trace, scope, seen, exchange)
            return
        try:
            body = await read_whole(receive, MAX_UPLOAD_BYTES if upload else MAX_JSON_BYTES)
        except TooLarge:
            self.journal.received(trace, b"", textual=False)
            trace.status, trace.code = 413, "payload_too_large"
            refusal = Refusal(413, "payload_too_large", "The request's body is too large.")
            self.journal.finished(trace)
            await exchange.answer(refused(refusal, scope["path"], trace.request_id))
            return
        if body is None:
            return
        self.journal.received(trace, body, textual=not upload)
        if fault is None:
            answer = await call(self.api, scope, body)
            trace.status = answer.status
            # Finished before the answer goes out, so that whoever has the answer finds the row whole.
            self.journal.finished(trace)
            await exchange.answer(answer)
        else:
            await self._meet(fault, trace, scope, body, exchange)

    def _trace(self, scope: Scope) -> Trace:
        query = scope["query_string"].decode("latin-1")
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        return Trace(
            request_id=self.ids.new("req"),
            method=scope["method"],
            target=f"{path}?{query}" if query else path,
            operation=operation(scope["method"], scope["path"]),
            user_agent=agent.decode("latin-1"),
        )

    async def _meet(self, fault: Fault, trace: Trace, scope: Scope, body: bytes, exchange: Exchange) -> None:
        async def perform() -> Answer:
            answer = await call(self.api, scope, body)
            self.journal.applied(trace)
            return answer

        trace.fault = fault.name
        self.journal.applied(trace)
        try:
            behave = BEHAVIOURS[fault.name]
            trace.status = await behave(fault, exchange, perform, scope["path"], trace.request_id)
        finally:
            self.journal.finished(trace)


async def call(api: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """What ``api`` answers to a request whose body is ``body``."""
    parts: list[bytes] = []
    head: Message = {}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            parts.append(message.get("body", b""))

    await api(scope, receive, send)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
    kept = tuple((name, value) for name, value in headers if name != "content-length")
    return Answer(head["status"], kept, b"".join(parts))
