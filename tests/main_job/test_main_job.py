"""The main job end to end, over real sockets, with the processes that operators run."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from tests.main_job.running import NUMBER, TICKET, Api, Bridge, eventually


def message(body: str, subject: str = "Re: test", cte: str = "quoted-printable") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Kund Ett <kund@example.net>"
    mail["To"] = "support@example.com"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{abs(hash((body, subject, cte)))}@example.net>"
    mail.set_content(body, cte=cte)
    return mail


@pytest.mark.parametrize("cte", ["7bit", "8bit", "quoted-printable", "base64"])
def test_by_plus_address(bridge: Bridge, api: Api, cte: str) -> None:
    body = "Hello, it works.\n" if cte == "7bit" else "Hej, nu funkar det – tack så mycket! 🎉\n"
    bridge.send(message(body, cte=cte).as_bytes())
    assert eventually(api.bodies) == [body.strip()]


def test_by_number_in_the_subject(bridge: Bridge, api: Api) -> None:
    bridge.send(message("Som svar på ert brev.", f"Re: [#{NUMBER}] Kan inte skicka").as_bytes(), "support@example.com")
    assert eventually(api.bodies) == ["Som svar på ert brev."]


def test_html_only_and_an_attachment(bridge: Bridge, api: Api) -> None:
    mail = message("x")
    mail.set_content("<p>Hej <b>Elin</b>,</p><p>se bilagan.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.4 small", maintype="application", subtype="pdf", filename="Räkning 1.pdf")
    bridge.send(mail.as_bytes())
    assert eventually(api.bodies) == ["Hej Elin,\n\nse bilagan."]
    assert [file["filename"] for file in api.new()[0]["attachments"]] == ["Räkning 1.pdf"]


def test_a_password_is_posted_encrypted(bridge: Bridge, api: Api) -> None:
    bridge.send(message("Lösenordet är Ranunkel-4471-xY").as_bytes())
    assert eventually(api.bodies)
    assert api.new()[0]["encrypted"] is True
    assert "Ranunkel" not in "".join(bridge.process.output)


def test_unknown_recipient_and_oversize_mail(make_bridge: Callable[..., Bridge]) -> None:
    bridge = make_bridge(BRIDGE_MAX_MESSAGE_BYTES="65536")
    with smtplib.SMTP("127.0.0.1", bridge.port) as client:
        client.ehlo()
        client.mail("c@example.net")
        assert client.rcpt("nobody@example.com")[0] == 550
        assert client.rcpt("support+nonsense@example.com")[0] == 550
        assert client.rcpt("support@elsewhere.example")[0] == 550
        assert client.rcpt("support@example.com")[0] == 250
        code, text = client.data(b"Subject: x\r\n\r\n" + b"x" * 70_000)
        assert (code, text.split()[0]) == (552, b"5.3.4")
        assert client.mail("c@example.net", ["SIZE=70000"])[0] == 552
    assert bridge.queue() == []


def test_garbage_instead_of_mail_is_kept(bridge: Bridge, api: Api) -> None:
    bridge.send(bytes(range(128, 256)) * 20)
    assert eventually(lambda: [e for e in bridge.queue() if e["state"] not in ("received", "ready", "sending")])
    assert bridge.process.child.poll() is None


def test_no_ticket_and_unknown_ticket_are_held_with_a_reason(bridge: Bridge) -> None:
    bridge.send(message("Hej!").as_bytes(), "support@example.com")
    bridge.send(message("Hej igen!").as_bytes(), "support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m4@example.com")
    held = eventually(lambda: [entry for entry in bridge.queue() if entry["state"] == "held"][1:]) and bridge.queue()
    assert [entry["reason"] for entry in held] == ["no_ticket", "ticket_not_found"]
    assert held[0]["sender"] == "kund@example.net"


def test_redirect_and_discard(bridge: Bridge, api: Api) -> None:
    bridge.send(message("Hej, till rätt ärende.").as_bytes(), "support@example.com")
    bridge.send(message("Reklam").as_bytes(), "support@example.com")
    eventually(lambda: [entry for entry in bridge.queue() if entry["state"] == "held"][1:])
    first, second = bridge.queue()
    assert "done" in bridge.command("queue", "redirect", first["id"], TICKET, "--note", "customer called").stdout
    assert "done" in bridge.command("queue", "discard", second["id"][:20]).stdout
    assert eventually(api.bodies) == ["Hej, till rätt ärende."]
    assert bridge.queue()[1]["state"] == "discarded"
    shown = bridge.command("queue", "show", first["id"]).stdout
    assert "customer called" in shown
    assert "rätt ärende" not in shown
    assert "rätt ärende" in bridge.command("queue", "show", first["id"], "--text").stdout


def test_api_down_then_back(bridge: Bridge, api: Api) -> None:
    api.fault(fault="refuse", seconds=2)
    bridge.send(message("Väntar på API:t").as_bytes())
    assert eventually(lambda: '"reason": "retry"' in "".join(bridge.process.output)), "the wait is said"
    assert eventually(api.bodies, 30) == ["Väntar på API:t"]


def test_wrong_key_waits_and_says_so(make_bridge: Callable[..., Bridge], api: Api) -> None:
    bridge = make_bridge(BRIDGE_API_KEY="wrong")
    bridge.send(message("Med fel nyckel").as_bytes())
    assert eventually(lambda: "paused" in "".join(bridge.process.output))
    # It is looked for once, when the key works, before it is sent again.
    assert [(entry["state"], entry["reason"]) for entry in bridge.queue()] == [("unknown", "paused")]
    assert bridge.process.stop() == 0
    bridge.environ["BRIDGE_API_KEY"] = "main-job-key"
    bridge.start()
    assert eventually(api.bodies) == ["Med fel nyckel"]


def test_order_on_one_ticket(bridge: Bridge, api: Api) -> None:
    bodies = [f"Meddelande {number}" for number in range(20)]
    for body in bodies:
        bridge.send(message(body).as_bytes())
    assert eventually(lambda: api.bodies()[19:] and api.bodies()) == bodies


def test_sigterm_ends_with_0_and_nothing_listens(bridge: Bridge) -> None:
    assert bridge.process.stop() == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", bridge.port), timeout=5):
        pass
