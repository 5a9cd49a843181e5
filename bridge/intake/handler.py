"""What all connections share, and aiosmtpd's hooks: which MAIL, RCPT and DATA are taken.

Promises: a mail is acknowledged only after the reception stored it; whatever else happens is a temporary refusal, in
words that tell nothing of the inside. Customers' words and whole addresses are never logged.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiosmtpd.smtp
from structlog.typing import FilteringBoundLogger

from bridge.errors import SpoolFull
from bridge.intake import policy, replies
from bridge.intake.addresses import NULL
from bridge.intake.config import IntakeConfig, Reception
from bridge.intake.limits import Budget, Clients
from bridge.model import Envelope
from bridge.spool.api import NewMail

if TYPE_CHECKING:
    from bridge.intake.connection import Connection
    from bridge.intake.session import Session


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    connections: int = 0
    connections_refused: int = 0
    mails: int = 0
    entries: int = 0
    bytes: int = 0
    recipients_refused: int = 0
    mails_refused: int = 0
    """After DATA, for good: too large, bare newlines."""
    mails_deferred: int = 0
    """Before or after DATA, for now: no space, no memory, the reception failed."""
    timeouts: int = 0
    protocol_errors: int = 0
    tls: int = 0
    tls_failed: int = 0


class Transaction(aiosmtpd.smtp.Envelope):
    """One mail transaction (RFC 5321 §3.3): aiosmtpd's envelope and who is to get it."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        super().__init__()
        self.hints: dict[str, tuple[str, str]] = {}
        """Recipient, lower case → as it was given, and its lane's hint. A recipient that is named twice stands once."""
        self.answers: list[str] = []
        """A key of ``hints`` for every RCPT that was accepted: LMTP answers each (RFC 2033 §4.2)."""
        self.raw = b""
        """What is to be stored."""
        self.size = 0
        """As declared by ``SIZE=`` (RFC 1870); 0 when it was not."""


@dataclass
class Handler:
    """Shared by all connections of one intake; the hooks' names are aiosmtpd's.

    Without slots: before Python 3.11.3 a slotted dataclass's ``__weakref__`` raises TypeError when it is looked at
    (gh-102069), and aiosmtpd looks at every attribute of its handler. Debian 12 has 3.11.2.
    """

    config: IntakeConfig
    reception: Reception
    log: FilteringBoundLogger
    tls: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.time
    draining: bool = False
    counters: Counters = field(default_factory=Counters)
    budget: Budget = field(init=False)
    clients: Clients = field(init=False)
    sessions: set[Connection] = field(default_factory=set)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """The limits that the configuration asks for."""
        config = self.config
        self.budget = Budget(config.max_in_flight_bytes)
        self.clients = Clients(
            config.relay_networks, total=config.max_connections, per_address=config.max_connections_per_address
        )

    def leave(self, session: Connection) -> None:
        """Count a connection out."""
        self.sessions.discard(session)
        self.clients.leave(session.client)
        if not self.sessions:
            self._empty.set()

    async def idle(self) -> None:
        """Return when no connection is open any more. To be awaited while draining."""
        self._empty.clear()
        if self.sessions:
            await self._empty.wait()

    def admit(self, client: str) -> str:
        """Count a new connection in; the refusal when it may not stay, else empty."""
        refusal = ""
        if self.draining:
            refusal = replies.SHUTTING_DOWN
        elif not self.clients.allowed(client):
            refusal = replies.NOT_ALLOWED
        elif not self.clients.enter(client):
            refusal = replies.TOO_MANY_CONNECTIONS
        if refusal:
            self.counters.connections_refused += 1
            self.log.warning("connection_refused", client=client, reply=refusal)
        else:
            self.counters.connections += 1
        return refusal

    async def handle_MAIL(  # noqa: N802
        self, server: Session, session: object, envelope: Transaction, address: str, options: list[str]
    ) -> str:
        """Take the reverse-path when there is room for a mail."""
        del session
        # aiosmtpd has looked at the last one only, where a client gives a parameter twice.
        sizes = [option[5:] for option in options if option.startswith("SIZE=")]
        envelope.size = max((int(size) for size in sizes if size.isascii() and size.isdigit()), default=0)
        if not self.reception.accepting() or not self.fits(envelope.size):
            self.counters.mails_deferred += 1
            self.log.warning("mail_deferred", session=server.id, reply=replies.NO_SPACE)
            return replies.NO_SPACE
        envelope.mail_from = address
        envelope.mail_options = options
        return replies.SENDER_OK

    def fits(self, size: int) -> bool:
        """Whether a mail of the declared size fits into memory beside the others."""
        return size <= self.budget.free

    async def handle_RCPT(  # noqa: N802
        self, server: Session, session: object, envelope: Transaction, address: str, options: list[str]
    ) -> str:
        """Take the forward-path when policy says so. A refused or later dropped one leaves no trace."""
        del session, options
        key = address.lower()
        if len(envelope.hints) >= self.config.max_recipients and key not in envelope.hints:
            return replies.TOO_MANY_RECIPIENTS
        decision = policy.rcpt(address, self.config.match, self.config.domains)
        if not decision.accept:
            self.counters.recipients_refused += 1
            self.log.info("recipient_refused", session=server.id, mailbox=_mailbox(address))
            return decision.reply
        envelope.hints.setdefault(key, (address, decision.hint))
        envelope.answers.append(key)
        envelope.rcpt_tos.append(address)
        return decision.reply

    async def handle_DATA(self, server: Session, session: object, envelope: Transaction) -> list[str]:  # noqa: N802
        """Store the mail for all its recipients; one reply for every accepted RCPT, in order."""
        del session
        mail = self._mail(server, envelope)
        try:
            ids = await self.reception.accept(mail)
        except SpoolFull:
            return self.deferred(server, envelope, replies.NO_SPACE)
        except Exception as error:  # noqa: BLE001 (whatever it was: the mail is not stored, and the relay keeps it)
            return self.deferred(server, envelope, replies.INTERNAL, error)
        counters = self.counters
        counters.mails += 1
        counters.entries += len(ids)
        counters.bytes += len(mail.raw)
        self.log.info(
            "mail_queued",
            session=server.id,
            client=server.client,
            sender_domain=mail.envelopes[0].mail_from.rpartition("@")[2],
            mailboxes=[_mailbox(one.recipient) for one in mail.envelopes],
            bytes=len(mail.raw),
            entries=ids,
        )
        by_recipient = dict(zip(envelope.hints, ids, strict=True))
        return [replies.queued(by_recipient[key]) for key in envelope.answers]

    def deferred(self, server: Session, envelope: Transaction, reply: str, error: Exception | None = None) -> list[str]:
        """The mail was not stored, for now."""
        self.counters.mails_deferred += 1
        self.log.error("mail_deferred", session=server.id, reply=reply, exc_info=error)
        return [reply] * len(envelope.answers)

    def refused(self, server: Session, envelope: Transaction, reply: str) -> list[str]:
        """The mail will never be taken."""
        self.counters.mails_refused += 1
        self.log.warning("mail_refused", session=server.id, reply=reply)
        return [reply] * len(envelope.answers)

    def _mail(self, server: Session, envelope: Transaction) -> NewMail:
        sender = envelope.mail_from or ""
        recipients = tuple(address for address, _ in envelope.hints.values())
        now = self.clock()
        return NewMail(
            raw=envelope.raw,
            envelopes=tuple(
                Envelope(
                    mail_from="" if sender == NULL else sender,
                    recipient=recipient,
                    siblings=recipients[:at] + recipients[at + 1 :],
                    client_ip=server.client,
                    helo=server.helo,
                    protocol=server.protocol,
                    received_at=now,
                )
                for at, recipient in enumerate(recipients)
            ),
            hints=tuple(hint for _, hint in envelope.hints.values()),
        )


def _mailbox(address: str) -> str:
    """Local part without its tag, for the log: the tag names a ticket, and whoever knows it may write to it."""
    return address.rpartition("@")[0].partition("+")[0]
