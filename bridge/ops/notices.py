"""Telling a sender that a mail was not added to a ticket: RFC 3464 reports through the company's smarthost.

Promises: off unless a smarthost is configured; only for mail that expired or that an operator rejected; only to a
sender whom the relay authenticated, whose mail was no machine's, and whose reverse-path is of the same domain as From;
at most one a day for each; with a null envelope sender, so that a report is never answered with one. What became of
each is in the entry's audit. A report that cannot be sent is tried again for a day, and is never reported itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate, make_msgid

import aiosmtplib
from structlog.typing import FilteringBoundLogger

from bridge.errors import SpoolError
from bridge.reasons import MailClass, Reason
from bridge.spool.api import Audit, Detail, Entry, Filter, Spool, State

DAY_S = 86_400.0
LOOKED_AT = 200
"""Ended entries that are looked at in one round, newest first."""
TIMEOUT_S = 30.0
ACTOR = "notices"
EVERY_S = 60.0
"""How often is looked for what calls for a report."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_STATUS = {"expired": "5.4.7", "rejected": "5.7.1"}
"""RFC 3463: delivery time expired; delivery not authorised, message refused."""
_ATOM = r"[\w.!#$%&'*+/=?^`{|}~-]{1,200}"
_MESSAGE_ID = re.compile(f"{_ATOM}@{_ATOM}", re.ASCII)
_SAID = {
    "expired": "Nobody could add it to a ticket within the time that such mail is kept.",
    "rejected": "The support staff decided not to add it to a ticket.",
}


@dataclass(frozen=True, slots=True)
class NoticeConfig:
    """Where reports go, and what they say of us."""

    host: str
    port: int
    hostname: str
    """The reporting MTA."""
    sender: str
    """The address in From: a person's or a role's, who is asked when somebody has a question."""
    loop_marker: str


def why(detail: Detail) -> str:
    """``expired`` or ``rejected`` when this entry calls for a report that was not dealt with yet; else empty."""
    actions = [line.action for line in detail.audit]
    if any(action.startswith("notice") for action in actions):
        return ""
    if detail.entry.state is State.EXPIRED and detail.entry.reason is Reason.RETENTION:
        return "expired"
    return "rejected" if detail.entry.state is State.DISCARDED and actions[-1:] == ["reject"] else ""


def unwanted(detail: Detail) -> str:
    """Why nobody may be told, in a few words; empty when the sender may be."""
    decision, reverse_path = detail.decision, detail.entry.envelope.mail_from
    if decision is None or decision.sender is None:
        return "no sender is known"
    if decision.mail_class is not MailClass.HUMAN:
        return "a machine sent it"
    if decision.authentication.result != "pass":
        return "the sender is not authenticated"
    if "@" not in reverse_path or reverse_path.rpartition("@")[2].lower() != decision.sender.domain:
        return "the reverse-path is of another domain than From"
    if not reverse_path.isascii():
        return "its address is not ASCII"
    return ""


def report(entry: Entry, cause: str, config: NoticeConfig, now: float, message_id: str = "") -> bytes:
    """The report (RFC 3464, RFC 6522), without a word of the mail. A Message-ID that is none (RFC 5322) is left out."""
    message_id = message_id if _MESSAGE_ID.fullmatch(message_id) else ""
    mail = MIMEMultipart("report", report_type="delivery-status")
    mail["From"] = f"Mail delivery <{config.sender}>"
    mail["To"] = entry.envelope.mail_from
    mail["Subject"] = "Your mail was not added to a ticket"
    mail["Date"] = formatdate(now)
    mail["Message-ID"] = make_msgid(domain=config.hostname)
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Loop"] = config.loop_marker
    if message_id:
        mail["In-Reply-To"] = mail["References"] = f"<{message_id}>"
    accepted = formatdate(entry.accepted_at)
    text = f"Your mail of {accepted} to {entry.envelope.recipient} was not added to a ticket.\n{_SAID[cause]}\n"
    mail.attach(MIMEText(f"{text}\nQuestions: {config.sender}\n", _charset="utf-8"))
    status = MIMEBase("message", "delivery-status")
    about_us, about_it = Message(), Message()
    about_us["Reporting-MTA"] = f"dns; {config.hostname}"
    about_us["Arrival-Date"] = accepted
    about_it["Final-Recipient"] = f"rfc822; {entry.envelope.recipient}"
    about_it["Action"] = "failed"
    about_it["Status"] = _STATUS[cause]
    status.attach(about_us)
    status.attach(about_it)
    mail.attach(status)
    headers = MIMEBase("text", "rfc822-headers")
    headers.set_payload(f"Message-ID: {f'<{message_id}>' if message_id else make_msgid(domain=config.hostname)}\n")
    mail.attach(headers)
    return mail.as_bytes()


class Notices:
    """Looks for what calls for a report, and sends it."""

    def __init__(
        self, spool: Spool, config: NoticeConfig, clock: Callable[[], float], log: FilteringBoundLogger
    ) -> None:
        """Nothing is sent before ``round``."""
        self._spool = spool
        self._config = config
        self._clock = clock
        self._log = log

    async def round(self) -> int:
        """Deal with what ended within the last day; how many reports went out. Raises ``SpoolError``."""
        query = Filter(states=(State.EXPIRED, State.DISCARDED), limit=LOOKED_AT, newest_first=True)
        sent = 0
        for entry in await self._spool.list(query):
            if entry.updated_at > self._clock() - DAY_S:
                sent += await self._one(await self._spool.detail(entry.id))
        return sent

    async def _one(self, detail: Detail) -> bool:
        cause = why(detail)
        if not cause:
            return False
        entry_id = detail.entry.id
        refused = unwanted(detail) or await self._too_soon(detail)
        if refused:
            await self._spool.note(entry_id, Audit(self._clock(), ACTOR, "notice_withheld", refused))
            return False
        if not await self._send(detail, cause):
            return False
        await self._spool.note(entry_id, Audit(self._clock(), ACTOR, "notice_sent", cause))
        await self._spool.put_meta(_key(detail), str(self._clock()))
        return True

    async def _too_soon(self, detail: Detail) -> str:
        told = await self._spool.get_meta(_key(detail))
        return "told within the last day" if told and self._clock() - float(told) < DAY_S else ""

    async def _send(self, detail: Detail, cause: str) -> bool:
        message_id = detail.decision.message_id if detail.decision else ""
        mail = report(detail.entry, cause, self._config, self._clock(), message_id)
        try:
            async with aiosmtplib.SMTP(
                hostname=self._config.host,
                port=self._config.port,
                local_hostname=self._config.hostname,
                # A smarthost on this machine has a certificate of nobody's; any other's is verified.
                start_tls=False if self._config.host in _LOOPBACK else None,
                timeout=TIMEOUT_S,
            ) as client:
                await client.sendmail("", [detail.entry.envelope.mail_from], mail)
        except (aiosmtplib.SMTPException, OSError) as error:
            self._log.warning("notice_failed", entry=detail.entry.id, error=type(error).__name__)
            if _for_good(error):
                await self._spool.note(
                    detail.entry.id, Audit(self._clock(), ACTOR, "notice_refused", type(error).__name__)
                )
            return False
        return True


def _for_good(error: Exception) -> bool:
    """The smarthost will not take it later either (RFC 5321 §4.2.1)."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_for_good(one) for one in error.recipients)
    return isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= 500


def _key(detail: Detail) -> str:
    """One a day for each sender; the spool keeps a digest of the address, not the address."""
    return (
        f"notice:{hashlib.sha256(detail.entry.envelope.mail_from.lower().encode('utf-8', 'replace')).hexdigest()[:32]}"
    )


async def look(notices: Notices, log: FilteringBoundLogger) -> None:
    """One round; a spool that is busy is no reason to end."""
    try:
        sent = await notices.round()
    except SpoolError as error:
        if not error.temporary:
            raise
        return
    if sent:
        log.info("notices", sent=sent)
