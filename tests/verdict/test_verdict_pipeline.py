"""What ``decide`` and its neighbours do beside the gates."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import pipeline
from bridge.model import Context, Envelope, Hints
from bridge.reasons import Reason
from bridge.reference import AddressKeys

ID = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
OURS = {"domains": frozenset({"example.com", "xn--bcher-kva.example"}), "mailboxes": frozenset({"support"})}
POLICY = pipeline.Policy(
    loop_marker="ticket-bridge@example.com",
    domains=frozenset({"example.com"}),
    relay_networks=(ipaddress.ip_network("10.0.0.0/8"),),
    no_ticket="create",
    hints=Hints(addresses=("support@example.com", "support@xn--bcher-kva.example")),
)
PASS = b"Authentication-Results: mx.example.com; dmarc=pass header.from=example.net\r\n"


def addressed(recipient: str, *siblings: str) -> pipeline.Addressed:
    envelope = Envelope("anna@example.net", recipient, siblings, "10.0.0.1")
    return pipeline.address(envelope, keys=AddressKeys(), signed="off", **OURS)


def copied(cc: str, policy: pipeline.Policy = POLICY, head: bytes = b"") -> tuple[str, ...]:
    raw = head + f"From: anna@example.net\r\nCc: {cc}\r\nSubject: x\r\n\r\nHello\r\n".encode()
    envelope = Envelope("anna@example.net", "support@example.com", client_ip="10.0.0.1")
    return pipeline.decide(pipeline.read(raw), envelope, addressed("support@example.com"), policy, Context()).cc


def test_a_new_ticket_copies_whom_the_mail_copied() -> None:
    assert copied("Bo <bo@example.org>, BO@example.org, bo@example.org") == (
        "bo@example.org",
        "BO@example.org",
    )


@pytest.mark.parametrize(
    "ours",
    [
        *("support@example.com", "Support@Example.Com", f"support+{ID}@example.com", "SUPPORT+149943@example.com"),
        *('"support"@example.com', "support@bücher.example", f"support+{ID}@xn--bcher-kva.example"),
    ],
)
def test_a_new_ticket_never_copies_the_bridge_itself(ours: str) -> None:
    """Its notifications would come back as replies."""
    assert copied(f"{ours}, bo@example.org") == ("bo@example.org",)


def test_a_forger_cannot_make_a_ticket_copy_strangers() -> None:
    policy = replace(POLICY, authserv_id="mx.example.com")
    assert copied("bo@example.org", policy) == ()
    assert copied("bo@example.org", policy, PASS) == ("bo@example.org",)


def test_no_more_are_copied_than_the_api_takes() -> None:
    assert len(copied(", ".join(f"a{n}@example.org" for n in range(50)))) == pipeline.CC_LIMIT


def test_equal_words_have_equal_digests_whatever_their_white_space() -> None:
    def digest(body: str, kind: str = "plain") -> str:
        return pipeline.body_digest(pipeline.read(f"Content-Type: text/{kind}\r\n\r\n{body}".encode()))

    assert digest("Thanks  a lot!\r\n\r\n") == digest("Thanks a\r\nlot!")
    assert digest("Thanks a lot!") != digest("Thanks a lot")
    assert digest("<p>a</p>", "html") == digest("<p>a</p>\r\n", "html") != digest("<p>b</p>", "html")


@given(st.text(max_size=50))
def test_any_words_have_a_digest(body: str) -> None:
    assert len(pipeline.body_digest(pipeline.read(body.encode("utf-8", "surrogatepass")))) == 64


def test_what_the_context_is_looked_up_for() -> None:
    mail = pipeline.read(f"Subject: [#1] [{ID}] [#2] [#1]\r\n\r\nx".encode())
    assert pipeline.named_tickets(mail, addressed("support@example.com")) == ("1", ID, "2")
    assert pipeline.named_tickets(mail, addressed("support+2@example.com")) == ("2", "1", ID)


@pytest.mark.parametrize(
    ("siblings", "named"),
    [
        ((), False),
        (("support@example.com", "bo@example.org"), False),
        ((f"support+{ID}@example.org",), False),
        (("support+nonsense@example.com",), False),
        (("support+149943@example.com",), True),
        (("bo@example.org", f"Support+{ID.upper()}@EXAMPLE.com"), True),
    ],
)
def test_siblings(siblings: tuple[str, ...], named: bool) -> None:
    assert addressed("support@example.com", *siblings).sibling_has_ticket is named


def test_without_a_from_nobody_is_allow_listed() -> None:
    policy = replace(POLICY, number_policy="known", authserv_id="mx.example.com", allowed_senders=frozenset({"@"}))
    mail = pipeline.read(PASS + b"Subject: [#1]\r\n\r\nHello\r\n")
    decision = pipeline.decide(
        mail, Envelope("", "support@example.com"), addressed("support@example.com"), policy, Context(released=False)
    )
    assert decision.sender is None
    assert decision.verdict.reason is Reason.AUTO_REPLY


def test_a_picture_comes_along_with_the_words_that_show_it_and_not_with_what_is_cut() -> None:
    mail = EmailMessage()
    mail["From"] = "anna@example.net"
    mail.set_content("See here.")
    quoted = '<div class="gmail_quote"><blockquote><p>Old.</p><img src="cid:old"></blockquote></div>'
    mail.add_alternative(f'<p>See here.</p><img src="cid:new">{quoted}', subtype="html")
    for cid in ("new", "old"):
        mail.get_payload()[1].add_related(cid.encode() * 500, "image", "png", cid=f"<{cid}>")
    envelope = Envelope("anna@example.net", f"support+{ID}@example.com")
    decision = pipeline.decide(
        pipeline.read(mail.as_bytes()), envelope, addressed(envelope.recipient), POLICY, Context()
    )
    assert [item.content_id for item in decision.attachments] == ["new"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Anna\\r\\n[attached: all is well]", "Anna"),
        ("=?utf-8?b?QW5uYQpFbGluOiBtb25leSBpcyBvbiBpdHMgd2F5?=", "Anna"),
        ("Anna\u202emoc.elpmaxe@nile", "Anna moc.elpmaxe@nile"),
        ("Anna\x1b[31m", "Anna [31m"),
        ("{address} {name}", "{address} {name}"),
    ],
)
def test_a_display_name_stays_on_its_line(name: str, shown: str) -> None:
    policy = replace(POLICY, message_template="From {name} <{address}>:")
    mail = pipeline.read(f'From: "{name}" <anna@example.net>\r\n\r\nHello\r\n'.encode())
    envelope = Envelope("anna@example.net", f"support+{ID}@example.com")
    message = pipeline.decide(mail, envelope, addressed(envelope.recipient), policy, Context()).message
    first, blank, words = message.split("\n")
    assert (blank, words) == ("", "Hello")
    assert first.startswith(f"From {shown}")
    assert first.endswith(" <anna@example.net>:")
    assert first.isprintable()


@pytest.mark.parametrize(
    ("listed", "from_", "reason"),
    [
        ("anna@example.net", "anna@example.net", Reason.REPLY),
        ("anna@example.net", "ANNA@EXAMPLE.NET", Reason.REPLY),
        ("@example.net", "anna@example.net", Reason.REPLY),
        ("bo@example.net", "anna@example.net", Reason.SENDER_NOT_KNOWN),
        ("@net", "anna@example.net", Reason.SENDER_NOT_KNOWN),
        ("@sub.example.net", "anna@example.net", Reason.SENDER_NOT_KNOWN),
        ("example.net", "anna@example.net", Reason.SENDER_NOT_KNOWN),
    ],
)
def test_allow_lists(listed: str, from_: str, reason: Reason) -> None:
    policy = replace(POLICY, number_policy="known", authserv_id="mx.example.com", allowed_senders=frozenset({listed}))
    mail = pipeline.read(PASS + f"From: {from_}\r\nSubject: [#1]\r\n\r\nHello\r\n".encode())
    envelope = Envelope("anna@example.net", "support@example.com", client_ip="10.0.0.1")
    decision = pipeline.decide(mail, envelope, addressed("support@example.com"), policy, Context())
    assert decision.verdict.reason is reason
