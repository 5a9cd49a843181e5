"""One connection below its commands: reading, writing, deadlines and memory.

Promises: replies go out in order and before the server waits (RFC 2920); what a client sends is held in bounded memory;
a mail that is being stored is stored even when its client goes away; a connection that does nothing ends.

Replaces what aiosmtpd does there: its stream reader (it reads a mail line by line and refuses long ones), its one
time-out for everything, and its way with a client that closes (it cancels whatever runs).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import cast

from aiosmtpd.smtp import SMTP

from bridge.intake import replies
from bridge.intake.data import DataReader
from bridge.intake.deadline import Deadline
from bridge.intake.handler import Handler
from bridge.intake.limits import client_ip
from bridge.intake.lines import LineBuffer, TooLong

_MAX_LINE = 2_048
_MAX_WAITING = 65_536
"""Bytes of commands that a client may send ahead before it has to wait."""
_BEFORE_TLS = ("EHLO", "LHLO", "NOOP", "QUIT", "STARTTLS")


class Gone(Exception):
    """The client is not there any more, or was told to go."""


class Connection(SMTP):
    """What SMTP and LMTP have in common below their commands."""

    lmtp = False

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        """Made by the listener for a connection that is about to be."""
        config = handler.config
        super().__init__(
            handler, data_size_limit=config.max_message_bytes, enable_SMTPUTF8=True, hostname=config.hostname, loop=loop
        )
        self.id = secrets.token_hex(6)
        self.client = ""
        self._handler = handler
        self._config = config
        self._lines = LineBuffer(_MAX_LINE)
        self._data: DataReader | None = None
        self._data_start = 0.0
        self._taken = 0
        self._out: list[str] = []
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = Deadline(loop, self._expire)
        self._expects_command = False
        self._refused = self._eof = self._lost = self._closing = self._held_back = self._secure = False
        self._commands = 0

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the conversation, or refuse the client."""
        self.client = client_ip(transport.get_extra_info("peername"))
        refusal = self._handler.admit(self.client)
        if refusal:
            self._refused = True
            made = cast("asyncio.Transport", transport)
            made.write(refusal.encode() + b"\r\n")
            made.close()
            return
        self._handler.sessions.add(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Content of a mail is read right here; commands wait for the conversation to come to them."""
        if self._refused:
            return
        if self._data is None:
            self._lines.feed(data)
            if len(self._lines) > _MAX_WAITING and not self._held_back:
                self._held_back = True
                self._wire.pause_reading()
            self._wake()
            return
        rest = self._data.feed(data)
        self._charge(self._data)
        if rest is None:
            self._set_data_deadline(self._data)
            return
        self._data = None
        self._lines.feed(rest)
        self._wake()

    def eof_received(self) -> bool:
        """The client sends no more, but may still read: it gets the answer to what it has sent."""
        self._eof = True
        self._wake()
        return not self._secure

    def connection_lost(self, error: Exception | None) -> None:
        """A mail that is being stored goes on being stored; everything else ends."""
        self._lost = True
        self._deadline.cancel()
        self._wake()
        if not self._refused:
            super(SMTP, self).connection_lost(error)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Not aiosmtpd's: it measures a whole mail as one wait. See ``Deadline``."""

    # What the listener calls

    def stop(self) -> None:
        """End now when no mail is under way; else the conversation ends itself after the mail."""
        if self._expects_command and not self._in_transaction:
            self._dismiss(replies.SHUTTING_DOWN)

    def abort(self) -> None:
        """End now, whatever is under way."""
        if not self._lost:
            self._dismiss(replies.SHUTTING_DOWN)
            self._wire.abort()

    @property
    def _wire(self) -> asyncio.Transport:
        # uvloop's transports are none by class.
        return cast("asyncio.Transport", self.transport)

    @property
    def _in_transaction(self) -> bool:
        return self.envelope is not None and self.envelope.mail_from is not None

    # The conversation

    async def _handle_client(self) -> None:
        try:
            await self._converse()
        except (Gone, ConnectionError):
            pass
        finally:
            self._deadline.cancel()
            if not self._lost:
                self._wire.close()
            self._handler.leave(self)

    async def _converse(self) -> None:
        self._say(f"220 {self.hostname} {'LMTP' if self.lmtp else 'ESMTP'}")
        while not self._closing:
            if self._handler.draining and not self._in_transaction:
                self._dismiss(replies.SHUTTING_DOWN)
                continue
            try:
                line = await self._line()
            except TooLong:
                await self.push(replies.LINE_TOO_LONG)
                continue
            await self._command(line)
        self._flush()

    async def _command(self, line: bytes) -> None:
        self._commands += 1
        if self._commands > self._config.max_idle_commands:
            self._say(replies.TOO_MANY_COMMANDS)
            self._closing = True
            return
        word, _, rest = line.partition(b" ")
        name = word.decode("ascii", "replace").upper()
        method = self._smtp_methods.get(name)
        if b"\r" in line or b"\0" in line or not word:
            await self.push(replies.BAD_SYNTAX)
        elif method is None:
            await self.push(replies.UNKNOWN_COMMAND)
        elif self._config.tls_required and not self._secure and name not in _BEFORE_TLS:
            await self.push(replies.NEED_TLS)
        else:
            try:
                await method(rest.strip().decode("utf-8", "surrogateescape") or None)
            except (Gone, ConnectionError):
                raise
            except Exception:
                # A fault of ours must delay mail, never bounce it.
                self._handler.log.exception("command_failed", session=self.id, command=name)
                await self.push(replies.INTERNAL)

    async def _line(self) -> bytes:
        now = self.loop.time()
        deadline, started = now + self._config.idle_s, False
        while True:
            line = self._lines.line()
            if line is not None:
                self._deadline.clear()
                return line
            if self._lines.partial and not started:
                deadline, started = min(deadline, self.loop.time() + self._config.command_s), True
            self._deadline.set(deadline)
            self._flush()
            if self._held_back:
                self._held_back = False
                self._wire.resume_reading()
            await self._writer.drain()
            self._expects_command = True
            await self._more()
            self._expects_command = False

    async def _more(self) -> None:
        if self._eof or self._lost or self._closing:
            raise Gone
        self._waiter = self.loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _expire(self) -> None:
        self._handler.counters.timeouts += 1
        self._handler.log.info("timeout", session=self.id, client=self.client, in_data=self._data is not None)
        self._dismiss(replies.TIMEOUT)
        if self._wire.get_write_buffer_size():
            self._wire.abort()

    def _dismiss(self, reply: str) -> None:
        self._say(reply)
        self._flush()
        self._closing = True
        self._wake()

    def _say(self, reply: str) -> None:
        self._out.append(reply)

    def _flush(self) -> None:
        if self._out and not self._lost:
            self._wire.write(("\r\n".join(self._out) + "\r\n").encode())
        self._out.clear()

    # The content of a mail

    async def _receive(self, head: bytes) -> DataReader:
        """Read a mail up to its end; ``head`` is put on top. The memory it takes is given back by the caller."""
        reader = self._data = DataReader(head, self._config.max_message_bytes)
        self._data_start = self.loop.time()
        self._set_data_deadline(reader)
        self._say(replies.GO_AHEAD)
        self._flush()
        waiting = self._lines.take()
        if waiting:
            self.data_received(waiting)
        if self._held_back:
            self._held_back = False
            self._wire.resume_reading()
        while self._data is reader:
            await self._more()
        self._deadline.clear()
        return reader

    def _set_data_deadline(self, reader: DataReader) -> None:
        config = self._config
        earned = config.idle_s + reader.received / config.min_rate
        self._deadline.set(self._data_start + min(config.data_s, earned))

    def _charge(self, reader: DataReader) -> None:
        """Account for the memory that the mail takes; without enough of it the mail is read and forgotten."""
        budget = self._handler.budget
        more = reader.held - self._taken
        if more > 0 and not budget.take(more):
            reader.drop()
            budget.give(self._taken)
            self._taken = 0
        else:
            if more < 0:
                budget.give(-more)
            self._taken += more
