"""Automatic mail: the first sign that matches decides (design §8; RFC 3834, RFC 3464, RFC 2919)."""

from __future__ import annotations

import re

from bridge.model import Envelope, InboundMail
from bridge.reasons import MailClass

MAX_RECEIVED = 50
"""Received fields from which a mail is taken to be going in circles."""
_BOUNCERS = frozenset({"mailer-daemon", "postmaster", "maildaemon", "mail-daemon"})
_VENDOR = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-mail-autoreply")
_SUBJECT = re.compile(
    r"^\s*(?:autosvar|automatiskt? (?:svar|mejl)|automatisch(?:e)? (?:antwort|antwoord)|abwesenheit\w*|"
    r"automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|on vacation|"
    r"fr[åa]nvaro\w*|frav[æa]r\w*|poissa\w*|automaattinen vastaus|r[ée]ponse automatique|absen(?:ce|ti)\w*|"
    r"respuesta autom[áa]tica|fuera de (?:la )?oficina|resposta autom[áa]tica|risposta automatica|"
    r"fuori (?:sede|ufficio)|afwezig\w*|autom\w* odpowied[źz]|nieobecno\w*|自动回复|自動回覆|自動返信|不在)",
    re.IGNORECASE,
)


def classify(mail: InboundMail, envelope: Envelope, *, loop_marker: str) -> tuple[MailClass, str]:
    """The class, and which sign said so. ``loop_marker`` is our own value of ``X-Loop``."""
    for look in (_loop, _report, _auto_reply, _list):
        found = look(mail, envelope, loop_marker)
        if found is not None:
            return found
    return MailClass.HUMAN, "no sign of a machine"


def _first(mail: InboundMail, name: str) -> str:
    values = mail.values(name)
    return values[0].strip().lower() if values else ""


def _loop(mail: InboundMail, _envelope: Envelope, marker: str) -> tuple[MailClass, str] | None:
    if any(value.strip().lower() == marker.lower() for value in mail.values("x-loop")):
        return MailClass.LOOP, "our own loop marker"
    if len(mail.values("received")) >= MAX_RECEIVED:
        return MailClass.LOOP, f"{MAX_RECEIVED} Received fields or more"
    return None


def _report(mail: InboundMail, envelope: Envelope, _marker: str) -> tuple[MailClass, str] | None:
    content_type = _first(mail, "content-type")
    if content_type.startswith("multipart/report"):
        if "disposition-notification" in content_type or "feedback-report" in content_type:
            return MailClass.REPORT, "multipart/report"
        return MailClass.BOUNCE, "multipart/report"
    if mail.values("x-failed-recipients"):
        return MailClass.BOUNCE, "X-Failed-Recipients"
    local = mail.from_[0].address.partition("@")[0].lower() if mail.from_ else ""
    if local in _BOUNCERS and (local != "postmaster" or not envelope.mail_from):
        return MailClass.BOUNCE, f"from {local}"
    return None


def _auto_reply(mail: InboundMail, envelope: Envelope, _marker: str) -> tuple[MailClass, str] | None:
    submitted = _first(mail, "auto-submitted").partition(";")[0].strip()
    signs = (
        (not envelope.mail_from, "MAIL FROM:<>"),
        (bool(submitted) and submitted != "no", "Auto-Submitted"),
        (
            bool(mail.values("x-auto-response-suppress") and mail.values("x-ms-exchange-inbox-rules-loop")),
            "X-MS-Exchange-Inbox-Rules-Loop",
        ),
        (_first(mail, "x-fc-machinegenerated") == "true", "X-FC-MachineGenerated"),
        (_first(mail, "precedence") == "auto_reply", "Precedence: auto_reply"),
    )
    for holds, sign in (*signs, *((bool(mail.values(name)), name) for name in _VENDOR)):
        if holds:
            return MailClass.AUTO_REPLY, sign
    second = mail.values("x-auto-response-suppress") or _first(mail, "precedence") in ("bulk", "junk")
    if second and _SUBJECT.match(mail.subject[:200]):
        return MailClass.AUTO_REPLY, "the subject, and a second sign"
    return None


def _list(mail: InboundMail, _envelope: Envelope, _marker: str) -> tuple[MailClass, str] | None:
    if mail.values("list-id"):
        return MailClass.LIST, "List-Id"
    if _first(mail, "precedence") == "list":
        return MailClass.LIST, "Precedence: list"
    if _first(mail, "precedence") in ("bulk", "junk"):
        return MailClass.BULK, "Precedence"
    if mail.values("list-unsubscribe"):
        return MailClass.BULK, "List-Unsubscribe"
    return None
