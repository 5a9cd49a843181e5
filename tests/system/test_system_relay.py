"""A real Postfix (the files in config/), OpenDKIM and OpenDMARC in front of a real bridge and API.

Every mail arrives by number, which anybody can guess: it is posted when the relay vouches for its sender, else held.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import smtplib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bridge.mail import authenticate, read
from tests.main_job.running import NUMBER, TICKET, Api, Bridge, eventually, sandbox
from tests.system.relay import AUTHSERV_ID, Postfix, Signer, free_port, open_dkim, open_dmarc

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

FORGED = f"{AUTHSERV_ID}; dmarc=pass (p=reject dis=none) header.from=example.net"


GONE = free_port()
"""Nothing listens there: a milter that is down."""


class Site:
    """All that runs for this file."""

    def __init__(self, directory: Path, api: Api) -> None:
        self.directory, self.api, self.signer = directory, api, Signer()
        self.dkim, self.dmarc = open_dkim(directory, self.signer), open_dmarc(directory)
        self.lmtp = free_port()
        # The spool's directory is closed to others; Postfix must reach the socket.
        self._run = tempfile.TemporaryDirectory()
        Path(self._run.name).chmod(0o711)
        self.socket = Path(self._run.name) / "lmtp.sock"
        self.bridge = Bridge(
            directory,
            api.url,
            BRIDGE_LISTEN=f"127.0.0.1:0,lmtp://127.0.0.1:{self.lmtp},lmtp+unix://{self.socket}",
            BRIDGE_AUTHSERV_ID=AUTHSERV_ID,
            BRIDGE_NUMBER_POLICY="authenticated",
            BRIDGE_TRUSTED_HOPS="0",
        )
        self.socket.chmod(0o666)
        self.smtp_route = f"smtp:[127.0.0.1]:{self.bridge.port}"
        self._sent = 0

    def close(self) -> None:
        self.bridge.process.kill()
        self.dkim.stop()
        self.dmarc.stop()
        self._run.cleanup()

    @contextlib.contextmanager
    def postfix(self, route: str = "", *, milters: tuple[int, ...] | None = None, **changed: str) -> Iterator[Postfix]:
        if changed:  # of these relays, what they verify is not what is tested
            changed.setdefault("smtpd_recipient_restrictions", "reject_unauth_destination")
        relay = Postfix(
            route or self.smtp_route, (self.dkim.port, self.dmarc.port) if milters is None else milters, **changed
        )
        try:
            yield relay
        finally:
            relay.stop()

    def mail(self, *fields: str, from_: str = "", subject: str = "") -> tuple[str, bytes]:
        """A mail's own words, and its bytes. Each is from somebody else, so that none is one too many."""
        self._sent += 1
        words = f"Words number {self._sent}, {time.monotonic_ns()}"
        head = [
            *fields,
            from_ or f"From: Anna <anna{self._sent}@example.net>",
            "To: support@example.com",
            f"Subject: {subject or f'Re: [#{NUMBER}] Question'}",
            f"Message-ID: <{self._sent}.{time.monotonic_ns()}@example.net>",
            "Date: Wed, 25 Nov 2026 10:00:00 +0000",
        ]
        return words, ("\r\n".join(head) + f"\r\n\r\n{words}\r\n").encode()

    def decided(self, raw: bytes) -> list[dict[str, Any]]:
        """What the bridge's log says of each entry of a mail, once it says anything."""
        found = re.search(rb"Message-ID: <(.*)>", raw)
        assert found
        digest = hashlib.sha256(found[1]).hexdigest()[:16]

        def look() -> list[dict[str, Any]]:
            events = [json.loads(line) for line in self.bridge.process.output if '"decided"' in line]
            return [event for event in events if event["message_digest"] == digest]

        events = eventually(look, 30)
        assert events, "".join(self.bridge.process.output)
        return events

    def held(self, raw: bytes) -> bool:
        """The mail waits for a person because nobody vouches for its sender."""
        return [(one["state"], one["reason"]) for one in self.decided(raw)] == [("held", "sender_not_authenticated")]

    def posted(self, words: str) -> bool:
        return bool(eventually(lambda: words in self.api.bodies(), 30))

    def queued(self) -> int:
        """How many mails came."""
        return len([line for line in self.bridge.process.output if '"mail_queued"' in line])

    def bounces(self) -> int:
        """How many bounces were recorded."""
        events = [json.loads(line) for line in self.bridge.process.output if '"decided"' in line]
        return len([one for one in events if (one["state"], one["reason"]) == ("recorded", "bounce")])

    def raw(self, raw: bytes) -> bytes:
        """The mail as it arrived."""
        return self.bridge.command("queue", "export", self.decided(raw)[0]["entry"], "-").stdout.encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("relay")
    with sandbox(directory) as api:
        made = Site(directory, api)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[Postfix]:
    with site.postfix() as running:
        yield running


def send(
    relay: Postfix, raw: bytes, to: str | list[str] = "support@example.com", sender: str = "anna@example.net"
) -> Any:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=60) as client:
        return client.sendmail(sender, to, raw)


def test_a_genuine_mail_is_authenticated_and_posted(site: Site, relay: Postfix) -> None:
    words, raw = site.mail()
    send(relay, site.signer.sign(raw))
    assert site.posted(words)


DISGUISES = {
    "plain": [f"Authentication-Results: {FORGED}"],
    "doubled": [f"Authentication-Results: {FORGED}"] * 2,
    "below a Received of its own": ["Received: from x by y", f"Authentication-Results: {FORGED}"],
    "upper case": [f"AUTHENTICATION-RESULTS: {FORGED.upper()}"],
    "folded": [f"Authentication-Results:\r\n\t{FORGED}"],
    "behind a comment": [f"Authentication-Results: (x) {FORGED}"],
    "quoted": [f'Authentication-Results: "{AUTHSERV_ID}"{FORGED.removeprefix(AUTHSERV_ID)}'],
    "space before the colon": [f"Authentication-Results : {FORGED}"],
    "behind a bare CR": [f"X-Note: a\rAuthentication-Results: {FORGED}"],
    "8 KB": [f"Authentication-Results: {FORGED} ({'x' * 9000})"],
    "as the relay's own Received above it": [f"Authentication-Results: {FORGED}", f"Received: by {AUTHSERV_ID}; x"],
}


@pytest.mark.parametrize("fields", DISGUISES.values(), ids=DISGUISES)
def test_a_forged_mail_is_held(site: Site, relay: Postfix, fields: list[str]) -> None:
    words, raw = site.mail(*fields)
    send(relay, raw)
    assert site.held(raw)
    assert words not in site.api.bodies()


def test_a_signature_of_another_domain_vouches_for_nobody_else(site: Site, relay: Postfix) -> None:
    _, raw = site.mail(from_="From: Bo <bo@example.org>")
    send(relay, site.signer.sign(raw), sender="anna@example.net")
    assert site.held(raw)


def test_two_from_fields_do_not_pass(site: Site, relay: Postfix) -> None:
    _, raw = site.mail("From: Bo <bo@example.net>")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(relay, site.signer.sign(raw))
    assert 500 <= refused.value.smtp_code < 600


def test_unknown_mailboxes_are_refused_by_the_relay_at_once(site: Site, relay: Postfix) -> None:
    before = site.queued()
    for recipient in ("nobody@example.com", "support+tkt_nonsense@example.com", "support+12x@example.com"):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(relay, site.mail()[1], recipient)
        assert refused.value.recipients[recipient][0] == 550
    assert site.queued() == before, "recipient probes leave no trace"


def test_the_relay_refuses_what_is_too_large_for_the_bridge(relay: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=60) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "25000000"
        assert client.mail("anna@example.net", ["SIZE=25000001"])[0] == 552


def test_milter_down_and_tempfail_makes_the_sender_wait(site: Site) -> None:
    before = site.queued()
    with (
        site.postfix(milters=(site.dkim.port, GONE), smtpd_recipient_restrictions="reject_unauth_destination") as relay,
        pytest.raises(smtplib.SMTPResponseException) as refused,
    ):
        send(relay, site.mail(f"Authentication-Results: {FORGED}")[1])
    assert 400 <= refused.value.smtp_code < 500
    assert site.queued() == before


def test_milter_down_and_accept_authenticates_nobody(site: Site) -> None:
    with site.postfix(milters=(site.dkim.port, GONE), milter_default_action="accept") as relay:
        _, raw = site.mail(f"Authentication-Results: {FORGED}")
        send(relay, site.signer.sign(raw))
        assert site.held(raw)


def test_a_relay_that_strips_nothing(site: Site) -> None:
    """With its milters up, two results are one too many. Without them only trusted hops of 0 still holds the mail."""
    _, raw = site.mail(f"Authentication-Results: {FORGED}")
    with site.postfix(header_checks="") as relay:
        send(relay, raw)
        assert site.held(raw)
    _, raw = site.mail(f"Authentication-Results: {FORGED}")
    with site.postfix(milters=(GONE,), header_checks="", milter_default_action="accept") as relay:
        send(relay, raw)
        assert site.held(raw)
    arrived = read(site.raw(raw))
    believed = {
        hops: authenticate(arrived, client_ip="", relay_networks=(), authserv_id=AUTHSERV_ID, trusted_hops=hops).result
        for hops in (0, 1)
    }
    assert believed == {0: "unknown", 1: "pass"}, "what docs/mail-setup.md says a relay that strips nothing risks"


@pytest.mark.parametrize("kind", ["inet", "unix"])
def test_by_lmtp(site: Site, kind: str) -> None:
    route = f"lmtp:inet:127.0.0.1:{site.lmtp}" if kind == "inet" else f"lmtp:unix:{site.socket}"
    words, raw = site.mail()
    _, forgery = site.mail(f"Authentication-Results: {FORGED}")
    with site.postfix(route) as relay:
        send(relay, site.signer.sign(raw), ["support@example.com", "postmaster@example.com"])
        send(relay, forgery)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(relay, raw, "nobody@example.com")
        assert site.posted(words)
        assert site.held(forgery)
    assert sorted(one["reason"] for one in site.decided(raw)) == ["postmaster", "reply"]


def test_one_mailbox_of_a_domain_with_others(site: Site) -> None:
    words, raw = site.mail(subject="Re: by the address")
    table = f"inline:{{ {{support@example.com={site.smtp_route}}} {{example.com=error:not here}} }}"
    with site.postfix(transport_maps=table) as relay:
        send(relay, raw, f"support+{TICKET}@example.com")
        assert site.posted(words)


class Sink:
    """The sender's own mail server: keeps what comes."""

    def __init__(self) -> None:
        self.mails: list[tuple[str | None, str]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - their name
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.mail_from, envelope.content.decode()))
        return "250 ok"

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        self._controller.start()
        try:
            yield self._controller.port
        finally:
            self._controller.stop()


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_what_the_bridge_refuses_at_rcpt_bounces_from_the_relay(site: Site, lmtp: bool) -> None:
    """Without recipient verification: the relay took the mail, the bridge says 550, the relay tells the sender."""
    sink = Sink()
    with sink.running() as port:
        route = f"lmtp:inet:127.0.0.1:{site.lmtp}" if lmtp else site.smtp_route
        changed = {
            "smtpd_recipient_restrictions": "reject_unauth_destination",
            "others": f"{{bounces.example=smtp:[127.0.0.1]:{port}}}",
        }
        before = site.bounces()
        with site.postfix(route, milters=(), **changed) as relay:
            send(relay, site.mail()[1], "support+tkt_wrong@example.com", "anna@bounces.example")
            # The same to an address of a ticket: a notification that could not be delivered.
            send(relay, site.mail()[1], "support+tkt_wrong@example.com", f"support+{TICKET}@example.com")
            assert eventually(lambda: sink.mails, 30)
            assert eventually(lambda: site.bounces() > before, 30)
    mail_from, bounce = sink.mails[0]
    assert mail_from == "<>"
    assert "Status: 5.1.1" in bounce
    assert "550 5.1.1" in bounce
