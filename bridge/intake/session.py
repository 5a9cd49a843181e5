"""The commands of SMTP and LMTP, as far as aiosmtpd does them otherwise.

aiosmtpd brings the grammar of MAIL, RCPT, RSET and NOOP and the state between them; its handler hooks decide.
"""

# ruff: noqa: N802 (the names of commands are aiosmtpd's)

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

import aiosmtpd.smtp

from bridge.intake import addresses, received, replies
from bridge.intake.connection import Connection, Gone
from bridge.intake.data import has_bare_newlines, normalise_newlines
from bridge.intake.handler import Handler, Transaction

_NOT_OFFERED = ("AUTH", "EXPN", "HELP")
_PROTOCOL_ERRORS = ("500", "501", "502", "503", "530", "555")


class Session(Connection):
    """An SMTP connection (RFC 5321)."""

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        """Made by the listener for a connection that is about to be."""
        super().__init__(handler, loop)
        self.helo = ""
        """The client's own name for itself."""
        self._errors = self._transactions = 0
        for name in _NOT_OFFERED if handler.tls else (*_NOT_OFFERED, "STARTTLS"):
            self._smtp_methods.pop(name, None)

    @property
    def protocol(self) -> str:
        """The ``with`` word of the trace field."""
        return received.protocol(
            lmtp=self.lmtp,
            extended=self._greeting.extended_smtp,
            utf8=self._transaction.smtp_utf8,
            tls=self._secure,
        )

    @property
    def _transaction(self) -> Transaction:
        return cast("Transaction", self.envelope)

    @property
    def _greeting(self) -> aiosmtpd.smtp.Session:
        return cast("aiosmtpd.smtp.Session", self.session)

    async def push(self, status: str | bytes) -> None:
        """A reply of aiosmtpd's, with the enhanced code that it lacks. Errors of the protocol are counted."""
        reply = replies.enhanced(status if isinstance(status, str) else status.decode())
        self._say(reply)
        if reply[:3] in _PROTOCOL_ERRORS:
            self._handler.counters.protocol_errors += 1
            self._errors += 1
            if self._errors > self._config.max_errors:
                self._say(replies.TOO_MANY_ERRORS)
                self._closing = True

    def _create_envelope(self) -> Transaction:
        return Transaction()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        address, parameters = addresses.quick(arg) or self._slowly(addresses.without_route(arg))
        return (address, parameters) if address is not None and addresses.usable(address) else (None, None)

    def _slowly(self, arg: str) -> tuple[str | None, str | None]:
        try:
            return super()._getaddr(arg)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            # The standard library's header parser on what is no address.
            return None, None

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        return super()._getparams(params) if all(param.isascii() for param in params) else None

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Greeting without extensions."""
        await self._greet(hostname, extended=False)

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Greeting; offers what is fully done, and nothing else."""
        await self._greet(hostname, extended=True)

    async def _greet(self, hostname: str | None, *, extended: bool) -> None:
        if not hostname:
            await self.push(replies.NEED_NAME)
            return
        self.envelope = Transaction()
        self._greeting.extended_smtp = extended
        self._greeting.host_name = self.helo = received.name(hostname)
        offers = ["PIPELINING", f"SIZE {self.data_size_limit}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self._handler.tls and not self._secure:
            offers.append("STARTTLS")
        lines = [self.hostname, *offers] if extended else [self.hostname]
        self._out += [f"250-{line}" for line in lines[:-1]]
        self._say(f"250 {lines[-1]}")

    async def smtp_VRFY(self, arg: str | None) -> None:
        """Says nothing about anybody (RFC 5321 §7.3)."""
        await self.push(replies.NOT_VERIFIED if arg else replies.BAD_SYNTAX)

    async def smtp_QUIT(self, arg: str | None) -> None:
        """The end."""
        if arg:
            await self.push(replies.NO_ARGUMENT)
            return
        self._say(replies.BYE)
        self._closing = True

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Go on encrypted; whatever came before the handshake is forgotten (RFC 3207 §4.2)."""
        context = self._handler.tls
        if arg:
            await self.push(replies.NO_ARGUMENT)
            return
        if self._secure or context is None:
            await self.push(replies.TLS_UNAVAILABLE)
            return
        self._say(replies.READY_FOR_TLS)
        self._flush()
        # Only here: by the time that the handshake's end is noticed, the first command behind it may be waiting.
        self._lines.take()
        counters = self._handler.counters
        try:
            transport = await self.loop.start_tls(
                self._wire, self, context, server_side=True, ssl_handshake_timeout=self._config.command_s
            )
        except (OSError, ssl.SSLError) as error:
            counters.tls_failed += 1
            self._handler.log.warning("tls_failed", session=self.id, client=self.client, what=type(error).__name__)
            raise Gone from error
        if transport is None:
            raise Gone
        counters.tls += 1
        self.transport = transport
        self._secure, self._held_back = True, False
        self._greeting.host_name, self._greeting.extended_smtp = None, False
        self.envelope = Transaction()

    async def smtp_DATA(self, arg: str | None) -> None:
        """The mail itself, and its fate."""
        transaction = self._transaction
        if arg:
            await self.push(replies.NO_ARGUMENT)
        elif transaction.mail_from is None:
            await self.push(replies.NEED_MAIL)
        elif not transaction.answers:
            # Not counted as an error: a client that pipelines cannot know that its recipients were refused.
            self._say(replies.NO_RECIPIENT)
        elif not self._handler.fits(transaction.size):
            self._handler.deferred(self, transaction, replies.NO_SPACE)
            self._say(replies.NO_SPACE)
        else:
            try:
                answers = await self._fate(transaction)
            finally:
                self._data = None
                self._handler.budget.give(self._taken)
                self._taken = 0
            self.envelope = Transaction()
            self._commands = 0
            for answer in answers if self.lmtp else answers[:1]:
                self._say(answer)

    async def _fate(self, transaction: Transaction) -> list[str]:
        """The replies, one for each accepted RCPT."""
        self._transactions += 1
        head = received.field(
            helo=self.helo,
            client_ip=self.client,
            hostname=self.hostname,
            protocol=self.protocol,
            transaction=f"{self.id}.{self._transactions}",
            at=self._handler.clock(),
        )
        reader = await self._receive(head)
        handler = self._handler
        if reader.too_large:
            return handler.refused(self, transaction, replies.TOO_LARGE)
        if reader.dropped:
            return handler.deferred(self, transaction, replies.NO_SPACE)
        content = reader.content()
        if has_bare_newlines(content):
            if self._config.bare_newlines == "refuse":
                return handler.refused(self, transaction, replies.BARE_NEWLINE)
            content = normalise_newlines(content)
            grown = max(0, len(content) - self._taken)
            if not handler.budget.take(grown):
                return handler.deferred(self, transaction, replies.NO_SPACE)
            self._taken += grown
        transaction.raw = content
        answers: list[str] = await self._call_handler_hook("DATA")
        return answers


class LmtpSession(Session):
    """An LMTP connection (RFC 2033): LHLO, and a reply for every recipient."""

    lmtp = True

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        """As SMTP's, without its greetings (RFC 2033 §4.1)."""
        super().__init__(handler, loop)
        for name in ("HELO", "EHLO"):
            self._smtp_methods.pop(name)

    async def smtp_LHLO(self, hostname: str | None) -> None:
        """The greeting."""
        await self._greet(hostname, extended=True)
