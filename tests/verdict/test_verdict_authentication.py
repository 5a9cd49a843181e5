"""Who a mail is from: every way we know to make a forged one look genuine, and what genuine relays write."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.intake.data import normalise_newlines
from bridge.mail import authenticate, read
from bridge.mail.authres import Result, dmarc_results
from bridge.mail.structured import Bare, bare
from bridge.model import Authentication

NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
OURS = (
    "Received: from mx.example.com ([10.0.0.1]) by bridge.example.com with ESMTP id 1; Wed, 25 Nov 2026 10:00:00 +0000"
)
RELAY = "Received: from a.example.net (a.example.net [192.0.2.1]) by mx.example.com; Wed, 25 Nov 2026 09:59:59 +0000"
EARLIER = "Received: from pc by a.example.net; Wed, 25 Nov 2026 09:59:58 +0000"
PASS = "Authentication-Results: mx.example.com; dmarc=pass (p=reject dis=none) header.from=example.net"
FAIL = "Authentication-Results: mx.example.com; dmarc=fail (p=reject dis=none) header.from=example.net"
FROM = "From: Anna <anna@example.net>"


def judge(
    *fields: str | bytes,
    client_ip: str = "10.0.0.1",
    authserv_id: str = "mx.example.com",
    trusted_hops: int = 1,
) -> Authentication:
    block = b"".join((field.encode() if isinstance(field, str) else field) + b"\r\n" for field in fields)
    return authenticate(
        read(block + b"Subject: x\r\n\r\nHello\r\n"),
        client_ip=client_ip,
        relay_networks=NETWORKS,
        authserv_id=authserv_id,
        trusted_hops=trusted_hops,
    )


def with_results(results: str, from_: str | bytes = FROM) -> Authentication:
    return judge(OURS, RELAY, f"Authentication-Results: {results}", EARLIER, from_)


GENUINE = {
    "OpenDMARC": "mx.example.com; dmarc=pass (p=reject dis=none) header.from=example.net",
    "OpenDMARC, folded": "mx.example.com;\r\n\tdmarc=pass (p=none dis=none) header.from=example.net",
    "rspamd": "mx.example.com;\r\n\tdkim=pass header.d=example.net header.s=s1 header.b=aB+/c9==;\r\n"
    "\tspf=pass (mx.example.com: domain of anna@example.net designates 192.0.2.1 as permitted sender) "
    "smtp.mailfrom=anna@example.net;\r\n\tdmarc=pass (policy=reject) header.from=example.net",
    "Google": "mx.example.com;\r\n       dkim=pass header.i=@example.net header.s=20230601 header.b=Ab+/x;\r\n"
    "       spf=pass smtp.mailfrom=anna@example.net;\r\n"
    "       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=example.net",
    "Microsoft's words behind a name": "mx.example.com; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.net; "
    "dkim=pass (signature was verified) header.d=example.net;"
    "dmarc=pass action=none header.from=example.net;compauth=pass reason=100",
    "Exim": "mx.example.com;\r\n\tdmarc=pass header.from=example.net",
    "version 1": "mx.example.com 1; dmarc=pass header.from=example.net",
    "method version 1": "mx.example.com; dmarc/1=pass header.from=example.net",
    "any case": "MX.Example.COM; DMARC=Pass HEADER.FROM=Example.NET",
    "comments everywhere": "mx.example.com (a (nested \\) one)) ; (b) dmarc (c) = (d) pass (e) "
    "header.from = (f) example.net (g)",
    "a quoted value": 'mx.example.com; dmarc=pass reason="a; b (" header.from="example.net"',
    "a closing semicolon": "mx.example.com; dmarc=pass header.from=example.net;",
    "a quoted string of another method before": 'mx.example.com; spf=pass reason="x; dmarc=fail" smtp.mailfrom=a; '
    "dmarc=pass policy.dmarc=none header.from=example.net",
    "trailing dot": "mx.example.com; dmarc=pass header.from=example.net.",
}


@pytest.mark.parametrize("results", GENUINE.values(), ids=GENUINE)
def test_what_genuine_relays_write_passes(results: str) -> None:
    assert with_results(results) == Authentication("pass", "dmarc=pass")


DOUBTFUL = {
    "no result": "mx.example.com; none",
    "no dmarc": "mx.example.com; spf=pass smtp.mailfrom=example.net; dkim=pass header.d=example.net",
    "none": "mx.example.com; dmarc=none header.from=example.net",
    "temperror": "mx.example.com; dmarc=temperror header.from=example.net",
    "bestguesspass": "mx.example.com; dmarc=bestguesspass header.from=example.net",
    "pass-like": "mx.example.com; dmarc=pass-ish header.from=example.net",
    "pass in words": "mx.example.com; dmarc=passed header.from=example.net",
    "another domain": "mx.example.com; dmarc=pass header.from=example.org",
    "a parent domain": "mx.example.com; dmarc=pass header.from=net",
    "a subdomain": "mx.example.com; dmarc=pass header.from=mail.example.net",
    "a domain with ours in front": "mx.example.com; dmarc=pass header.from=example.net.evil.example",
    "an address": "mx.example.com; dmarc=pass header.from=anna@example.net",
    "no domain": "mx.example.com; dmarc=pass",
    "an empty domain": "mx.example.com; dmarc=pass header.from=",
    "two domains": "mx.example.com; dmarc=pass header.from=example.net header.from=example.org",
    "the domain twice": "mx.example.com; dmarc=pass header.from=example.net header.from=example.net",
    "only like header.from": "mx.example.com; dmarc=pass x-header.from=example.net",
    "policy.header.from": "mx.example.com; dmarc=pass policy.header.from=example.net",
    "two results": "mx.example.com; dmarc=pass header.from=example.net; dmarc=pass header.from=example.net",
    "fail then pass": "mx.example.com; dmarc=fail header.from=example.net; dmarc=pass header.from=example.net",
    "fail of another method version, then pass": "mx.example.com; dmarc/2=fail header.from=example.net; "
    "dmarc=pass header.from=example.net",
    "fail unreadable, then pass": "mx.example.com; dmarc fail; dmarc=pass header.from=example.net",
    "version 2": "mx.example.com 2; dmarc=pass header.from=example.net",
    "words behind the name": "mx.example.com is mine; dmarc=pass header.from=example.net",
    "a word behind the name": "mx.example.com one; dmarc=pass header.from=example.net",
    "no semicolon": "mx.example.com dmarc=pass header.from=example.net",
    "a port": "mx.example.com:25; dmarc=pass header.from=example.net",
    "a job": "mx.example.com/4BDF1; dmarc=pass header.from=example.net",
    "a trailing dot": "mx.example.com.; dmarc=pass header.from=example.net",
    "the name in front": "mx.example.com.evil.example; dmarc=pass header.from=example.net",
    "the name at the end": "evil.mx.example.com; dmarc=pass header.from=example.net",
    "another name": "mx.example.org; dmarc=pass header.from=example.net",
    "no name (Microsoft 365)": "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.net; "
    "dmarc=pass action=none header.from=example.net",
    "no name at all": "; dmarc=pass header.from=example.net",
    "the name quoted": '"mx.example.com"; dmarc=pass header.from=example.net',
    "the name behind a comment": "(x) mx.example.com; dmarc=pass header.from=example.net",
    "the name second": "evil.example mx.example.com x; dmarc=pass header.from=example.net",
    "the result in a comment": "mx.example.com; spf=fail (; dmarc=pass header.from=example.net)",
    "the result in a quoted string": 'mx.example.com; spf=fail reason="; dmarc=pass header.from=example.net;"',
    "the result quoted": 'mx.example.com; dmarc="pass" header.from=example.net',
    "the method quoted": 'mx.example.com; "dmarc"=pass header.from=example.net',
    "a quote inside a comment": 'mx.example.com; dmarc=fail (") header.from=example.net; '
    'dmarc=pass (") header.from=example.net',
    "a comment never closed": "mx.example.com; dmarc=pass header.from=example.net (",
    "a comment never opened": "mx.example.com; dmarc=pass header.from=example.net )",
    "an escape at the end": "mx.example.com; dmarc=pass header.from=example.net (x\\",
    "an escape outside": "mx.example.com; dmarc=pass header.from=example\\.net",
    "a quoted string never closed": 'mx.example.com; dmarc=pass header.from=example.net reason="x',
    "an escaped quote at the end": 'mx.example.com; dmarc=pass header.from=example.net reason="x\\',
    "junk behind": "mx.example.com; dmarc=pass header.from=example.net junk",
    "junk between": "mx.example.com; dmarc=pass junk header.from=example.net",
    "spaces in the property": "mx.example.com; dmarc=pass header . from=example.net",
    "glued": "mx.example.com; dmarc=passheader.from=example.net",
    "a domain glued to a quoted string": 'mx.example.com; dmarc=pass header.from=example.net"x"',
    "8-bit in the domain": "mx.example.com; dmarc=pass header.from=example\u2024net",
    "over 8 KB": "mx.example.com; dmarc=pass header.from=example.net (" + "x" * 8192 + ")",
}


@pytest.mark.parametrize("results", DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubt_is_never_pass(results: str) -> None:
    assert with_results(results).result == "unknown"


def test_a_failure_is_told_from_doubt() -> None:
    assert judge(OURS, RELAY, FAIL, FROM) == Authentication("fail", "dmarc=fail")


PLACES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "below the relay's own Received, as milters insert": ((OURS, RELAY, PASS, EARLIER), 1, "pass"),
    "above the relay's own Received": ((OURS, PASS, RELAY, EARLIER), 1, "pass"),
    "above ours, as a filter in front of the spool would": ((PASS, OURS, RELAY, EARLIER), 1, "pass"),
    "below the second Received": ((OURS, RELAY, EARLIER, PASS), 1, "unknown"),
    "below the second, with two trusted hops": ((OURS, RELAY, EARLIER, PASS), 2, "pass"),
    "below the third, with two trusted hops": ((OURS, RELAY, EARLIER, EARLIER, PASS), 2, "unknown"),
    "the client sent no Received": ((OURS, RELAY, PASS), 1, "pass"),
    "ours, and a forged one right below": ((OURS, RELAY, FAIL, PASS, EARLIER), 1, "unknown"),
    "a forged one above and a failure below": ((OURS, RELAY, PASS, FAIL), 1, "unknown"),
    "a failure, and a forged one far below": ((OURS, RELAY, FAIL, EARLIER, PASS), 1, "fail"),
    "the same twice": ((OURS, RELAY, PASS, PASS), 1, "unknown"),
    "a pass, and one that cannot be read": (
        (OURS, RELAY, PASS, "Authentication-Results: x; dmarc=pass ("),
        1,
        "unknown",
    ),
    "a pass, and one over 8 KB": ((OURS, RELAY, PASS, "Authentication-Results: x; " + "y" * 9000), 1, "unknown"),
    "a pass, and somebody else's": (
        (OURS, RELAY, PASS, "Authentication-Results: evil.example; dmarc=fail header.from=x"),
        1,
        "pass",
    ),
    "only in ARC": ((OURS, RELAY, "ARC-Authentication-Results: i=1; " + PASS.partition(" ")[2]), 1, "unknown"),
    "only in X-": ((OURS, RELAY, "X-" + PASS), 1, "unknown"),
    "a space before the colon": ((OURS, RELAY, PASS.replace(":", " :", 1)), 1, "unknown"),
    "none": ((OURS, RELAY, EARLIER), 1, "unknown"),
}


@pytest.mark.parametrize(("fields", "hops", "result"), PLACES.values(), ids=PLACES)
def test_only_what_stands_above_the_second_received_counts(fields: tuple[str, ...], hops: int, result: str) -> None:
    # From stands on top: where it stands says nothing.
    assert judge(FROM, *fields, trusted_hops=hops).result == result


FROMS: dict[str, str | bytes] = {
    "two fields": "From: Anna <anna@example.net>\r\nFrom: Bo <bo@example.org>",
    "the same twice": f"{FROM}\r\n{FROM}",
    "none": "X-From: anna@example.net",
    "empty": "From:",
    "a list": "From: anna@example.net, bo@example.org",
    "a list of the same": "From: anna@example.net, anna@example.net",
    "a list with an empty end": "From: anna@example.net,",
    "a group": "From: friends: anna@example.net;",
    "an empty group": "From: undisclosed-recipients:;",
    "a group in a list": "From: evil@example.org, friends: anna@example.net;",
    "a route": "From: <@example.org:anna@example.net>",
    "two addresses in brackets": "From: <anna@example.net> <evil@example.org>",
    "an address as an unquoted name": "From: anna@example.net <evil@example.net>",
    "a colon in an unquoted name": "From: Re: Anna <anna@example.net>",
    "a quoted local part": 'From: "anna@x"@example.net',
    "two at signs": "From: anna@example.net@example.net",
    "a comment in the address": "From: anna(x)@example.net",
    "a bracket never closed": "From: Anna <anna@example.net",
    "a quote never closed": 'From: "Anna <anna@example.net>',
    "a comment never closed": "From: Anna (x <anna@example.net>",
    "no domain": "From: Anna <anna>",
    "only an encoded word": "From: =?utf-8?q?anna=40example=2Enet?=",
    "a domain literal": "From: anna@[192.0.2.1]",
    "a null byte in the name": b"From: An\x00na <anna@example.net>",
    "a null byte in the address": b"From: anna@example.net\x00.evil.example",
    "an escape": b"From: Anna \x1b[1m <anna@example.net>",
    "a right-to-left override": "From: Anna <anna@example.net\u202e>",
    "a zero-width space": "From: Anna <anna@exam\u200bple.net>",
    "a wide letter": "From: Anna <anna@\uff45xample.net>",
    "a letter that folds into an ASCII one": "From: Kalle <\u212aalle@example.net>",
    "over 8 KB": 'From: "' + "x" * 8200 + '" <anna@example.net>',
}


@pytest.mark.parametrize("from_", FROMS.values(), ids=FROMS)
def test_a_from_that_is_not_one_plain_mailbox(from_: str | bytes) -> None:
    assert judge(OURS, RELAY, PASS, from_) == Authentication("unknown", "not exactly one plain From")


PLAIN = {
    "bare": "From: anna@example.net",
    "brackets": "From: <anna@example.net>",
    "the old comment form": "From: anna@example.net (Anna)",
    "a quoted name with everything in it": 'From: "Anna, Evil <evil@example.org>; x: \\" (" <anna@example.net>',
    "an encoded name that hides an address": "From: =?utf-8?q?evil=40example=2Eorg=2C?= <anna@example.net>",
    "folded": "From: Anna\r\n <anna@example.net>",
    "upper case": "FROM: ANNA <ANNA@EXAMPLE.NET>",
    "an international local part": "From: Åsa <åsa@example.net>",
    "8-bit name": "From: Åsa <anna@example.net>",
}


@pytest.mark.parametrize("from_", PLAIN.values(), ids=PLAIN)
def test_plain_mailboxes(from_: str) -> None:
    assert judge(OURS, RELAY, PASS, from_).result == "pass"


@pytest.mark.parametrize(
    ("from_domain", "said", "result"),
    [
        ("bücher.example", "xn--bcher-kva.example", "pass"),
        ("xn--bcher-kva.example", "bücher.example", "pass"),
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example", "pass"),
        ("bücher.example", "bücher.example", "pass"),
        ("bucher.example", "xn--bcher-kva.example", "unknown"),
        ("ban\u212a.example", "bank.example", "unknown"),  # the Kelvin sign folds into k
        ("bank.example", "ban\u212a.example", "unknown"),
        ("b\u0430nk.example", "bank.example", "unknown"),  # a Cyrillic а
        ("bank\u3002example", "bank.example", "unknown"),  # an ideographic full stop
        ("faß.example", "fass.example", "unknown"),
        ("a_b.example", "a_b.example", "pass"),
        ("a..example", "a..example", "unknown"),
        (f"{'x' * 64}.example", f"{'x' * 64}.example", "unknown"),
        (f"{'x.' * 130}example", f"{'x.' * 130}example", "unknown"),
    ],
)
def test_international_domains(from_domain: str, said: str, result: str) -> None:
    got = with_results(f"mx.example.com; dmarc=pass header.from={said}", f"From: <anna@{from_domain}>")
    assert got.result == result


@pytest.mark.parametrize(
    ("client_ip", "result"),
    [
        ("10.0.0.1", "pass"),
        ("fd00::1", "pass"),
        ("", "pass"),
        ("192.0.2.1", "unknown"),
        ("11.0.0.0", "unknown"),
        ("fe80::1", "unknown"),
        ("localhost", "unknown"),
    ],
)
def test_only_from_a_relay_of_ours(client_ip: str, result: str) -> None:
    assert judge(OURS, RELAY, PASS, FROM, client_ip=client_ip).result == result


def test_without_an_authserv_id_nobody_is_authenticated() -> None:
    assert judge(OURS, RELAY, PASS, FROM, authserv_id="").result == "unknown"


@pytest.mark.parametrize("separator", [b"\r", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\x00"])
def test_no_other_byte_than_a_line_end_begins_a_field(separator: bytes) -> None:
    """The bridge makes a bare CR in a header a space before it stores a mail; here the other separators."""
    if separator == b"\r":
        separator = b" "
    assert judge(OURS, RELAY, b"X-Note: a" + separator + PASS.encode(), FROM).result == "unknown"


def test_what_comes_after_a_line_that_is_no_field_is_no_field() -> None:
    assert judge(OURS, RELAY, FROM, "not a field", PASS).result == "unknown"


def test_the_relays_field_survives_a_header_that_is_cut() -> None:
    assert judge(OURS, RELAY, PASS, FROM, *[f"X-{n}: y" for n in range(3000)]).result == "pass"
    assert judge(OURS, RELAY, FROM, *[f"X-{n}: {'y' * 200}" for n in range(3000)], PASS).result == "unknown"


SENT = st.lists(
    st.sampled_from(
        [
            *(piece.encode() for piece in (PASS, FAIL, RELAY, EARLIER, OURS, FROM, "Subject: x")),
            *(b"Authentication-Results:", b" mx.example.com;", b"dmarc=pass", b" header.from=example.net", b"From:"),
            *(
                b"\r\n",
                b"\r\n",
                b"\r\n ",
                b"\r",
                b"\n",
                b"\r\n\r\n",
                b'"',
                b"(",
                b")",
                b"\\",
                b"\0",
                b":",
                b" ",
                b"\xff",
            ),
        ]
    ),
    max_size=14,
)


@given(SENT)
@example([b"Subject: x\r", PASS.encode(), b"\r\n"])
@example([b"Subject: x\n", PASS.encode(), b"\r\n"])
def test_nothing_that_a_sender_sends_makes_a_failure_a_pass(sent: list[bytes]) -> None:
    """Whatever stands below the relay's Received, as the bridge stores it: at worst it is doubt."""
    top = f"{OURS}\r\n{FAIL}\r\n{RELAY}\r\n".encode()
    for hops, above in ((0, top), (1, top), (0, top.replace(FAIL.encode() + b"\r\n", b""))):
        mail = read(normalise_newlines(above + b"".join(sent) + b"\r\nFrom: anna@example.net\r\n\r\nHello\r\n"))
        found = authenticate(
            mail, client_ip="10.0.0.1", relay_networks=NETWORKS, authserv_id="mx.example.com", trusted_hops=hops
        )
        assert found.result != "pass"


@given(st.text(alphabet='mx.example.com;= "()\\dmarcpsheaderfrom\t\u00e5', max_size=120))
def test_reading_a_field_never_fails(value: str) -> None:
    found = dmarc_results(value, "mx.example.com")
    assert found is None or all(isinstance(one, Result) for one in found)


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_quoted_or_in_a_comment_changes_nothing(comment: str, quoted: str) -> None:
    """Whoever can choose such a text (an envelope sender, a display name) cannot choose the result."""

    def escaped(text: str) -> str:
        shown = "".join(char for char in text if char.isprintable())
        return "".join(f"\\{char}" if char in '()"\\' else char for char in shown)

    field = (
        f'mx.example.com; spf=pass ({escaped(comment)}) reason="{escaped(quoted)}"; dmarc=fail header.from=example.net'
    )
    assert dmarc_results(field, "mx.example.com") == [Result("fail", "example.net")]


@given(st.text(alphabet='a;"()\\ \x00', max_size=40))
def test_laying_bare(value: str) -> None:
    found = bare(value)
    if found is not None:
        assert found.text.count("\x00") == len(found.quoted)
        assert not set(found.text) & set('"()\\')


def test_laying_bare_keeps_what_it_should() -> None:
    assert bare('a (b(c)) "d\\"e" f') == Bare("a   \x00 f", ('d"e',))
    assert bare("a\tb") == Bare("a\tb", ())
    assert bare("a\x7f") is None
