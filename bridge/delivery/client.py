"""The ticket API over HTTP (ticket-api, sections 1 to 6).

Promises: one deadline over the whole exchange; bodies are read up to a limit; no redirect and no proxy of the
environment is followed; certificates are verified; a ticket id is matched in full before it becomes part of a path.
Fails with ``NotSent``, ``UnknownOutcome`` or ``Problem``, and with nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from bridge import __version__
from bridge.delivery.echo import texts, without_echo
from bridge.errors import NotSent, Problem, UnknownOutcome

BODY_BYTES = 1_000_000
TICKET_BYTES = 16_000_000
"""How much of a ticket's answer is read: its conversation may be long."""
CONNECT_S = 10.0
_TICKET = re.compile(r"tkt_[0-9a-hjkmnp-tv-z]{26}|[0-9]{1,18}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_BYTES = "application/octet-stream"
_BASE = "/api/v2/support"
_HEADERS = {
    "User-Agent": f"ticket-bridge/{__version__}",
    "Accept": "application/json, application/problem+json",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: the decoded body (empty when it could not be read), and what the headers say."""

    status: int
    body: Mapping[str, Any]
    request_id: str
    remaining: int | None = None
    """``X-RateLimit-Remaining``."""
    reset_s: float | None = None
    """Seconds until ``X-RateLimit-Reset``."""


class TicketApi:
    """A few one-connection transports: one with many connections gets slower with concurrency (design §6).

    Transports, not clients: cookies, redirects, authentication flows and the environment's proxies are what a client
    adds, and none of them is wanted.
    """

    def __init__(
        self,
        url: str,
        key: Callable[[], str],
        *,
        timeout_s: float,
        ca_file: str | None = None,
        concurrency: int = 8,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``key`` is asked before every request, so that a rotated key file is used at once."""
        context = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else False
        self._key = key
        self._timeout_s = timeout_s
        self._clock = clock
        self._base = httpx.URL(url)
        self._timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)).as_dict()
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._all = [
            httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits) for _ in range(concurrency + 1)
        ]
        self._free: asyncio.Queue[httpx.AsyncHTTPTransport] = asyncio.Queue()
        for transport in self._all:
            self._free.put_nowait(transport)

    async def close(self) -> None:
        """Close the connections."""
        for transport in self._all:
            await transport.aclose()

    async def post_message(self, ticket: str, message: str, *, encrypted: bool) -> Answer:
        """Reply on a ticket (section 1)."""
        path = f"{self._ticket(ticket)}/messages"
        return await self._exchange("POST", path, 201, **_json({"message": message, "encrypted": encrypted}))

    async def get_ticket(self, ticket: str) -> Answer:
        """A ticket with its conversation (section 2)."""
        return await self._exchange("GET", self._ticket(ticket), 200, limit=TICKET_BYTES)

    async def list_tickets(self, limit: int = 1, cursor: str = "") -> Answer:
        """The newest tickets (section 3); with ``limit=1`` the cheapest proof that the key works."""
        query = f"limit={limit}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
        return await self._exchange("GET", f"{_BASE}/tickets?{query}", 200, limit=TICKET_BYTES)

    async def reopen(self, ticket: str) -> Answer:
        """Reopen a closed ticket (section 4)."""
        return await self._exchange("POST", f"{self._ticket(ticket)}/actions/reopen", 200, limit=TICKET_BYTES)

    async def upload(self, ticket: str, name: str, content_type: str, file: BinaryIO) -> Answer:
        """Upload a file pinned to a ticket (section 5); it is read from its beginning, in pieces, as it is sent."""
        return await self._exchange(
            "POST",
            f"{_BASE}/attachments",
            201,
            files={"file": (_encodable(name), file, content_type if _TYPE.fullmatch(content_type) else _BYTES)},
            data={"ticketId": ticket},
        )

    async def create(self, department: str, subject: str, message: str, cc: tuple[str, ...]) -> Answer:
        """Open a ticket (section 6)."""
        body: dict[str, Any] = {"departmentSlug": department, "subject": subject, "message": message}
        if cc:
            body["ccEmails"] = list(cc)
        return await self._exchange("POST", f"{_BASE}/tickets", 201, limit=TICKET_BYTES, **_json(body))

    def _ticket(self, ticket: str) -> str:
        if not _TICKET.fullmatch(ticket):
            raise NotSent(f"{ticket!r} is no ticket id")
        return f"{_BASE}/tickets/{quote(ticket, safe='')}"

    async def _exchange(self, method: str, path: str, success: int, *, limit: int = BODY_BYTES, **sent: Any) -> Answer:
        transport = await self._free.get()
        progress = _Progress()
        try:
            async with asyncio.timeout(self._timeout_s):
                request = self._request(method, path, sent, progress)
                response = await transport.handle_async_request(request)
                try:
                    await progress.read(response, limit)
                finally:
                    await response.aclose()
        except TimeoutError:
            progress.cause = "no whole answer within the deadline"
        except (httpx.LocalProtocolError, UnicodeError) as error:
            progress.begun, progress.cause = False, f"no request can be made: {type(error).__name__}"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            progress.certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            progress.cause = f"the exchange broke: {type(error).__name__}"
        finally:
            self._free.put_nowait(transport)
        return self._judge(progress, success, sent)

    def _request(self, method: str, path: str, sent: dict[str, Any], progress: _Progress) -> httpx.Request:
        headers = {**_HEADERS, "Authorization": f"Bearer {self._key()}", **sent.pop("headers", {})}
        url = self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + path.encode("ascii"))
        extensions = {"trace": progress.trace, "timeout": self._timeout}
        return httpx.Request(method, url, headers=headers, extensions=extensions, **sent)

    def _judge(self, progress: _Progress, success: int, sent: Mapping[str, Any]) -> Answer:
        """A success whose body is whole; else the error that says what is known."""
        response = progress.response
        if response is None:
            if progress.begun:
                raise UnknownOutcome(progress.cause)
            what = "its certificate is not accepted" if progress.certificate else progress.cause
            raise NotSent(f"the ticket API cannot be reached: {what}", certificate=progress.certificate)
        document = None if progress.cause else _document(progress.body)
        if response.status_code != success:
            raise _problem(response, document, self._clock(), texts(sent))
        if document is None:
            cause = progress.cause or "its body is no JSON object, or too long"
            request_id = _header(response, "x-request-id")
            raise UnknownOutcome(f"{success}, but {cause}", status=success, request_id=request_id)
        return Answer(
            success,
            document,
            _header(response, "x-request-id"),
            _count(_header(response, "x-ratelimit-remaining")),
            _reset(_header(response, "x-ratelimit-reset"), self._clock()),
        )


class _Progress:
    """How far one exchange came."""

    def __init__(self) -> None:
        self.begun = False
        """Some of the request was handed to the network."""
        self.response: httpx.Response | None = None
        self.body = b""
        self.cause = ""
        """What ended it early; empty when it ended well."""
        self.certificate = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Called by httpcore at every step."""
        self.begun = self.begun or event == "http11.send_request_headers.started"

    async def read(self, response: httpx.Response, limit: int) -> None:
        """Read the body, up to ``limit`` bytes."""
        self.response = response
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > limit:
                self.cause = "its body is too long"
                return
        self.body = bytes(data)


def _header(response: httpx.Response, name: str) -> str:
    return _word(response.headers.get(name, ""))[:100]


def _count(value: str) -> int | None:
    return int(value[:9]) if value.isascii() and value.isdigit() else None


def _document(body: bytes) -> Mapping[str, Any] | None:
    """The body as a JSON object, or None."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _problem(response: httpx.Response, document: Mapping[str, Any] | None, now: float, sent: str) -> Problem:
    """As much of an RFC 9457 document as can be read, without what it repeats of the request."""
    found = document or {}
    errors = found.get("errors")
    pairs = [
        (without_echo(str(item.get("pointer", ""))[:200], sent), without_echo(str(item.get("detail", ""))[:200], sent))
        for item in (errors if isinstance(errors, list) else [])[:20]
        if isinstance(item, dict)
    ]
    return Problem(
        response.status_code,
        code=_name(found.get("code")),
        detail=without_echo(_word(found.get("detail")), sent),
        errors=tuple(pairs),
        request_id=_name(found.get("requestId")) or _header(response, "x-request-id"),
        retry_after_s=_wait(response, now),
        is_problem=bool({"code", "title", "type", "status"} & set(found)),
    )


def _json(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body. A lone surrogate, which no encoding can carry, becomes a question mark."""
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def _encodable(text: str) -> str:
    """``text`` with a question mark for each lone surrogate, which no request can carry."""
    return text.encode("utf-8", "replace").decode()


def _name(value: object) -> str:
    """A code or an id; what is none of either is not kept, whatever it says."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def _word(value: object) -> str:
    return "".join(char if char.isprintable() else " " for char in value[:300]) if isinstance(value, str) else ""


def _wait(response: httpx.Response, now: float) -> float | None:
    """How long the API asks to wait, seconds."""
    asked = retry_after(_header(response, "retry-after"), now)
    return _reset(_header(response, "x-ratelimit-reset"), now) if asked is None else asked


def retry_after(value: str, now: float) -> float | None:
    """Seconds or an HTTP date (RFC 9110 §10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _reset(value: str, now: float) -> float | None:
    try:
        at = datetime.fromisoformat(value)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None
