"""What each fault does to an exchange. ``perform`` applies the request and makes the answer that it would have had."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from email.utils import formatdate
from http import HTTPStatus
from itertools import chain

from bridge.sandbox.access import limit_headers, rate_limited, unauthorized
from bridge.sandbox.faults import EARLY, Fault
from bridge.sandbox.problems import DEFAULT_CODES, PROBLEM_JSON, FieldError, Refusal, document, title
from bridge.sandbox.wire import Answer, Exchange

Perform = Callable[[], Awaitable[Answer]]
Behaviour = Callable[[Fault, Exchange, Perform, str, str], Awaitable[int | None]]
"""Takes the fault, the exchange, ``perform``, the request's path and its id; returns the status sent, None for none."""

_BROKEN_JSON = b'{"type":"about:blank","title":"Internal Ser'
_CHUNK = 65_536
_NOT_HTTP = b"\x15\x03\x03\x00\x02\x02\x50\r\n\r\n"
"""A TLS alert, as a port of the wrong kind answers."""


def refused(refusal: Refusal, path: str, request_id: str) -> Answer:
    """The answer of a refusal."""
    headers = (("Content-Type", PROBLEM_JSON), ("X-Request-Id", request_id), *refusal.headers.items())
    return Answer(refusal.status, headers, document(refusal, instance=path, request_id=request_id))


async def _delay(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    pause = fault.seconds or 0.0
    if fault.place == "before":
        await asyncio.sleep(pause)
        answer = await perform()
    else:
        answer = await perform()
        await asyncio.sleep(pause)
    await exchange.answer(answer)
    return answer.status


async def _reset_before(fault: Fault, exchange: Exchange, _perform: Perform, _path: str, _id: str) -> None:
    await exchange.hang_up(fault.how)


async def _reset_after(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> None:
    await perform()
    await exchange.hang_up(fault.how)


async def _status(fault: Fault, exchange: Exchange, perform: Perform, path: str, request_id: str) -> int:
    if fault.place == "after":
        await perform()
    await exchange.answer(status_answer(fault, path, request_id))
    return fault.status


def status_answer(fault: Fault, path: str, request_id: str) -> Answer:
    """What ``status`` answers: a problem document, a proxy's HTML page, broken JSON, or nothing."""
    headers: tuple[tuple[str, str], ...] = ()
    if 300 <= fault.status < 400:
        headers = (("Location", "/elsewhere"),)
    if fault.form == "empty" or fault.status in (204, 205, 304):
        return Answer(fault.status, headers, b"")
    if fault.form == "html":
        words = f"{fault.status} {title(fault.status)}"
        page = f"<html>\r\n<head><title>{words}</title></head>\r\n<body>\r\n<h1>{words}</h1>\r\n</body>\r\n</html>\r\n"
        return Answer(fault.status, (("Content-Type", "text/html"), *headers), page.encode())
    if fault.form == "broken":
        return Answer(fault.status, (("Content-Type", PROBLEM_JSON), *headers), _BROKEN_JSON)
    code = fault.code or DEFAULT_CODES.get(fault.status, "armed_fault")
    errors = [FieldError("/message", "Refused by an armed fault.", "refused")] if code == "invalid_request" else []
    refusal = Refusal(fault.status, code, "This answer is an armed fault of the sandbox.", errors=errors)
    return refused(refusal, path, request_id).with_headers(dict(headers))


async def _rate_limit(fault: Fault, exchange: Exchange, _perform: Perform, path: str, request_id: str) -> int:
    wait = fault.seconds or 0.0
    until = time.time() + wait
    retry_after = str(max(1, round(wait))) if fault.retry_after == "seconds" else formatdate(until, usegmt=True)
    refusal = rate_limited({"Retry-After": retry_after, **limit_headers(60, 0, until)})
    await exchange.answer(refused(refusal, path, request_id))
    return HTTPStatus.TOO_MANY_REQUESTS


async def _revoked(_fault: Fault, exchange: Exchange, _perform: Perform, path: str, request_id: str) -> int:
    await exchange.answer(refused(unauthorized(), path, request_id))
    return HTTPStatus.UNAUTHORIZED


def with_bodies(value: object, change: Callable[[str], str | None]) -> object:
    """The JSON value with every textual member ``body`` changed, at any depth."""
    if isinstance(value, list):
        return [with_bodies(item, change) for item in value]
    if isinstance(value, dict):
        return {
            name: change(item) if name == "body" and isinstance(item, str) else with_bodies(item, change)
            for name, item in value.items()
        }
    return value


def trimmed(text: str, length: int | None) -> str:
    """``text`` as a tidying server keeps it: no blanks around it or at line ends, bare LF, ``length`` characters."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    return "\n".join(line.rstrip() for line in lines)[:length]


async def _rewritten(exchange: Exchange, perform: Perform, change: Callable[[str], str | None]) -> int:
    answer = await perform()
    if answer.body:
        changed = with_bodies(json.loads(answer.body), change)
        answer = answer.with_body(json.dumps(changed, ensure_ascii=False).encode())
    await exchange.answer(answer)
    return answer.status


async def _null_bodies(_fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    return await _rewritten(exchange, perform, lambda _body: None)


async def _trimmed_bodies(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    return await _rewritten(exchange, perform, lambda body: trimmed(body, fault.length))


async def _cut_body(_fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    answer = await perform()
    await exchange.cut(answer, len(answer.body) // 2)
    return answer.status


async def _garbled_body(_fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    answer = await perform()
    await exchange.answer(answer.with_body(answer.body[: len(answer.body) // 2]))
    return answer.status


async def _drip(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    answer = await perform()
    await exchange.start(answer)
    await exchange.pieces((bytes((byte,)) for byte in answer.body), fault.seconds or 0.0)
    return answer.status


async def _huge_body(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> int:
    answer = await perform()

    def pieces() -> Iterator[bytes]:
        yield answer.body
        for sent in range(0, fault.bytes, _CHUNK):
            yield b" " * min(_CHUNK, fault.bytes - sent)

    await exchange.start(answer, length=len(answer.body) + fault.bytes)
    await exchange.pieces(pieces(), 0)
    return answer.status


async def _not_http(fault: Fault, exchange: Exchange, perform: Perform, _path: str, _id: str) -> None:
    if fault.place == "after":
        await perform()
    await exchange.raw(_NOT_HTTP)


async def _strike(fault: Fault, exchange: Exchange, perform: Perform, path: str, request_id: str) -> int | None:
    """At its place, an answer that is not the right one, or the end of the exchange."""
    real = None if fault.place in EARLY else await perform()
    head = real if fault.place == "answered" else None
    if fault.how in _BREAKS:
        if head is not None:
            await exchange.begin(head, len(head.body) // 2)
        await _BREAKS[fault.how](exchange)
        return head.status if head is not None else None
    answer = struck_answer(fault, path, request_id)
    if head is not None:
        # The right status, and what a proxy made of the rest.
        answer = Answer(head.status, answer.headers, answer.body if fault.how == "answer" else head.body)
    await _send(answer, fault, exchange)
    return answer.status


def struck_answer(fault: Fault, path: str, request_id: str) -> Answer:
    """What ``strike`` answers: as ``status`` does, and with a wait when it is a 429."""
    answer = status_answer(fault, path, request_id)
    if fault.status != HTTPStatus.TOO_MANY_REQUESTS:
        return answer
    wait = 1.0
    until = time.time() + wait
    retry_after = "1" if fault.retry_after == "seconds" else formatdate(until, usegmt=True)
    return answer.with_headers({"Retry-After": retry_after, **limit_headers(60, 0, until)})


async def _send(answer: Answer, fault: Fault, exchange: Exchange) -> None:
    if fault.how == "cut":
        await exchange.cut(answer, len(answer.body) // 2)
    elif fault.how == "drip":
        await exchange.start(answer)
        await exchange.pieces((bytes((byte,)) for byte in answer.body), fault.seconds or 0.0)
    elif fault.how == "huge":
        blanks = (b" " * min(_CHUNK, fault.bytes - sent) for sent in range(0, fault.bytes, _CHUNK))
        await exchange.start(answer, length=len(answer.body) + fault.bytes)
        await exchange.pieces(chain((answer.body,), blanks), 0)
    else:
        await exchange.answer(answer)


_BREAKS: Mapping[str, Callable[[Exchange], Awaitable[None]]] = {
    "reset": lambda exchange: exchange.hang_up("reset"),
    "close": lambda exchange: exchange.hang_up("close"),
    "stall": lambda exchange: exchange.gone(),
    "not_http": lambda exchange: exchange.raw(_NOT_HTTP),
}


BEHAVIOURS: Mapping[str, Behaviour] = {
    "delay": _delay,
    "reset_before": _reset_before,
    "reset_after": _reset_after,
    "status": _status,
    "rate_limit": _rate_limit,
    "revoked": _revoked,
    "null_bodies": _null_bodies,
    "trimmed_bodies": _trimmed_bodies,
    "cut_body": _cut_body,
    "garbled_body": _garbled_body,
    "drip": _drip,
    "huge_body": _huge_body,
    "not_http": _not_http,
    "strike": _strike,
}
"""Every fault of ``faults.KINDS`` but ``refuse``, which closes the port instead of meeting a request."""
