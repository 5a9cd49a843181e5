"""Fuzzes the SMTP and LMTP side: ``python -m tests.fuzz.smtp [libFuzzer's options] [DIRECTORY]``.

The input's first octet chooses the protocol and how the rest is cut into pieces on its way. A finding is an error that
the server did not foresee, a reply that is none, a mail that was answered with 250 and is not stored (or the other way
round), or a session that does not end after its client did.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import sys
from functools import partial
from ipaddress import ip_network
from typing import Any

import atheris

with atheris.instrument_imports(include=["bridge.intake", "aiosmtpd"]):
    from bridge.intake.config import IntakeConfig
    from bridge.intake.handler import Handler
    from bridge.intake.session import LmtpSession, Session
    from bridge.reference import AddressKeys, parse_address
    from bridge.spool.api import NewMail

REPLY = re.compile(rb"[2-5]\d\d(?:[ -][^\r\n]*)?\r\n")
ENDS_WITHIN_S = 5.0
PIECES = (1_000_000, 1, 2, 7, 64, 1000)
CONFIG = IntakeConfig(
    hostname="mx.example.com",
    match=partial(
        parse_address,
        domains=frozenset({"example.com"}),
        mailboxes=frozenset({"support"}),
        keys=AddressKeys(),
        signed="off",
    ),
    domains=frozenset({"example.com"}),
    relay_networks=(ip_network("127.0.0.0/8"),),
    max_message_bytes=100_000,
)


class Store:
    """A reception that keeps count."""

    def __init__(self) -> None:
        self.stored = 0

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        await asyncio.sleep(0)
        before, self.stored = self.stored, self.stored + len(mail.envelopes)
        return tuple(f"e{number}" for number in range(before, self.stored))

    def accepting(self) -> bool:
        return True


class Log:
    """Errors are findings."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, event: str, **members: Any) -> None:
        self.errors.append(f"{event} {members}")

    exception = critical = error

    def info(self, event: str, **members: Any) -> None:
        """Nothing to see."""

    debug = warning = info

    def bind(self, **members: Any) -> Log:
        return self


async def talk(data: bytes, *, lmtp: bool, piece: int) -> None:
    """One session that sends ``data`` whatever is answered."""
    loop = asyncio.get_running_loop()
    store, log = Store(), Log()
    unforeseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unforeseen.append(context))
    handler = Handler(CONFIG, store, log, clock=lambda: 0.0, tls=None)  # type: ignore[arg-type]
    ours, theirs = socket.socketpair()
    transport, session = await loop.connect_accepted_socket(
        lambda: (LmtpSession if lmtp else Session)(handler, loop), theirs
    )
    reader, writer = await asyncio.open_connection(sock=ours)
    answers = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        for start in range(0, min(len(data), piece * 2000), piece):
            writer.write(data[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
    try:
        said = await asyncio.wait_for(answers, ENDS_WITHIN_S)
    except ConnectionError:
        said = None
    writer.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(handler.idle(), ENDS_WITHIN_S)
    if session in handler.sessions:
        raise AssertionError("the session did not end")
    transport.close()
    await asyncio.sleep(0)
    if log.errors or unforeseen:
        raise AssertionError(f"unforeseen: {log.errors} {unforeseen}")
    if said is not None:
        check(said, store.stored, lmtp=lmtp)


def check(said: bytes, stored: int, *, lmtp: bool) -> None:
    """What was answered is SMTP, and true."""
    if REPLY.sub(b"", said):
        raise AssertionError(f"no SMTP: {said[-300:]!r}")
    # By LMTP a recipient that is named twice is answered twice (RFC 2033), and stored once: entries are counted.
    queued = len(set(re.findall(rb"^250 2\.6\.0 (\S+) ", said, re.MULTILINE)))
    if (queued != stored) if lmtp else (bool(queued) != bool(stored)):
        raise AssertionError(f"{queued} answered, {stored} stored")


def one(data: bytes) -> None:
    """One session."""
    if data:
        asyncio.run(talk(data[1:], lmtp=bool(data[0] & 1), piece=PIECES[(data[0] >> 1) % len(PIECES)]))


T = b"support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@example.com"
MAIL = (
    b"MAIL FROM:<c@example.net> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<" + T + b">\r\nDATA\r\nSubject: x\r\n\r\n..a\r\n.\r\n"
)
TWO = b"MAIL FROM:<>\r\nRCPT TO:<" + T + b">\r\nRCPT TO:<postmaster>\r\nDATA\r\na\n.\r\nb\r.\r\n.\r\n.\r\n"
ODD = b'mail from:<"a b"@example.net>\r\nrcpt to:<nobody@example.com>\r\nDATA\r\nRSET\r\nNOOP x\r\nVRFY y\r\nHELP\r\n'
MORE = b"STARTTLS\r\nAUTH PLAIN x\r\nETRN\r\nEXPN z\r\nBDAT 3 LAST\r\nabc"
OPEN = b"MAIL FROM:<c@example.net> SMTPUTF8\r\nRCPT TO:<" + T + b"> NOTIFY=NEVER\r\nDATA\r\nnever ends"
SEEDS = (
    b"\x00EHLO client.example.net\r\n" + MAIL + b"QUIT\r\n",
    b"\x01LHLO client\r\n" + TWO + b"QUIT\r\n",
    b"\x02HELO x\r\n" + ODD,
    b"\x04EHLO [127.0.0.1]\r\nMAIL FROM:<c@example.net> SIZE=999999999\r\n" + MORE,
    b"\x00EHLO x\r\n" + MAIL + MAIL + OPEN,
)
"""Sessions to begin from."""

if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
