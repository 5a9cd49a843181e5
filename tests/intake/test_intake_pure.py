"""The parts that do no I/O: policy, content, command lines, addresses, trace field, limits, listen addresses."""

from __future__ import annotations

import re
import time
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.intake import Listen, addresses, parse_listen, policy, received, replies
from bridge.intake.data import DataReader, has_bare_newlines, normalise_newlines
from bridge.intake.limits import Budget, Clients, client_ip
from bridge.intake.lines import LineBuffer, TooLong
from tests.intake.conftest import MATCH, TICKET

HEAD = b"Received: x\r\n"
PIECES = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a", b"\0", b"..", b"\r\n\r\n"]), max_size=30
)


@pytest.mark.parametrize(
    ("recipient", "accept", "hint"),
    [
        ("support@example.com", True, ""),
        ("SUPPORT@EXAMPLE.COM", True, ""),
        ("help@example.com", True, ""),
        (f"support+{TICKET}@example.com", True, TICKET),
        (f"Support+{TICKET.upper()}@Example.com", True, TICKET),
        ("support+149943@example.com", True, ""),
        ("postmaster", True, ""),
        ("Postmaster", True, ""),
        ("postmaster@example.com", True, ""),
        ("postmaster@elsewhere.example", False, ""),
        ("support", False, ""),
        ("support@elsewhere.example", False, ""),
        ("sales@example.com", False, ""),
        ("support+@example.com", False, ""),
        ("support+tkt_short@example.com", False, ""),
        (f"support+{TICKET}x@example.com", False, ""),
        ("<>", False, ""),
        ("", False, ""),
    ],
)
def test_policy(recipient: str, accept: bool, hint: str) -> None:
    decision = policy.rcpt(recipient, MATCH, frozenset({"example.com"}))
    assert (decision.accept, decision.hint) == (accept, hint)
    assert decision.reply == ("250 2.1.5 OK" if accept else "550 5.1.1 No such mailbox")


def read(chunks: list[bytes], limit: int = 1000) -> tuple[DataReader, bytes | None]:
    reader = DataReader(HEAD, limit)
    for number, chunk in enumerate(chunks):
        rest = reader.feed(chunk)
        if rest is not None:
            return reader, rest + b"".join(chunks[number + 1 :])
    return reader, None


def stuffed(content: bytes) -> bytes:
    """As a client sends it (RFC 5321 §4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@given(PIECES, PIECES, st.lists(st.integers(0, 200), max_size=6))
def test_content_comes_back_however_it_is_cut(pieces: list[bytes], after: list[bytes], cuts: list[int]) -> None:
    content = b"".join(pieces) + b"\r\n"
    wire = stuffed(content) + b"".join(after)
    places = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    reader, rest = read([wire[a:b] for a, b in pairwise(places)])
    assert rest == b"".join(after)
    assert reader.received == len(wire) - len(b"".join(after))
    assert reader.content() == HEAD + content


@given(PIECES, st.integers(1, 5))
def test_only_the_real_end_ends(pieces: list[bytes], size: int) -> None:
    wire = b"".join(pieces)
    _, rest = read([wire[at : at + size] for at in range(0, len(wire), size)])
    end = (b"\r\n" + wire).find(b"\r\n.\r\n")
    assert (rest is None) == (end < 0)
    if rest is not None:
        assert rest == (b"\r\n" + wire)[end + 5 :]


def test_an_empty_mail() -> None:
    reader, rest = read([b".\r\n"])
    assert (reader.content(), rest) == (HEAD, b"")


@pytest.mark.parametrize("size", [1, 3, 7, 4096])
def test_the_size_limit_is_exact_and_memory_is_let_go(size: int) -> None:
    for length, too_large in ((100, False), (101, True)):
        wire = b"x" * (length - 2) + b"\r\n.\r\nQUIT\r\n"
        reader, rest = read([wire[at : at + size] for at in range(0, len(wire), size)], limit=100)
        assert (reader.too_large, reader.dropped, rest) == (too_large, too_large, b"QUIT\r\n")
    reader, rest = read([b"x" * 10_000] * 20, limit=100)
    assert (reader.held, rest) == (4, None)


def test_a_dropped_mail_is_read_to_its_end() -> None:
    reader = DataReader(HEAD, 1000)
    reader.feed(b"text\r\n")
    reader.drop()
    assert [reader.feed(bytes([octet])) for octet in b"more\r\n.\r"] == [None] * 8
    assert reader.feed(b"\nNOOP") == b"NOOP"
    assert (reader.dropped, reader.too_large) == (True, False)


@given(PIECES)
def test_newlines_are_normalised(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert has_bare_newlines(content) == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", content))
    normal = normalise_newlines(content)
    assert not has_bare_newlines(normal)
    assert normalise_newlines(normal) == normal
    assert re.sub(rb"[ \r\n]", b"", normal) == re.sub(rb"[ \r\n]", b"", content)
    if not has_bare_newlines(content):
        assert normal == content


def test_crcrlf_is_one_line_end() -> None:
    assert normalise_newlines(b"h: a\r\r\n\r\nb\rc\nd\r\n") == b"h: a\r\n\r\nb\r\nc\r\nd\r\n"


def test_a_bare_cr_in_the_header_makes_no_field() -> None:
    """Postfix passes it on inside a field: what it did not see as a field, and did not strip, must not become one."""
    forged = b"Received: x\r\nSubject: a\rAuthentication-Results: mx; dmarc=pass\r\n\r\nb\rc\r\n"
    assert normalise_newlines(forged) == (
        b"Received: x\r\nSubject: a Authentication-Results: mx; dmarc=pass\r\n\r\nb\r\nc\r\n"
    )


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 9))
def test_lines_come_whole_or_are_too_long(lines: list[bytes], size: int) -> None:
    buffer = LineBuffer(6)
    wire = b"".join(line + b"\n" for line in lines)
    found: list[bytes | None] = []
    for at in range(0, len(wire), size):
        buffer.feed(wire[at : at + size])
        while True:
            try:
                line = buffer.line()
            except TooLong:
                found.append(None)
                continue
            if line is None:
                break
            found.append(line)
    assert found == [line.removesuffix(b"\r") if len(line) < 6 else None for line in lines]
    assert not buffer.partial


def test_an_endless_line_takes_no_memory() -> None:
    buffer = LineBuffer(100)
    for _ in range(1000):
        buffer.feed(b"x" * 1000)
        assert buffer.line() is None
        assert len(buffer) == 0
    assert buffer.partial
    buffer.feed(b"\nNOOP\r\nrest")
    with pytest.raises(TooLong):
        buffer.line()
    assert buffer.line() == b"NOOP"
    assert buffer.take() == b"rest"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a@b.example>", ("a@b.example", "")),
        ("<a@b.example> SIZE=1 BODY=8BITMIME", ("a@b.example", "SIZE=1 BODY=8BITMIME")),
        ("<>", ("<>", "")),
        ("<> SIZE=1", ("<>", "SIZE=1")),
        ("<postmaster>", ("postmaster", "")),
        ("<åsa@exämple.se>", ("åsa@exämple.se", "")),
        ("<a+b=c@d>", ("a+b=c@d", "")),
        ("a@b.example", None),
        ('<"a b"@c>', None),
        ("<@x,@y:a@b>", None),
        ("<a@[127.0.0.1]>", None),
        ("<a@b@c>", None),
        ("<a@b>SIZE=1", None),
        ("<a@b", None),
        ("<a\0@b>", None),
    ],
)
def test_quick_addresses(text: str, expected: tuple[str, str] | None) -> None:
    assert addresses.quick(text) == expected


def test_addresses_take_linear_time() -> None:
    for piece in ("a", "@", "<", "a@", " ", "a.", "é"):
        start = time.perf_counter()
        addresses.quick("<" + piece * 200_000)
        addresses.quick("<a@b> " + piece * 200_000 + "\n")
        assert time.perf_counter() - start < 1


def test_usable_addresses_and_routes() -> None:
    assert addresses.usable("a@b")
    assert not addresses.usable("a\udce9@b")
    assert not addresses.usable("a\u0085@b")
    assert not addresses.usable("a@" + "b" * 253)
    assert addresses.without_route("<@x,@y:a@b> SIZE=1") == "<a@b> SIZE=1"
    assert addresses.without_route("<a@b>") == "<a@b>"
    assert addresses.without_route("<@x>:a@b>") == "<@x>:a@b>"


@given(st.text(max_size=300))
def test_the_trace_field_is_one_field(helo: str) -> None:
    field = received.field(
        helo=received.name(helo), client_ip="::1", hostname="mx", protocol="ESMTP", transaction="1", at=0
    )
    assert re.fullmatch(
        rb"Received: from [!-~]* \(\[IPv6:::1\]\)\r\n\tby mx with ESMTP id 1;\r\n"
        rb"\tThu, 01 Jan 1970 00:00:00 \+0000\r\n",
        field,
    )


def test_the_trace_field_names_the_client() -> None:
    for ip, literal in (("192.0.2.1", b"([192.0.2.1])"), ("", b"(local)")):
        assert literal in received.field(helo="h", client_ip=ip, hostname="m", protocol="LMTP", transaction="1", at=0)


def test_protocol_words() -> None:
    words = {
        received.protocol(lmtp=lmtp, extended=extended, utf8=utf8, tls=tls)
        for lmtp in (False, True)
        for extended, utf8 in ((False, False), (True, False), (True, True))
        for tls in (False, True)
    }
    assert words == {*("SMTP", "ESMTP", "ESMTPS", "UTF8SMTP", "UTF8SMTPS", "LMTP", "LMTPS", "UTF8LMTP", "UTF8LMTPS")}


def test_replies_have_enhanced_codes() -> None:
    assert replies.enhanced("503 Error: need MAIL command") == "503 5.5.1 need MAIL command"
    assert replies.enhanced("250 2.1.0 OK") == "250 2.1.0 OK"
    assert replies.enhanced("354 go") == "354 go"
    for name, reply in vars(replies).items():
        if name.isupper() and isinstance(reply, str) and name != "GO_AHEAD":
            assert re.match(rf"{reply[:3]} {reply[0]}\.\d\.\d+ ", reply), name


def test_the_budget() -> None:
    budget = Budget(10)
    assert budget.take(10)
    assert not budget.take(1)
    budget.give(4)
    assert (budget.free, budget.take(4)) == (4, True)


def test_clients() -> None:
    clients = Clients((ip_network("192.0.2.0/24"), ip_network("198.51.100.7")), total=5, per_address=2)
    assert clients.allowed("192.0.2.9")
    assert not clients.allowed("192.0.3.9")
    assert not clients.allowed("2001:db8::1")
    assert clients.allowed("")
    assert [clients.enter("192.0.2.9") for _ in range(3)] == [True, True, False]
    assert [clients.enter("198.51.100.7") for _ in range(4)] == [True, True, True, False]
    clients.leave("192.0.2.9")
    clients.leave("192.0.2.9")
    assert clients.connected == 3
    assert clients.enter("")
    assert not any(clients.allowed(f"10.{a}.{b}.1") for a in range(20) for b in range(256))


def test_this_machine_has_no_cap_of_its_own() -> None:
    clients = Clients((ip_network("127.0.0.0/8"),), total=9, per_address=1)
    assert all(clients.enter("127.0.0.1") for _ in range(9))
    assert not clients.enter("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "ip"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1"),
        ("", ""),
        (None, ""),
        ((), ""),
    ],
)
def test_client_ip(peer: object, ip: str) -> None:
    assert client_ip(peer) == ip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8025", Listen(host="127.0.0.1", port=8025)),
        ("smtp://mx.example:25", Listen(host="mx.example", port=25)),
        ("[::1]:25", Listen(host="::1", port=25)),
        ("lmtp://[::]:24", Listen(lmtp=True, host="::", port=24)),
        ("*:25", Listen(port=25)),
        (":25", Listen(port=25)),
        ("lmtp+unix:///run/x.sock", Listen(lmtp=True, path=Path("/run/x.sock"))),
        ("smtp+unix:///run/x.sock", Listen(path=Path("/run/x.sock"))),
    ],
)
def test_listen(text: str, expected: Listen) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "host",
        "host:",
        "host:x",
        "host:65536",
        "host:²",
        "::1:25",
        "http://x:25",
        "lmtp+unix://run/x",
        "lmtp+unix:///",
    ],
)
def test_listen_says_what_is_wrong(text: str) -> None:
    with pytest.raises(ConfigurationError, match="BRIDGE_LISTEN"):
        parse_listen(text)


def test_the_handler_has_no_slots() -> None:
    """aiosmtpd looks at every attribute of it; on Debian 12's Python 3.11.2 a slotted one refuses (gh-102069)."""
    from bridge.intake.handler import Handler

    assert "__weakref__" not in vars(Handler).get("__slots__", ())
    assert not hasattr(Handler, "__slots__")
