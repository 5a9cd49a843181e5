"""Which mail a machine wrote: every sign of design §8, each alone, and what looks like one and is none."""

from __future__ import annotations

import pytest

from bridge.mail import classify, read
from bridge.mail.automatic import MAX_RECEIVED
from bridge.model import Envelope
from bridge.reasons import MailClass

HUMAN, AUTO, BOUNCE = MailClass.HUMAN, MailClass.AUTO_REPLY, MailClass.BOUNCE
REPORT, BULK, LIST, LOOP = MailClass.REPORT, MailClass.BULK, MailClass.LIST, MailClass.LOOP
MARKER = "ticket-bridge@example.com"
NULL = "<>"


def judged(*fields: str, mail_from: str = "anna@example.net") -> tuple[MailClass, str]:
    head = list(fields)
    if not any(field.lower().startswith("from:") for field in head):
        head.append("From: Anna <anna@example.net>")
    mail = read(("\r\n".join(head) + "\r\n\r\nHello\r\n").encode())
    envelope = Envelope("" if mail_from == NULL else mail_from, "support@example.com")
    return classify(mail, envelope, loop_marker=MARKER)


SIGNS: list[tuple[MailClass, tuple[str, ...]]] = [
    # Loops.
    (LOOP, (f"X-Loop: {MARKER}",)),
    (LOOP, (f"X-LOOP: {MARKER.upper()}",)),
    (LOOP, ("X-Loop: list@example.org", f"X-Loop:   {MARKER} ")),
    (HUMAN, ("X-Loop: ticket-bridge@example.org",)),
    (HUMAN, (f"X-Loop: x {MARKER}",)),
    (LOOP, tuple(f"Received: by {n}" for n in range(MAX_RECEIVED))),
    (HUMAN, tuple(f"Received: by {n}" for n in range(MAX_RECEIVED - 1))),
    # Bounces and reports.
    (BOUNCE, ("Content-Type: multipart/report; report-type=delivery-status; boundary=x",)),
    (BOUNCE, ("Content-Type: MULTIPART/Report; boundary=x",)),
    (REPORT, ("Content-Type: multipart/report; report-type=disposition-notification; boundary=x",)),
    (REPORT, ('Content-Type: multipart/report; report-type="Disposition-Notification"; boundary=x',)),
    (REPORT, ("Content-Type: multipart/report; report-type=feedback-report; boundary=x",)),
    (HUMAN, ("Content-Type: multipart/mixed; x=multipart/report; boundary=x",)),
    (BOUNCE, ("X-Failed-Recipients: bo@example.org",)),
    (BOUNCE, ("From: MAILER-DAEMON@example.org",)),
    (BOUNCE, ("From: Mail Delivery System <Mailer-Daemon@mx.example.org>",)),
    (HUMAN, ("From: mailer-daemon-fan@example.org",)),
    (HUMAN, ("From: postmaster@example.org",)),
    (HUMAN, ("From: mailer-daemon",)),
    # Automatic answers.
    (AUTO, ("Auto-Submitted: auto-replied",)),
    (AUTO, ("Auto-Submitted: AUTO-REPLIED; owner-email=x",)),
    (AUTO, ("Auto-Submitted: auto-generated",)),
    (AUTO, ("Auto-Submitted: auto-notified",)),
    (AUTO, ("Auto-Submitted: yes",)),
    (AUTO, ("Auto-Submitted: no", "Auto-Submitted: auto-replied")),
    (HUMAN, ("Auto-Submitted: no",)),
    (HUMAN, ("Auto-Submitted: No; x=auto-replied",)),
    (HUMAN, ("Auto-Submitted:",)),
    (AUTO, ("X-Auto-Response-Suppress: All", "X-MS-Exchange-Inbox-Rules-Loop: anna@example.net")),
    (HUMAN, ("X-Auto-Response-Suppress: All",)),
    (HUMAN, ("X-MS-Exchange-Inbox-Rules-Loop: anna@example.net",)),
    (AUTO, ("X-Autoreply: yes",)),
    (AUTO, ("X-Autorespond: x",)),
    (AUTO, ("X-Autoresponder: x",)),
    (AUTO, ("X-Mail-Autoreply: x",)),
    (AUTO, ("X-FC-MachineGenerated: true",)),
    (HUMAN, ("X-FC-MachineGenerated: false",)),
    (AUTO, ("Precedence: auto_reply",)),
    (HUMAN, ("Precedence: first-class",)),
    # A subject alone proves nothing.
    (HUMAN, ("Subject: Autosvar: borta",)),
    (AUTO, ("Subject: Autosvar: borta", "X-Auto-Response-Suppress: OOF")),
    (AUTO, ("Subject: =?utf-8?q?Fr=C3=A5nvaro?=", "Precedence: junk")),
    (AUTO, ("Subject: Automatic reply: x", "Precedence: bulk")),
    (HUMAN, ("Subject: Sv: Autosvar fungerar inte", "X-Auto-Response-Suppress: OOF")),
    # Lists and bulk.
    (LIST, ("List-Id: <a.example.org>",)),
    (LIST, ("Precedence: list",)),
    (BULK, ("Precedence: bulk",)),
    (BULK, ("Precedence: Junk",)),
    (BULK, ("List-Unsubscribe: <mailto:x@example.org>",)),
    (HUMAN, ("List-Help: <mailto:x@example.org>",)),
    # The first that matches wins.
    (LOOP, (f"X-Loop: {MARKER}", "Content-Type: multipart/report; boundary=x", "Auto-Submitted: auto-replied")),
    (BOUNCE, ("Content-Type: multipart/report; boundary=x", "Auto-Submitted: auto-replied", "List-Id: <x>")),
    (AUTO, ("Auto-Submitted: auto-replied", "List-Id: <x>", "Precedence: bulk")),
    (LIST, ("List-Id: <x>", "Precedence: bulk", "List-Unsubscribe: <x>")),
    (HUMAN, ()),
]


@pytest.mark.parametrize(("expected", "fields"), SIGNS, ids=[f"{c}: {(f or ('nothing',))[0][:40]}" for c, f in SIGNS])
def test_signs(expected: MailClass, fields: tuple[str, ...]) -> None:
    found, why = judged(*fields)
    assert found is expected
    assert why


def test_an_empty_return_path() -> None:
    assert judged(mail_from=NULL) == (AUTO, "MAIL FROM:<>")
    assert judged("From: postmaster@example.org", mail_from=NULL)[0] is BOUNCE
    assert judged("Content-Type: multipart/report; boundary=x", mail_from=NULL)[0] is BOUNCE
    assert judged("List-Id: <x>", mail_from=NULL)[0] is AUTO


def test_a_mail_without_anything() -> None:
    mail = read(b"\r\n")
    assert classify(mail, Envelope("a@b.c", "support@example.com"), loop_marker=MARKER) == (
        HUMAN,
        "no sign of a machine",
    )


@pytest.mark.parametrize(
    "subject",
    [
        *("Autosvar: x", "Automatiskt svar: x", "Automatisk svar: x", "Poissa: x", "Sjálfvirkt svar: x"),
        *("Automatische Antwort: x", "Abwesenheitsnotiz: x", "Automatisch antwoord: x", "Réponse automatique : x"),
        *("Respuesta automática: x", "Resposta automática: x", "Risposta automatica: x", "Răspuns automat: x"),
        *("Odpowiedź automatyczna: x", "Automatická odpověď: x", "Automatikus válasz: x", "Automatski odgovor: x"),
        *("Automaatvastus: x", "Automātiskā atbilde: x", "Automatinis atsakymas: x", "Αυτόματη απάντηση: x"),
        *("Otomatik Yanıt: x", "Автоответ: x", "Автоматический ответ: x", "Автоматична відповідь: x"),
        *("رد تلقائي: x", "תשובה אוטומטית: x", "自动回复: x", "自動返信: x", "자동 회신: x", "Trả lời tự động: x"),
        *("Out of Office: x", "Out of the office", "Auto: x", "AUTOMATIC REPLY: x"),
    ],
)
def test_subjects_of_automatic_answers_in_many_languages(subject: str) -> None:
    assert judged(f"Subject: {subject}", "X-Auto-Response-Suppress: All")[0] is AUTO
    assert judged(f"Subject: {subject}")[0] is HUMAN
