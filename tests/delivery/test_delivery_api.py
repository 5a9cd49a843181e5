"""The API's client over real sockets: what it sends, what it never does, and TLS with an authority of one's own."""

from __future__ import annotations

import asyncio
import io
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme

from bridge import composition
from bridge.delivery import NOBODY, Gate, Pace, Rights, TicketApi, rights
from bridge.delivery.client import BODY_BYTES, TICKET_BYTES, Answer, retry_after
from bridge.environment import load
from bridge.errors import ApiError, ConfigurationError, NotSent, Problem, UnknownOutcome

TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"


def answer(status: int, body: bytes = b'{"id": "x"}', *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Stub:
    """Answers each request with the next of its answers (the last one again and again), and keeps what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode("latin-1"))
                fields = dict(line.lower().split(": ", 1) for line in self.heads[-1].splitlines()[1:] if line)
                self.bodies.append(await reader.readexactly(int(fields.get("content-length", 0))))
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if not said:
                    await reader.read()
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(stub: Stub, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    server = await asyncio.start_server(stub.serve, "127.0.0.1", port, ssl=tls)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{stub.port}"
    finally:
        server.close()
        await asyncio.sleep(0.02)  # lets the connections end


async def ask(
    stub: Stub, question: Callable[[TicketApi], Awaitable[Any]], *, key: Callable[[], str] = lambda: "k", **options: Any
) -> Any:
    """What the client makes of the stub's answers."""
    async with serving(stub) as url:
        api = TicketApi(url, key, **{"timeout_s": 5.0, **options})
        try:
            return await question(api)
        finally:
            await api.close()


def post(api: TicketApi) -> Awaitable[Answer]:
    return api.post_message(TICKET, "words", encrypted=True)


def test_what_a_request_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    headers = ("X-Request-Id: req_1", "X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 2030-01-01T00:00:10Z")
    stub = Stub(answer(201, b'{"id": "tmsg_1"}', *headers))
    keys = iter(["one", "two"])

    async def twice(api: TicketApi) -> Answer:
        await post(api)
        return await post(api)

    got = asyncio.run(ask(stub, twice, key=lambda: next(keys), clock=lambda: 1_893_456_000.0))
    assert (got.status, got.body, got.request_id, got.remaining, got.reset_s) == (
        *(201, {"id": "tmsg_1"}, "req_1", 7),
        10.0,
    )
    first = stub.heads[0].splitlines()
    assert first[0] == f"POST /api/v2/support/tickets/{TICKET}/messages HTTP/1.1"
    assert "Accept-Encoding: identity" in first
    assert any(line.startswith("User-Agent: ticket-bridge/") for line in first)
    assert "Authorization: Bearer one" in stub.heads[0]
    assert "Authorization: Bearer two" in stub.heads[1], "a rotated key is used at once"
    assert stub.bodies[0] == b'{"message": "words", "encrypted": true}'


def test_no_redirect_is_followed() -> None:
    async def run() -> None:
        target = Stub(answer(201))
        async with serving(target):
            moved = Stub(answer(307, b"{}", f"Location: http://127.0.0.1:{target.port}/"))
            with pytest.raises(Problem) as caught:
                await ask(moved, post)
            assert caught.value.status == 307
        assert target.heads == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (answer(201, b"x" * (BODY_BYTES + 1)), "too long"),
        (answer(201, b"\x1f\x8b\x08\x00 compressed", "Content-Encoding: gzip"), "no JSON"),
        (answer(201, b"[1]"), "no JSON"),
        (answer(201, b"[" * 100_000), "no JSON"),
        (b"HTTP/1.1 201 X\r\nContent-Length: 50\r\n\r\nhalf", "deadline"),
        (b"", "deadline"),
        (b"220 mail.example ESMTP\r\n\r\n", "broke"),
    ],
    ids=["long", "gzip", "list", "deep", "stalled body", "stalled", "smtp"],
)
def test_an_answer_that_cannot_be_used_leaves_it_unknown(said: bytes, cause: str) -> None:
    with pytest.raises(UnknownOutcome, match=cause):
        asyncio.run(ask(Stub(said), post, timeout_s=0.3))


def test_a_connection_is_of_use_again_after_any_failure() -> None:
    stub = Stub(b"", answer(201, b"x" * (BODY_BYTES + 1)), b"junk\r\n\r\n", answer(201))

    async def question(api: TicketApi) -> None:
        for _ in range(3):
            with pytest.raises(UnknownOutcome):
                await post(api)
        assert (await post(api)).status == 201

    asyncio.run(ask(stub, question, timeout_s=0.3, concurrency=0))


def test_a_long_conversation_is_read_up_to_its_own_limit() -> None:
    async def question(api: TicketApi) -> Answer:
        return await api.get_ticket(TICKET)

    long = b'{"id": "' + b"x" * (2 * BODY_BYTES) + b'"}'
    assert len(asyncio.run(ask(Stub(answer(200, long)), question)).body["id"]) == 2 * BODY_BYTES
    with pytest.raises(UnknownOutcome, match="too long"):
        asyncio.run(ask(Stub(answer(200, b" " * (TICKET_BYTES + 1))), question))


@pytest.mark.parametrize("key", ["clé", "two\nlines", "\x00"])
def test_a_key_that_no_request_can_carry_was_not_sent(key: str) -> None:
    stub = Stub(answer(201))
    with pytest.raises(NotSent, match="no request can be made"):
        asyncio.run(ask(stub, post, key=lambda: key))
    assert stub.heads == []


@pytest.mark.parametrize("ticket", ["", "tkt_1", f"{TICKET}/../x", f"{TICKET}\n", "1" * 19, "tkt_" + "u" * 26])
def test_what_is_no_ticket_never_becomes_part_of_a_path(ticket: str) -> None:
    stub = Stub(answer(201))
    with pytest.raises(NotSent, match="no ticket id"):
        asyncio.run(ask(stub, lambda api: api.get_ticket(ticket)))
    assert stub.heads == []


def test_files_and_new_tickets_as_the_contract_has_them() -> None:
    stub = Stub(answer(201))

    async def question(api: TicketApi) -> None:
        await api.upload(TICKET, 'é"\r\n\udcff.pdf', "application/pdf", io.BytesIO(b"%PDF"))
        await api.upload(TICKET, "b.pdf", "text/x\r\nX: y", io.BytesIO(b"2"))
        await api.create("support", "subject", "lone \ud800", ())
        await api.create("support", "subject", "words", ("bo@example.org",))

    asyncio.run(ask(stub, question))
    assert b"%PDF" in stub.bodies[0]
    assert TICKET.encode() in stub.bodies[0]
    assert b"Content-Type: application/pdf" in stub.bodies[0]
    assert b"Content-Type: application/octet-stream" in stub.bodies[1]
    assert stub.bodies[2] == b'{"departmentSlug": "support", "subject": "subject", "message": "lone ?"}'
    assert b'"ccEmails": ["bo@example.org"]' in stub.bodies[3]


def test_a_problem_document_is_read_as_far_as_it_can_be() -> None:
    body = b'{"code": "invalid", "detail": "bad\\u0007 thing", "errors": [{"pointer": "/a", "detail": "b"}, 3]}'
    with pytest.raises(Problem) as caught:
        asyncio.run(ask(Stub(answer(422, body, "Retry-After: 5", "X-Request-Id: req_2")), post))
    error = caught.value
    assert (error.code, error.errors, error.request_id, error.retry_after_s) == (
        "invalid",
        (("/a", "b"),),
        "req_2",
        5.0,
    )
    for nonsense in (b"", b"<html>", b'{"code": 3, "errors": 4, "detail": [], "requestId": " "}'):
        with pytest.raises(Problem) as caught:
            asyncio.run(
                ask(Stub(answer(429, nonsense, "X-RateLimit-Reset: 1970-01-01T00:01:00")), post, clock=lambda: 0.0)
            )
        assert caught.value.retry_after_s == 60.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("Thu, 01 Jan 1970 00:01:00 GMT", 60.0), ("soon", None), ("-1", None), ("", None)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(value, 0.0) == seconds


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([answer(200)], Rights.READ_WRITE),
        ([answer(403), answer(404, b'{"code": "ticket_not_found"}')], Rights.WRITE_ONLY),
        ([answer(403), answer(404, b"<html>")], 404),
        ([answer(403), answer(403)], 403),
        ([answer(403, b'{"code": "account_inactive"}')], 403),
        ([answer(401)], 401),
        ([answer(403), answer(201)], 201),
    ],
)
def test_what_a_key_may_do(answers: list[bytes], found: Rights | int) -> None:
    stub = Stub(*answers)
    if isinstance(found, Rights):
        assert asyncio.run(ask(stub, rights)) is found
    else:
        with pytest.raises(Problem) as caught:
            asyncio.run(ask(stub, rights))
        assert caught.value.status == found
    assert all(NOBODY in head for head in stub.heads[1:])


def tls_of(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


class Credits:
    """A spool that keeps nothing."""

    async def pause_all(self, seconds: float) -> None:
        """Nobody waits."""


def test_a_private_authority_is_trusted_and_a_wrong_certificate_pauses_until_it_is_right(tmp_path: Path) -> None:
    ours, others = trustme.CA(), trustme.CA()
    file = tmp_path / "ca.pem"
    ours.cert_pem.write_to_path(str(file))
    environ = {"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY": "k", "BRIDGE_API_CA_FILE": str(file)}

    async def run() -> None:
        stub = Stub(answer(200))
        async with serving(stub, tls_of(others)) as url:
            settings, _ = load({**environ, "BRIDGE_API_URL": url})
            api = composition.ticket_api(settings)
            parts: Any = (api, Credits())
            pace = Pace().faster(600)
            gate = Gate(
                *parts,
                limit=1,
                clock=asyncio.get_running_loop().time,
                log=structlog.get_logger(),
                pace=pace,
                chance=random.Random(1),
            )
            with pytest.raises(NotSent, match="certificate") as caught:
                await api.list_tickets()
            assert caught.value.certificate
            assert gate.failed(caught.value, "a") == "certificate"
            assert gate.state().reason == "certificate"
        assert stub.heads == [], "not even the key was said"
        async with serving(stub, tls_of(ours, "other.example"), stub.port):
            with pytest.raises(NotSent, match="certificate"):
                await api.list_tickets()
            assert not gate.state().open
        assert stub.heads == []
        async with serving(stub, tls_of(ours), stub.port):
            async with asyncio.timeout(10):
                await gate.passed()
            assert (await api.list_tickets()).status == 200
            strangers = TicketApi(url, lambda: "k", timeout_s=5)
            with pytest.raises(ApiError, match="certificate"):
                await strangers.list_tickets()
            await strangers.close()
        await gate.close()
        await api.close()

    asyncio.run(run())


def test_a_file_that_holds_no_authority_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no PEM")
    environ = {"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY": "k", "BRIDGE_API_CA_FILE": str(file)}
    settings, _ = load(environ)
    with pytest.raises(ConfigurationError, match="BRIDGE_API_CA_FILE"):
        composition.ticket_api(settings)
