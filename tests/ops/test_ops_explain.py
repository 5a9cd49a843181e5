"""``ticket-bridge explain`` on files, mboxes, Maildirs and standard input."""

from __future__ import annotations

import io
import json
import mailbox
from pathlib import Path

import pytest

from tests.ops.conftest import Cli

TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
PROMISED = {
    "file", "verdict", "ticket", "class", "sender", "subject", "message", "reply", "elided", "encrypted", "findings",
    "attachments", "defects",
}  # fmt: skip


def a_mail(body: str = "Thanks!", subject: str = "Re: x", to: str = f"support+{TICKET}@example.com") -> bytes:
    head = f"From: Ann <ann@example.net>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <1@example.net>\r\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()


@pytest.fixture
def eml(tmp_path: Path) -> Path:
    file = tmp_path / "one.eml"
    file.write_bytes(a_mail("Thanks!\r\n\r\nOn Mon, 1 May 2024 at 10:00, Support <support@example.com> wrote:\r\n> Hi"))
    return file


def test_every_promised_member(cli_run: Cli, eml: Path) -> None:
    (found,) = cli_run("explain", "--json", str(eml)).objects()
    assert set(found) >= PROMISED
    assert found["verdict"] == {"action": "deliver", "reason": "reply"}
    assert found["ticket"] == {"id": TICKET, "source": "address"}
    assert (found["class"], found["message"], found["reply"]) == ("human", "Thanks!", "Thanks!")
    assert "> Hi" in found["elided"]
    assert found["sender"]["address"] == "ann@example.net"
    assert found["sender"]["authenticated"] is False
    assert (found["encrypted"], found["findings"], found["attachments"]) == (False, [], [])


def test_lines_and_the_request_for_people(cli_run: Cli, eml: Path) -> None:
    out = cli_run("explain", str(eml)).out
    assert "+ Thanks!" in out
    assert "- > Hi" in out
    assert f"POST /api/v2/support/tickets/{TICKET}/messages" in out
    assert json.loads(out[out.index("{") : out.rindex("}") + 1]) == {"message": "Thanks!", "encrypted": False}


def test_what_a_rule_matched_is_covered_until_it_is_asked_for(cli_run: Cli, tmp_path: Path) -> None:
    file = tmp_path / "secret.eml"
    file.write_bytes(a_mail("Hello,\r\nthe password is Ranunkel-4471-xY, bye", "my password: Hortensia-88-q"))
    covered = cli_run("explain", str(file)).out
    assert "password" in covered
    assert "Ranunkel" not in covered
    assert "Hortensia" not in covered
    assert "the password is •" in covered
    revealed = cli_run("explain", "--reveal", str(file)).out
    assert "body line 2: Ranunkel-4471-xY" in revealed
    (found,) = cli_run("explain", "--json", str(file)).objects()
    assert found["encrypted"] is True
    assert all(set(finding) == {"rule", "tier", "where"} for finding in found["findings"])
    (found,) = cli_run("explain", "--json", "--reveal", str(file)).objects()
    assert {"Hortensia-88-q"} in [set(finding["matched"]) for finding in found["findings"]]


def test_a_secret_in_an_attachment(cli_run: Cli, tmp_path: Path) -> None:
    file = tmp_path / "attached.eml"
    parts = 'Content-Disposition: attachment; filename="a.txt"\r\n\r\npassword: Ranunkel-4471-xY\r\n'
    head = a_mail().decode().replace("text/plain; charset=utf-8", "multipart/mixed; boundary=b")
    words = head.replace("Thanks!", f"--b\r\n\r\nSee it.\r\n--b\r\nContent-Type: text/plain\r\n{parts}--b--")
    file.write_bytes(words.encode())
    assert "Ranunkel" not in cli_run("explain", str(file)).out
    out = cli_run("explain", "--reveal", str(file)).out
    assert 'attachment "a.txt": Ranunkel-4471-xY' in out
    assert "a.txt, text/plain" in out


def test_mbox_maildir_and_standard_input(cli_run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = mailbox.mbox(tmp_path / "box")
    for number in range(3):
        box.add(a_mail(f"words {number}"))
    box.close()
    folder = mailbox.Maildir(tmp_path / "dir")
    folder.add(a_mail("from a Maildir"))
    found = cli_run("explain", "--json", str(tmp_path / "box"), str(tmp_path / "dir")).objects()
    assert [one["message"] for one in found] == ["words 0", "words 1", "words 2", "from a Maildir"]
    assert found[1]["file"].endswith("box#2")

    class Stdin:
        buffer = io.BytesIO(a_mail("from a pipe"))

    monkeypatch.setattr("sys.stdin", Stdin())
    assert [one["message"] for one in cli_run("explain", "--json").objects()] == ["from a pipe"]


def test_what_cannot_be_read_is_named(cli_run: Cli, tmp_path: Path) -> None:
    done = cli_run("explain", str(tmp_path / "none.eml"))
    assert (done.code, "none.eml: No such file" in done.err) == (78, True)
    done = cli_run("explain", str(tmp_path))
    assert (done.code, "no Maildir" in done.err) == (78, True)


def test_the_envelope_can_be_given(cli_run: Cli, eml: Path) -> None:
    (found,) = cli_run("explain", "--json", "--rcpt", "support@example.com", str(eml)).objects()
    assert found["verdict"] == {"action": "hold", "reason": "no_ticket"}
    (found,) = cli_run("explain", "--json", "--mail-from", "", str(eml)).objects()
    assert (found["class"], found["verdict"]["action"]) == ("auto_reply", "record")


def test_authentication_as_the_running_bridge_would_see_it(cli_run: Cli, tmp_path: Path) -> None:
    """The relay's field counts below the relay's own Received, as far as trusted hops reach and no further."""
    relay = b"Received: from a by mx.example.com; Mon, 23 Nov 2026 09:00:00 +0000\r\n"
    passed = b"Authentication-Results: mx.example.com; dmarc=pass header.from=example.net\r\n"
    below = b"Received: from evil by b; Mon, 23 Nov 2026 08:00:00 +0000\r\n"
    environ = {"BRIDGE_AUTHSERV_ID": "mx.example.com"}
    genuine, forged, ours = tmp_path / "genuine", tmp_path / "forged", tmp_path / "ours"
    genuine.write_bytes(relay + passed + below + a_mail())
    forged.write_bytes(relay + below + passed + a_mail())
    own = b"Received: from mx ([127.0.0.1])\r\n\tby bridge.example.com with ESMTP id 1;\r\n\tMon, 1 Jan 2026\r\n"
    ours.write_bytes(own + relay + below + passed + a_mail())
    found = cli_run("explain", "--json", str(genuine), str(forged), str(ours), **environ).objects()
    assert [one["sender"]["authenticated"] for one in found] == [True, False, False]
    (found,) = cli_run("explain", "--json", "--client", "192.0.2.1", str(genuine), **environ).objects()
    assert found["sender"]["authenticated"] is False


def test_a_number_is_shown_and_a_new_ticket_too(cli_run: Cli, tmp_path: Path) -> None:
    file = tmp_path / "numbered.eml"
    file.write_bytes(a_mail("Hi", "Re: [#149943] x", "support@example.com"))
    (found,) = cli_run("explain", "--json", str(file)).objects()
    assert found["ticket"] == {"id": "149943", "source": "subject"}
    file.write_bytes(a_mail("Hi", "A question", "support@example.com"))
    create = {"BRIDGE_NO_TICKET": "create", "BRIDGE_DEPARTMENT": "support"}
    out = cli_run("explain", str(file), **create).out
    assert "POST /api/v2/support/tickets\n" in out
    assert '"subject": "A question"' in out


def test_without_settings_every_address_is_ours(cli_run: Cli, tmp_path: Path) -> None:
    file = tmp_path / "any.eml"
    file.write_bytes(a_mail("Hi", to=f"help+{TICKET}@elsewhere.example"))
    (found,) = cli_run("explain", "--json", str(file), BRIDGE_MAIL_DOMAINS="localhost").objects()
    assert found["ticket"] == {"id": TICKET, "source": "address"}


def test_a_mail_that_breaks_its_reader_is_held(cli_run: Cli, eml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.errors import UnreadableMail
    from bridge.isolation import Isolation

    async def breaks(_self: Isolation, _raw: bytes) -> None:
        raise UnreadableMail("crash")

    monkeypatch.setattr(Isolation, "read", breaks)
    done = cli_run("explain", "--json", str(eml))
    assert done.code == 1
    (found,) = done.objects()
    assert set(found) >= PROMISED
    assert found["verdict"] == {"action": "hold", "reason": "unreadable"}
    assert (found["defects"], found["encrypted"]) == (["crash"], True)
    assert "hold unreadable: crash" in cli_run("explain", str(eml)).out
