"""Reports to senders: whom, when, how often, and what stands in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Address, Authentication, Decision, Envelope, Reply
from bridge.ops.actions import Actions
from bridge.ops.notices import NoticeConfig, Notices, report
from bridge.reasons import MailClass, Reason
from bridge.spool import open_spool
from bridge.spool.api import Entry, NewMail, Spool, State
from tests.ops.conftest import Cli
from tests.spool import samples


class Sink:
    """A smarthost that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        self.reply = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.reply.startswith("2"):
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append((envelope.mail_from or "", envelope.rcpt_tos, mail))
        return self.reply


PASS = Authentication("pass", "dmarc=pass")


def a_decision(**changes: object) -> Decision:
    made = replace(
        samples.decision(action="hold", reason=Reason.NO_TICKET, message_id="m1@example.org"),
        authentication=PASS,
        sender=Address("Anna", "anna@example.org"),
        reply=Reply("secret words", "", (), 1.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # members of Decision, given by name


async def held(spool: Spool, decision: Decision | None, mail_from: str = "anna@example.org") -> str:
    envelope = Envelope(mail_from, "support@example.com", received_at=1.0)
    (entry,) = await spool.accept(NewMail(b"Subject: secret words\r\n\r\nsecret words\r\n", (envelope,), ("",)))
    (claim,) = await spool.claim_received(1, 60)
    if decision is None:
        await spool.unreadable(claim, "crash")
    else:
        await spool.decided(claim, decision, state=State.HELD, lane="", body_digest="")
    return entry


def run(path: Path, work: Callable[[Spool, Notices, Sink, samples.Clock], Awaitable[None]]) -> Sink:
    sink, clock = Sink(), samples.Clock()
    controller = Controller(sink, hostname="127.0.0.1", port=0)
    controller.port = _free_port()
    controller.start()

    async def live() -> None:
        url = f"sqlite:///{path}/spool.db"
        spool = await open_spool(url, owner="t", high_water_bytes=2**33, min_free_bytes=0, clock=clock)
        config = NoticeConfig(
            "127.0.0.1", controller.port, "bridge.example.com", "help@example.com", "loop@example.com"
        )
        try:
            await work(spool, Notices(spool, config, clock, structlog.get_logger()), sink, clock)
        finally:
            await spool.close()

    try:
        asyncio.run(live())
    finally:
        controller.stop()
    return sink


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def audit(spool: Spool, entry: str) -> list[tuple[str, str]]:
    return [(line.action, line.note) for line in (await spool.detail(entry)).audit]


def test_a_rejected_mail_is_reported_once_and_without_its_words(tmp_path: Path) -> None:
    async def work(spool: Spool, notices: Notices, _sink: Sink, clock: samples.Clock) -> None:
        entry = await held(spool, a_decision())
        assert await notices.round() == 0
        await Actions(spool, "me", clock).reject(entry, "spam")
        assert await notices.round() == 1
        assert await notices.round() == 0
        assert await audit(spool, entry) == [("reject", "spam"), ("notice_sent", "rejected")]

    ((sender, recipients, mail),) = run(tmp_path, work).mails
    assert (sender, recipients) == ("<>", ["anna@example.org"])
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Loop"] == "loop@example.com"
    assert mail["In-Reply-To"] == "<m1@example.org>"
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    text, status, headers = mail.iter_parts()
    assert "help@example.com" in text.get_content()
    fields = [dict(part.items()) for part in status.get_payload()]  # type: ignore[union-attr]  # RFC 3464: parts
    assert fields[0]["Reporting-MTA"] == "dns; bridge.example.com"
    assert fields[1] == {"Final-Recipient": "rfc822; support@example.com", "Action": "failed", "Status": "5.7.1"}
    assert headers.get_content_type() == "text/rfc822-headers"
    assert "secret" not in mail.as_string()


def test_an_expired_mail_is_reported(tmp_path: Path) -> None:
    async def work(spool: Spool, notices: Notices, _sink: Sink, clock: samples.Clock) -> None:
        await held(spool, a_decision(message_id=""))
        clock.advance(91 * samples.DAY)
        await spool.erase(ended_before=clock() - 14 * samples.DAY, held_before=clock() - 90 * samples.DAY)
        assert await notices.round() == 1

    ((_, _, mail),) = run(tmp_path, work).mails
    assert "Status: 5.4.7" in mail.as_string()
    assert mail["In-Reply-To"] is None


@pytest.mark.parametrize(
    ("changes", "mail_from", "why"),
    [
        ({"authentication": Authentication("unknown", "x")}, "anna@example.org", "the sender is not authenticated"),
        ({"authentication": Authentication("fail", "x")}, "anna@example.org", "the sender is not authenticated"),
        ({"mail_class": MailClass.BULK}, "anna@example.org", "a machine sent it"),
        ({}, "", "the reverse-path is of another domain than From"),
        ({}, "anna@evil.example", "the reverse-path is of another domain than From"),
        ({"sender": Address("", "å@example.org")}, "å@example.org", "its address is not ASCII"),
        ({"sender": None}, "anna@example.org", "no sender is known"),
        (None, "anna@example.org", "no sender is known"),
    ],
)
def test_who_is_not_told(tmp_path: Path, changes: dict[str, object] | None, mail_from: str, why: str) -> None:
    async def work(spool: Spool, notices: Notices, _sink: Sink, clock: samples.Clock) -> None:
        entry = await held(spool, None if changes is None else a_decision(**changes), mail_from)
        await Actions(spool, "me", clock).reject(entry)
        assert await notices.round() == 0
        assert (await audit(spool, entry))[-1] == ("notice_withheld", why)

    assert run(tmp_path, work).mails == []


@given(st.text(alphabet='a<>@.[]()"\\ \t;:,\x00\x0b\x1c\x85é\u2028=?', max_size=40), st.sampled_from(["", "@", "a@b"]))
def test_whatever_the_mail_calls_itself_a_report_can_be_made(text: str, end: str) -> None:
    envelope = Envelope("anna@example.org", "support@bücher.example")
    config = NoticeConfig("127.0.0.1", 25, "bridge.example.com", "postmaster@example.com", "x@y")
    entry = cast("Entry", SimpleNamespace(envelope=envelope, accepted_at=1.0))
    mail = message_from_bytes(report(entry, "rejected", config, 2.0, text + end))
    assert mail.keys().count("Subject") == 1
    assert "Bcc" not in mail


def test_one_a_day_for_each_sender(tmp_path: Path) -> None:
    async def work(spool: Spool, notices: Notices, sink: Sink, clock: samples.Clock) -> None:
        actions = Actions(spool, "me", clock)
        for _ in range(3):
            await actions.reject(await held(spool, a_decision()))
        assert await notices.round() == 1
        assert len(sink.mails) == 1
        clock.advance(samples.DAY + 1)
        await actions.reject(await held(spool, a_decision()))
        assert await notices.round() == 1

    assert len(run(tmp_path, work).mails) == 2


def test_a_report_that_cannot_be_sent_is_tried_again_and_never_reported(tmp_path: Path) -> None:
    async def work(spool: Spool, notices: Notices, sink: Sink, clock: samples.Clock) -> None:
        entry = await held(spool, a_decision())
        await Actions(spool, "me", clock).reject(entry)
        sink.reply = "451 later"
        assert await notices.round() == 0
        sink.reply = "250 OK"
        assert await notices.round() == 1
        other = await held(spool, a_decision(), "bo@example.org")
        await Actions(spool, "me", clock).reject(other)
        sink.reply = "550 no"
        assert await notices.round() == 0
        sink.reply = "250 OK"
        assert await notices.round() == 0
        assert (await audit(spool, other))[-1][0] == "notice_refused"

    assert len(run(tmp_path, work).mails) == 1


def test_discarding_tells_nobody(tmp_path: Path) -> None:
    async def work(spool: Spool, notices: Notices, _sink: Sink, clock: samples.Clock) -> None:
        await Actions(spool, "me", clock).discard(await held(spool, a_decision()))
        assert await notices.round() == 0

    assert run(tmp_path, work).mails == []


def test_reject_needs_a_smarthost(cli_run: Cli, entries: dict[str, str]) -> None:
    done = cli_run("queue", "reject", entries["no_ticket"])
    assert (done.code, "BRIDGE_NOTICE_SMARTHOST" in done.err) == (78, True)
    settings = {"BRIDGE_NOTICE_SMARTHOST": "127.0.0.1:25", "BRIDGE_NOTICE_FROM": "help@example.com"}
    assert cli_run("queue", "reject", entries["no_ticket"], **settings).code == 0
