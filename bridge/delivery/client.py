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
from typing import Any
from urllib.parse import quote

import httpx

from bridge import __version__
from bridge.errors import NotSent, Problem, UnknownOutcome

BODY_BYTES = 1_000_000
TICKET_BYTES = 16_000_000
"""How much of a ticket's answer is read: its conversation may be long."""
CONNECT_S = 10.0
_TICKET = re.compile(r"tkt_[0-9a-hjkmnp-tv-z]{26}|[0-9]{1,18}")
_BASE = "/api/v2/support"


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
    """A few one-connection clients: one client with many connections gets slower with concurrency (design §6)."""

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
        self._clients: asyncio.Queue[httpx.AsyncClient] = asyncio.Queue()
        self._all = [
            httpx.AsyncClient(
                base_url=url,
                verify=context,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
                headers={
                    "User-Agent": f"ticket-bridge/{__version__}",
                    "Accept": "application/json, application/problem+json",
                    "Accept-Encoding": "identity",
                },
            )
            for _ in range(concurrency + 1)
        ]
        for client in self._all:
            self._clients.put_nowait(client)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._all:
            await client.aclose()

    async def post_message(self, ticket: str, message: str, *, encrypted: bool) -> Answer:
        """Reply on a ticket (section 1)."""
        path = f"{self._ticket(ticket)}/messages"
        return await self._exchange("POST", path, 201, json={"message": message, "encrypted": encrypted})

    async def get_ticket(self, ticket: str) -> Answer:
        """A ticket with its conversation (section 2)."""
        return await self._exchange("GET", self._ticket(ticket), 200, limit=TICKET_BYTES)

    async def list_tickets(self, limit: int = 1) -> Answer:
        """The newest tickets (section 3); with ``limit=1`` the cheapest proof that the key works."""
        return await self._exchange("GET", f"{_BASE}/tickets", 200, params={"limit": str(limit)}, limit=TICKET_BYTES)

    async def reopen(self, ticket: str) -> Answer:
        """Reopen a closed ticket (section 4)."""
        return await self._exchange("POST", f"{self._ticket(ticket)}/actions/reopen", 200, limit=TICKET_BYTES)

    async def upload(self, ticket: str, name: str, content_type: str, data: bytes) -> Answer:
        """Upload a file pinned to a ticket (section 5)."""
        return await self._exchange(
            "POST",
            f"{_BASE}/attachments",
            201,
            files={"file": (name, data, content_type)},
            data={"ticketId": ticket},
        )

    async def create(self, department: str, subject: str, message: str, cc: tuple[str, ...]) -> Answer:
        """Open a ticket (section 6)."""
        body: dict[str, Any] = {"departmentSlug": department, "subject": subject, "message": message}
        if cc:
            body["ccEmails"] = list(cc)
        return await self._exchange("POST", f"{_BASE}/tickets", 201, json=body, limit=TICKET_BYTES)

    def _ticket(self, ticket: str) -> str:
        if not _TICKET.fullmatch(ticket):
            raise NotSent(f"{ticket!r} is no ticket id")
        return f"{_BASE}/tickets/{quote(ticket, safe='')}"

    async def _exchange(self, method: str, path: str, success: int, *, limit: int = BODY_BYTES, **sent: Any) -> Answer:
        client = await self._clients.get()
        try:
            async with asyncio.timeout(self._timeout_s):
                headers = {"Authorization": f"Bearer {self._key()}"}
                async with client.stream(method, path, headers=headers, **sent) as response:
                    body = await _body(response, limit)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            what = "its certificate is not accepted" if certificate else type(error).__name__
            raise NotSent(f"the ticket API cannot be reached: {what}", certificate=certificate) from None
        except TimeoutError:
            raise UnknownOutcome("no whole answer within the deadline") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise UnknownOutcome(f"the exchange broke: {type(error).__name__}") from None
        finally:
            self._clients.put_nowait(client)
        return self._judge(response, body, success)

    def _judge(self, response: httpx.Response, body: bytes | None, success: int) -> Answer:
        document = _document(body)
        if response.status_code == success and document is not None:
            return self._answer(response, document)
        if response.status_code == success == 201:
            return self._answer(response, {})
        if response.status_code >= 500:
            raise UnknownOutcome(f"the ticket API answered {response.status_code}", status=response.status_code)
        raise _problem(response, document, self._clock())

    def _answer(self, response: httpx.Response, document: Mapping[str, Any]) -> Answer:
        headers = response.headers
        remaining = headers.get("x-ratelimit-remaining", "")
        return Answer(
            response.status_code,
            document,
            headers.get("x-request-id", "")[:100],
            int(remaining) if remaining.isascii() and remaining.isdigit() else None,
            _reset(headers.get("x-ratelimit-reset", ""), self._clock()),
        )


async def _body(response: httpx.Response, limit: int) -> bytes | None:
    """The body up to ``limit`` bytes; None when it is longer, or broke off after a status that tells enough."""
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > limit:
            return None
    return bytes(data)


def _document(body: bytes | None) -> Mapping[str, Any] | None:
    """The body as a JSON object, or None."""
    if body is None:
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _problem(response: httpx.Response, document: Mapping[str, Any] | None, now: float) -> Problem:
    """As much of an RFC 9457 document as can be read."""
    found = document or {}
    errors = found.get("errors")
    pairs = [
        (str(item.get("pointer", ""))[:200], str(item.get("detail", ""))[:200])
        for item in (errors if isinstance(errors, list) else [])[:20]
        if isinstance(item, dict)
    ]
    return Problem(
        response.status_code,
        code=_word(found.get("code")),
        detail=_word(found.get("detail")),
        errors=tuple(pairs),
        request_id=_word(found.get("requestId")) or response.headers.get("x-request-id", "")[:100],
        retry_after_s=_retry_after(response.headers.get("retry-after", ""), now),
        is_problem=bool({"code", "title", "type", "status"} & set(found)),
    )


def _word(value: object) -> str:
    return "".join(char if char.isprintable() else " " for char in value[:300]) if isinstance(value, str) else ""


def _retry_after(value: str, now: float) -> float | None:
    """Seconds or an HTTP date (RFC 9110 §10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError):
        return None


def _reset(value: str, now: float) -> float | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
