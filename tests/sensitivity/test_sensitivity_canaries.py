"""What a rule matched is written nowhere: canaries in every field of a mail, and a search of all that it wrote."""

from __future__ import annotations

import base64
import json
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from bridge.delivery.echo import REPEATS, texts, without_echo
from bridge.errors import UnreadableMail
from bridge.isolation import Isolation
from bridge.model import Address, Attachment, Reply
from bridge.ops.actions import Actions
from bridge.ops.notices import Notices
from bridge.spool.api import Spool
from tests.main_job.running import TICKET, Bridge, eventually
from tests.ops.test_ops_notices import Sink, a_decision, held, run
from tests.spool import samples

FIELDS = ("subject", "name", "reply_to", "comments", "text", "html", "cut", "file_name", "file", "binary")


def canary(field: str) -> str:
    return f"Canary{field.title().replace('_', '')}!#{len(field)}7x"


def the_mail(number: int) -> bytes:
    mail = EmailMessage()
    mail["From"] = f'"password: {canary("name")}" <anna@example.net>'
    mail["To"] = f"support+{TICKET}@example.com"
    mail["Reply-To"] = f'"password: {canary("reply_to")}" <anna@example.net>'
    mail["Subject"] = f"Re: password: {canary('subject')}"
    mail["Message-ID"] = f"<{number}@example.net>"
    mail["Comments"] = f"password: {canary('comments')}"
    mail.set_content(
        f"Hello {number}, the password is {canary('text')}\n\nOn Mon, Rita wrote:\n> the password is {canary('cut')}\n"
    )
    mail.add_alternative(f"<p>Hello {number}, the password is {canary('html')}</p>", subtype="html")
    mail.add_attachment(f"password: {canary('file')}\n", filename=f"password {canary('file_name')}.txt")
    mail.add_attachment(canary("binary").encode(), maintype="application", subtype="octet-stream", filename="id_rsa")
    return mail.as_bytes()


class _Echo(BaseHTTPRequestHandler):
    """A ticket API that repeats in every answer what it was sent."""

    answers: list[tuple[int, Any]]
    heard: list[str]

    def do_GET(self) -> None:
        self._answer(200, {"id": TICKET, "number": 149943, "status": "answered", "messages": []})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"])).decode("utf-8", "replace")
        self.heard.append(sent)
        status, problem = self.answers.pop(0) if self.answers else (201, False)
        said = {"messageId": "m", "attachmentId": "a", "body": sent, "status": "awaiting"}
        if problem:
            said = {"title": "no", "status": status, "code": sent, "detail": sent, "requestId": sent}
            said["errors"] = [{"pointer": sent[:150], "detail": sent[:190]}, {"pointer": "/message", "detail": sent}]
        self._answer(status, said)

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/problem+json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def echoing(answers: list[tuple[int, Any]]) -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (_Echo,), {"answers": answers, "heard": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.heard  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.system
def test_what_was_matched_is_written_nowhere(tmp_path: Path) -> None:
    """An API that repeats all it is sent refuses one mail and posts one; the spool is sealed, so all of it counts."""
    spool = tmp_path / "spool"
    spool.mkdir()
    key = "a:" + base64.b64encode(b"k" * 32).decode()
    with echoing([(422, True)] * 3 + [(500, True)]) as (url, heard):
        bridge = Bridge(
            spool,
            url,
            BRIDGE_SPOOL_KEY=key,
            BRIDGE_OPS_BIND="127.0.0.1:0",
            BRIDGE_SENSITIVITY_QUOTED="true",
            BRIDGE_ATTACHMENTS="upload",
        )
        output = bridge.process.output
        try:
            page = eventually(lambda: re.search(r'"url": "(http\S+?)/?"', "".join(output)))
            assert page
            for number in (1, 2):
                bridge.send(the_mail(number), sender="anna@example.net")
            bridge.send(b"From: anna@example.net\r\nSubject: x\r\n\r\n" + canary("text").encode() + b"\xff\x00")
            assert eventually(lambda: sum("Hello" in text for text in heard) >= 2)
            assert eventually(lambda: len(re.findall(r'"outcome": "|"event": "delivered"', "".join(output))) >= 2), (
                output
            )
            said = {
                "log": "".join(output),
                "metrics": httpx.get(page[1] + "/metrics", trust_env=False).text,
                "ready": httpx.get(page[1] + "/readyz", trust_env=False).text,
                "list": bridge.command("queue", "list", "--json").stdout,
            }
            entries = [one["id"] for one in bridge.queue()]
            assert len(entries) >= 2
            said["shown"] = "".join(bridge.command("queue", "show", entry).stdout for entry in entries[-2:])
            said["shown as JSON"] = bridge.command("queue", "show", "--json", entries[-1]).stdout
            said["files"] = "".join(path.read_bytes().decode("latin-1") for path in spool.rglob("*") if path.is_file())
            assert bridge.process.stop() == 0
        finally:
            bridge.process.kill()
    said["log at the end"] = "".join(output)
    posted = "".join(heard)
    assert canary("html") in posted, "the canaries lived"
    for where, text in said.items():
        for field in FIELDS:
            assert canary(field) not in text, (where, field)
            assert f"Canary{field.title().replace('_', '')}" not in text, (where, field)


def test_a_notice_to_the_sender_holds_no_word_of_the_mail(tmp_path: Path) -> None:
    decision = a_decision(
        sender=Address(f"password: {canary('name')}", "anna@example.org"),
        subject=f"password: {canary('subject')}",
        message=canary("text"),
        reply=Reply(canary("text"), canary("cut"), (), 1.0),
        attachments=(Attachment("2", canary("file_name"), "text/plain", 9, "0" * 64, text=canary("file")),),
    )

    async def work(spool: Spool, notices: Notices, _sink: Sink, clock: samples.Clock) -> None:
        entry = await held(spool, decision)
        await Actions(spool, "me", clock).reject(entry, canary("comments"))
        assert await notices.round() == 1

    ((_, _, mail),) = run(tmp_path, work).mails
    assert "Canary" not in mail.as_string()
    assert all("Canary" not in str(part.get_payload(decode=True)) for part in mail.walk())


def _explode(words: str) -> None:
    raise ValueError(words)


def test_a_reader_that_raises_with_the_mails_words_does_not_tell_them() -> None:
    with pytest.raises(UnreadableMail) as error:
        anyio.run(Isolation(1)._run, _explode, canary("text"))
    shown = "".join(traceback.format_exception(error.value)) + str(error.value) + repr(error.value)
    assert "Canary" not in shown
    assert error.value.defect == "ValueError"


def test_words_of_the_api_stay_and_words_that_were_sent_go() -> None:
    sent = texts(
        {
            "json": {
                "message": "Hello, the password is Qz7!kfp2 for ticket 149943",
                "encrypted": True,
                "cc": ["a", "b@c"],
            },
            "files": {"file": ("Secret plan.txt", b"PIN 77123\xff", "text/plain")},
        }
    )
    assert without_echo("The message is too long: 21000 of 20000 characters", sent).startswith(
        "The message is too long"
    )
    assert without_echo("Ticket is closed", sent) == "Ticket is closed"
    assert without_echo("not allowed in a message: 'the password is' at line 1", sent).endswith(
        ": 'the … is' at line 1"
    )
    assert without_echo("refused for reasons that we do not tell: \\u0051z7!kfp2", sent).endswith("tell: …")
    assert without_echo('{"message":"Hello, the password is Qz7!kfp2\\n\\n', sent) == REPEATS
    assert without_echo("plan.txt holds 77123", sent) == REPEATS
    assert without_echo("", sent) == ""
