"""The intake on real sockets: what a relay sees on the wire, and what is stored."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError, SpoolBusy, SpoolFull
from bridge.intake import Listen
from tests.intake.conftest import ADDRESS, TICKET, Client, Running, Start, body

MAIL = b"Subject: Re: x\r\n\r\nHello\r\n"


def end_of(client: Client) -> str:
    """What comes before the server closes."""
    replies = []
    while reply := client.reply():
        replies.append(reply)
    return "\n".join(replies)


def cut_off_after(client: Client, data: bytes, *, pause_s: float, at_most_s: float) -> float:
    """Send ``data`` again and again; the seconds until the server closed."""
    began = time.monotonic()
    while time.monotonic() - began < at_most_s:
        try:
            client.send(data)
        except TimeoutError:
            continue
        except OSError:
            break
        time.sleep(pause_s)
    return time.monotonic() - began


def test_one_mail(start: Start) -> None:
    running = start()
    with running.client() as client:
        assert client.say("EHLO client.example").split("\n") == [
            "250-mx.example.com",
            "250-PIPELINING",
            "250-SIZE 26214400",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250 ENHANCEDSTATUSCODES",
        ]
        assert client.say("MAIL FROM:<kund@example.net> SIZE=26 BODY=8BITMIME") == "250 2.1.0 OK"
        assert client.say(f"RCPT TO:<{ADDRESS}>") == "250 2.1.5 OK"
        assert client.say("DATA") == "354 End data with <CR><LF>.<CR><LF>"
        client.send(MAIL + b".\r\n")
        assert client.reply() == "250 2.6.0 entry0 queued"
        assert client.say("QUIT") == "221 2.0.0 Bye"
        assert client.reply() == ""
    (mail,) = running.store.mails
    (envelope,) = mail.envelopes
    assert body(mail.raw) == MAIL
    assert mail.raw.startswith(b"Received: from client.example ([127.0.0.1])\r\n\tby mx.example.com with ESMTP id ")
    assert (envelope.mail_from, envelope.recipient, envelope.siblings) == ("kund@example.net", ADDRESS, ())
    assert (envelope.client_ip, envelope.helo, envelope.protocol) == ("127.0.0.1", "client.example", "ESMTP")
    assert abs(envelope.received_at - time.time()) < 20
    assert mail.hints == (TICKET,)
    assert (running.intake.counters.mails, running.intake.counters.entries) == (1, 1)


def test_several_recipients_are_one_mail(start: Start) -> None:
    running = start()
    with running.client() as client:
        client.begin("support@example.com", ADDRESS, "Support@example.com")
        client.send(MAIL + b".\r\n")
        assert client.reply() == "250 2.6.0 entry0 queued"
    (mail,) = running.store.mails
    assert [(one.recipient, one.siblings) for one in mail.envelopes] == [
        ("support@example.com", (ADDRESS,)),
        (ADDRESS, ("support@example.com",)),
    ]
    assert mail.hints == ("", TICKET)


def test_everything_in_one_segment(start: Start) -> None:
    running = start()
    with running.client() as client:
        one = f"MAIL FROM:<>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode() + MAIL + b".\r\n"
        client.send(b"EHLO x\r\n" + one * 3 + b"NOOP\r\nQUIT\r\n")
        codes = [reply[:3] for reply in end_of(client).split("\n") if reply[3] == " "]
        assert codes == ["250", *["250", "250", "354", "250"] * 3, "250", "221"]
    assert [body(mail.raw) for mail in running.store.mails] == [MAIL] * 3
    assert {mail.envelopes[0].mail_from for mail in running.store.mails} == {""}


def test_probes_leave_no_trace(start: Start) -> None:
    running = start()
    with running.client() as client:
        client.say("EHLO x")
        assert client.say("MAIL FROM:<>", f"RCPT TO:<{ADDRESS}>") == "250 2.1.5 OK"
        assert client.say("RSET", "MAIL FROM:<>", "RCPT TO:<nobody@example.com>") == "550 5.1.1 No such mailbox"
        assert client.say("RSET", "MAIL FROM:<>", "RCPT TO:<postmaster>") == "250 2.1.5 OK"
    assert running.store.mails == []


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("HELP", "502 5.5.1 Command not implemented"),
        ("EXPN x", "502 5.5.1 Command not implemented"),
        ("AUTH PLAIN", "502 5.5.1 Command not implemented"),
        ("STARTTLS", "502 5.5.1 Command not implemented"),
        ("BDAT 5 LAST", "502 5.5.1 Command not implemented"),
        ("LHLO x", "502 5.5.1 Command not implemented"),
        ("", "500 5.5.2 Syntax error"),
        ("NOOP \0", "500 5.5.2 Syntax error"),
        ("MAIL FROM:<a@b>\rRCPT TO:<x@y>", "500 5.5.2 Syntax error"),
        ("NOOP " + "x" * 3000, "500 5.5.2 Command line too long"),
        ("VRFY root", "252 2.5.0 Cannot verify; send the mail and it will be attempted"),
        ("VRFY", "500 5.5.2 Syntax error"),
        ("EHLO", "501 5.5.4 A host name is needed"),
        ("QUIT now", "501 5.5.4 This command takes no argument"),
        ("RCPT TO:<a@b>", "503 5.5.1 need MAIL command"),
        ("DATA", "503 5.5.1 MAIL first"),
        ("DATA x", "501 5.5.4 This command takes no argument"),
        ("MAIL FROM:<a@b> SIZE=26214401", "552 5.3.4 message size exceeds fixed maximum message size"),
        ("MAIL FROM:<a@b> SIZE=x", "501 5.5.4 Syntax: MAIL FROM: <address> [SP <mail-parameters>]"),
        ("MAIL FROM:<a@b> SIZE=²", "501 5.5.4 Syntax: MAIL FROM: <address> [SP <mail-parameters>]"),
        ("MAIL FROM:<a@b> SIZE=9f8 SIZE=9", "250 2.1.0 OK"),
        ("MAIL FROM:<a@b> RET=FULL", "555 5.5.4 MAIL FROM parameters not recognized or not implemented"),
        ("MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4 BODY can only be one of 7BIT, 8BITMIME"),
        ("MAIL FROM:<" + "(" * 1500, "553 5.1.3 malformed address"),
        ("MAIL FROM:<a@" + "b" * 300 + ">", "553 5.1.3 malformed address"),
        ("MAIL FROM:<@x,@y:a@b>", "250 2.1.0 OK"),
        ('MAIL FROM:<"a b"@c.example>', "250 2.1.0 OK"),
        ("mail from:<a@b> smtputf8", "250 2.1.0 OK"),
        ("NOOP", "250 2.0.0 OK"),
        ("RSET", "250 2.0.0 OK"),
        ("HELO x", "250 mx.example.com"),
    ],
)
def test_commands(start: Start, command: str, reply: str) -> None:
    with start().client() as client:
        client.say("EHLO x")
        assert client.say(command) == reply
        assert client.say("NOOP") == "250 2.0.0 OK"


def test_addresses_that_are_not_utf_8_are_refused(start: Start) -> None:
    with start().client() as client:
        client.say("EHLO x")
        client.send(b"MAIL FROM:<\xe5sa@b.example>\r\n")
        assert client.reply() == "553 5.1.3 malformed address"


VARIANTS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CR.CR": b"\r.\r",
    "CRLF.LF": b"\r\n.\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.CRLF": b"\r.\r\n",
    "LF.CR": b"\n.\r",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "NUL": b"\r\n\0.\r\n",
    "NUL behind": b"\r\n.\0\r\n",
}
HEAD = b"Subject: x\r\n\r\nfirst"
SECOND = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\nSubject: forged\r\n\r\nx"


@pytest.mark.parametrize("setting", ["normalise", "refuse"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_smuggling(start: Start, variant: str, setting: str) -> None:
    """However the end is misspelt, and wherever TCP cuts: one mail, or a refusal, and the connection stays in step."""
    at = len(HEAD)
    near = [*range(at - 1, at + len(VARIANTS[variant]) + 2), *range(-6, 0)]
    smuggle(start(bare_newlines=setting), variant, setting, near)


@pytest.mark.system
@pytest.mark.parametrize("setting", ["normalise", "refuse"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_smuggling_cut_in_every_place(start: Start, variant: str, setting: str) -> None:
    smuggle(start(bare_newlines=setting), variant, setting, range(1, len(HEAD + VARIANTS[variant] + SECOND) + 5))


def smuggle(running: Running, variant: str, setting: str, cuts: Sequence[int]) -> None:
    wire = HEAD + VARIANTS[variant] + SECOND + b"\r\n.\r\n"
    refused = setting == "refuse" and "NUL" not in variant
    with running.client() as client:
        for cut in cuts:
            client.begin("support@example.com")
            client.send(wire[:cut])
            time.sleep(0.003)
            client.send(wire[cut:])
            assert client.reply()[:9] == ("550 5.6.1" if refused else "250 2.6.0")
            assert client.say("NOOP") == "250 2.0.0 OK"
    mails = running.store.mails
    assert len(mails) == (0 if refused else len(cuts))
    for mail in mails:
        assert mail.envelopes[0].mail_from == "a@b.example"
        assert b"Subject: forged" in mail.raw
        assert mail.raw.count(b"\r\n") == mail.raw.count(b"\n") == mail.raw.count(b"\r")
    assert len({body(mail.raw) for mail in mails}) == len(mails[:1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r\n.", b"\r", b"\n", b"\0", b"\xff"]), max_size=25),
    cuts=st.lists(st.integers(0, 400), max_size=5),
)
def test_any_segmentation(shared: Running, text: list[bytes], cuts: list[int]) -> None:
    content = b"\r\n" + b"".join(text) + b"\r\n"  # no header but ours
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    wire = f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode() + stuffed + b".\r\nQUIT\r\n"
    places = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    before = len(shared.store.mails)
    with shared.client() as client:
        for a, b in pairwise(places):
            client.send(wire[a:b])
            time.sleep(0.001)
        assert [line[:3] for line in end_of(client).split("\n") if line[3] == " "] == ["250"] * 3 + [
            "354",
            "250",
            "221",
        ]
    (mail,) = shared.store.mails[before:]
    normal = content.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert body(mail.raw) == normal


@pytest.fixture
def shared(start: Start) -> Running:
    return start()


def test_long_lines_are_taken(start: Start) -> None:
    running = start()
    with running.client() as client:
        client.begin()
        client.send(b"x" * 3_000_000 + b"\r\n.\r\n")
        assert client.reply() == "250 2.6.0 entry0 queued"
    assert body(running.store.mails[0].raw) == b"x" * 3_000_000 + b"\r\n"


def test_too_large_is_said_after_the_mail(start: Start) -> None:
    running = start(max_message_bytes=100_000)
    with running.client() as client:
        client.begin()
        client.send(b"x" * 200_000 + b"\r\n.\r\n")
        assert client.reply() == "552 5.3.4 The mail is too large"
        client.begin()
        client.send(b"x" * 99_998 + b"\r\n.\r\n")
        assert client.reply() == "250 2.6.0 entry0 queued"
    assert running.intake.counters.mails_refused == 1


def test_the_memory_of_mails_in_flight_is_shared(start: Start) -> None:
    running = start(max_in_flight_bytes=300_000, max_message_bytes=250_000)
    with running.client() as first, running.client() as second, running.client() as third:
        first.begin()
        first.send(b"x" * 200_000)
        second.begin()
        time.sleep(0.1)
        assert third.say("EHLO x", "MAIL FROM:<> SIZE=200000").startswith("452 4.3.1 ")
        second.send(b"y" * 200_000 + b"\r\n.\r\n")
        assert second.reply() == "452 4.3.1 Insufficient storage, try again later"
        first.send(b"\r\n.\r\n")
        assert first.reply().startswith("250 ")
        assert third.say("MAIL FROM:<> SIZE=200000").startswith("250 ")
        second.begin()
        second.send(b"y" * 200_000 + b"\r\n.\r\n")
        assert second.reply().startswith("250 ")
        second.begin()
        second.send(b"\n" * 200_000 + b"\r\n.\r\n")
        assert second.reply().startswith("452 ")
    assert [len(mail.raw) > 200_000 for mail in running.store.mails] == [True, True]


def test_a_mail_that_goes_away_gives_its_memory_back(start: Start) -> None:
    running = start(max_in_flight_bytes=300_000)
    for _ in range(5):
        with running.client() as client:
            client.begin()
            client.send(b"x" * 200_000)
            time.sleep(0.02)
    with running.client() as client:
        time.sleep(0.1)
        client.begin()
        client.send(b"x" * 200_000 + b"\r\n.\r\n")
        assert client.reply().startswith("250 ")
    assert len(running.store.mails) == 1


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (SpoolFull("full"), "452 4.3.1 Insufficient storage, try again later"),
        (SpoolBusy("secret"), "451 4.3.0 Temporary failure, try again later"),
        (RuntimeError("secret"), "451 4.3.0 Temporary failure, try again later"),
    ],
)
def test_what_is_not_stored_is_not_acknowledged(start: Start, failure: Exception, reply: str) -> None:
    running = start("127.0.0.1:0", "lmtp://127.0.0.1:0")
    running.store.failure = failure
    with running.client() as client, running.client(1) as local:
        client.begin()
        client.send(MAIL + b".\r\n")
        assert client.reply() == reply
        local.begin("support@example.com", "help@example.com", hello="LHLO")
        local.send(MAIL + b".\r\nNOOP\r\n")
        assert [local.reply() for _ in range(3)] == [reply, reply, "250 2.0.0 OK"]
    assert running.intake.counters.mails_deferred == 2


def test_a_full_spool_is_said_before_the_mail(start: Start) -> None:
    running = start()
    running.store.room = False
    with running.client() as client:
        assert client.say("EHLO x", "MAIL FROM:<a@b>") == "452 4.3.1 Insufficient storage, try again later"
        running.store.room = True
        assert client.say("MAIL FROM:<a@b>") == "250 2.1.0 OK"


def test_lmtp(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    running = start("lmtp://127.0.0.1:0", f"lmtp+unix://{path}")
    assert path.stat().st_mode & 0o777 == 0o660
    for number in (0, 1):
        with running.client(number) as client:
            assert client.say("EHLO x") == client.say("HELO x") == "502 5.5.1 Command not implemented"
            assert client.say("LHLO client").startswith("250-mx.example.com\n250-PIPELINING\n")
            assert client.say("MAIL FROM:<a@b.example>", "RCPT TO:<nobody@example.com>") == "550 5.1.1 No such mailbox"
            assert client.say("DATA") == "503 5.5.1 No valid recipient"
            assert client.say(f"RCPT TO:<{ADDRESS}>", "RCPT TO:<x@y>", "RCPT TO:<help@example.com>")[:3] == "250"
            assert client.say(f"RCPT TO:<{ADDRESS}>", "DATA")[:3] == "354"
            client.send(MAIL + b".\r\n")
            first = number * 2
            ids = [f"entry{first}", f"entry{first + 1}", f"entry{first}"]
            assert [client.reply() for _ in range(3)] == [f"250 2.6.0 {one} queued" for one in ids]
            assert client.say("QUIT") == "221 2.0.0 Bye"
    assert [mail.envelopes[0].protocol for mail in running.store.mails] == ["LMTP", "LMTP"]
    assert b"Received: from client (local)\r\n" in running.store.mails[1].raw
    running.drain(1)
    assert not path.exists()


def test_lmtp_answers_each_recipient_whatever_went_wrong(start: Start) -> None:
    running = start("lmtp://127.0.0.1:0", bare_newlines="refuse", max_message_bytes=70_000, max_in_flight_bytes=60_000)
    with running.client() as client:
        for content, reply in (
            (b"a\nb\r\n", "550 5.6.11 Bare CR or LF is not accepted"),
            (b"x" * 80_000 + b"\r\n", "552 5.3.4 The mail is too large"),
            (b"x" * 65_000 + b"\r\n", "452 4.3.1 Insufficient storage, try again later"),
        ):
            client.begin("support@example.com", "help@example.com", hello="LHLO")
            client.send(content + b".\r\nNOOP\r\n")
            assert [client.reply() for _ in range(3)] == [reply, reply, "250 2.0.0 OK"]


def test_clients_outside_of_the_networks_are_told_to_come_again(start: Start) -> None:
    running = start(relay_networks=(ip_network("192.0.2.0/24"),))
    with running.client(greet=False) as client:
        assert end_of(client) == "421 4.7.0 This client is not allowed to relay here"
    assert running.intake.counters.connections_refused == 1


def test_too_many_connections(start: Start) -> None:
    running = start(max_connections=2)
    with running.client(), running.client() as second:
        with running.client(greet=False) as third:
            assert end_of(third) == "421 4.7.0 Too many connections"
        assert second.say("QUIT")[:3] == "221"
        assert second.reply() == ""
        time.sleep(0.05)
        assert running.intake.connections == 1
        with running.client() as fourth:
            assert fourth.say("NOOP")[:3] == "250"


def test_too_many_recipients(start: Start) -> None:
    running = start(max_recipients=2)
    with running.client() as client:
        client.say("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<support@example.com>", "RCPT TO:<help@example.com>")
        assert client.say("RCPT TO:<postmaster>") == "452 4.5.3 Too many recipients"
        assert client.say("RCPT TO:<Help@example.com>") == "250 2.1.5 OK"
        client.say("DATA")
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250 ")
    assert len(running.store.mails[0].envelopes) == 2


def test_too_many_errors_and_commands(start: Start) -> None:
    running = start(max_errors=3, max_idle_commands=10)
    with running.client() as client:
        client.send(b"nonsense\r\n" * 9)
        assert end_of(client).split("\n")[-2:] == ["502 5.5.1 Command not implemented", "421 4.7.0 Too many errors"]
    with running.client() as client:
        client.send(b"NOOP\r\n" * 12)
        assert end_of(client).split("\n")[-2:] == ["250 2.0.0 OK", "421 4.7.0 Too many commands"]
    with running.client() as client:
        for _ in range(10):
            client.begin()
            client.send(MAIL + b".\r\n")
            assert client.reply().startswith("250 ")
    with running.client() as client:
        client.say("EHLO x", "MAIL FROM:<a@b>", *["RCPT TO:<nobody@example.com>"] * 7)
        assert client.say("DATA") == "503 5.5.1 No valid recipient"


def test_endless_command_lines_take_no_memory_and_end(start: Start) -> None:
    running = start(command_s=0.3)
    with running.client() as client:
        assert cut_off_after(client, b"x" * 10_000, pause_s=0, at_most_s=10) < 5
    assert running.intake.counters.timeouts == 1


@pytest.mark.parametrize("part", ["", "NO", "DATA"])
def test_deadlines(start: Start, part: str) -> None:
    limits = {"": {"idle_s": 0.2}, "NO": {"command_s": 0.2}, "DATA": {"data_s": 0.2}}[part]
    running = start(**limits)
    with running.client() as client:
        if part == "DATA":
            client.begin()
        client.send(b"N")
        if not part:
            client.send(b"OOP\r\n")
            assert client.reply()[:3] == "250"
        began = time.monotonic()
        if part == "DATA":
            for _ in range(5):
                time.sleep(0.03)
                client.send(b"x")
        assert end_of(client) == "421 4.4.2 Timeout"
        assert time.monotonic() - began < 2


def test_a_mail_must_come_with_the_minimum_rate(start: Start) -> None:
    running = start(idle_s=0.3, min_rate=100_000)
    with running.client() as client:
        client.begin()
        for _ in range(8):
            time.sleep(0.1)
            client.send(b"x" * 20_000)
        client.send(b"\r\n.\r\n")
        assert client.reply().startswith("250 ")
        client.begin()
        assert cut_off_after(client, b"x", pause_s=0.02, at_most_s=5) < 2


def test_a_client_that_reads_no_replies_is_cut_off(start: Start) -> None:
    running = start(idle_s=0.5, max_idle_commands=10**9)
    with running.client() as client:
        client.sock.settimeout(0.2)
        assert cut_off_after(client, b"VRFY x\r\n" * 5_000, pause_s=0, at_most_s=8) < 8
    time.sleep(0.05)
    assert running.intake.connections == 0


def test_a_client_that_closes_its_side_gets_its_answer(start: Start) -> None:
    running = start()
    running.store.gate.clear()
    with running.client() as client:
        client.begin()
        client.send(MAIL + b".\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert running.store.entered.wait(5)
        time.sleep(0.05)
        running.store.gate.set()
        assert end_of(client) == "250 2.6.0 entry0 queued"
    assert len(running.store.mails) == 1


def test_a_mail_is_stored_although_its_client_goes_away(start: Start) -> None:
    running = start()
    running.store.gate.clear()
    with running.client() as client:
        client.begin()
        client.send(MAIL + b".\r\n")
        assert running.store.entered.wait(5)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    time.sleep(0.05)
    running.store.gate.set()
    time.sleep(0.05)
    assert len(running.store.mails) == 1
    assert running.intake.connections == 0


def test_half_a_mail_is_no_mail(start: Start) -> None:
    running = start()
    with running.client() as client:
        client.begin()
        client.send(MAIL + b".\r")
        client.sock.shutdown(socket.SHUT_WR)
        assert end_of(client) == ""
    assert running.store.mails == []


def test_drain(start: Start) -> None:
    running = start()
    running.store.gate.clear()
    with running.client() as idle, running.client() as busy, running.client() as slow:
        idle.say("EHLO x")
        busy.begin()
        busy.send(MAIL + b".\r\n")
        slow.begin()
        assert running.store.entered.wait(5)
        timer = time.monotonic()
        draining = threading.Thread(target=running.drain, args=(1.0,))
        draining.start()
        assert end_of(idle) == "421 4.3.2 Shutting down"
        with pytest.raises(ConnectionError):
            running.client()
        running.store.gate.set()
        assert end_of(busy) == "250 2.6.0 entry0 queued\n421 4.3.2 Shutting down"
        draining.join(5)
        assert 0.9 < time.monotonic() - timer < 3
        assert slow.reply() in ("421 4.3.2 Shutting down", "")
    assert len(running.store.mails) == 1


def test_ipv6_and_sockets_that_are_open_already(start: Start) -> None:
    opened = socket.create_server(("127.0.0.1", 0))
    opened.setblocking(False)
    running = start("[::1]:0", Listen(lmtp=True, sock=opened))
    with running.client() as client:
        client.begin()
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250 ")
    assert running.store.mails[0].envelopes[0].client_ip == "::1"
    assert b"([IPv6:::1])" in running.store.mails[0].raw
    with running.client(1) as client:
        assert client.say("LHLO x").startswith("250-")


def test_an_address_in_use_is_said(start: Start) -> None:
    running = start()
    port = running.intake.addresses[0][1]
    with pytest.raises(ConfigurationError, match=f"cannot listen at 127.0.0.1:{port}"):
        start("127.0.0.1:0", f"127.0.0.1:{port}")


def test_a_host_name_that_is_none_is_refused(start: Start) -> None:
    for name in ("", "a b", "a\r\nb"):
        with pytest.raises(ConfigurationError, match="BRIDGE_HOSTNAME"):
            start(hostname=name)


def test_helo_is_made_safe(start: Start) -> None:
    running = start()
    with running.client() as client:
        client.say("HELO ev(il)\x7f<x>", "MAIL FROM:<a@b.example>", f"RCPT TO:<{ADDRESS}>", "DATA")
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250 ")
    (mail,) = running.store.mails
    assert mail.raw.startswith(b"Received: from ev?il???x? ([127.0.0.1])\r\n\tby mx.example.com with SMTP id ")


def test_a_fault_of_ours_delays_the_mail(start: Start) -> None:
    def broken(_: str) -> object:
        raise RuntimeError("secret")

    running = start(match=broken)
    with running.client() as client:
        assert client.say("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<support@example.com>") == (
            "451 4.3.0 Temporary failure, try again later"
        )
