"""``status``, ``settings`` and ``send-test``: what an operator asks first when something seems wrong."""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from email.utils import formatdate
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from pydantic import SecretStr

from bridge.environment import sources, variable
from bridge.errors import ConfigurationError
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.ops.status import Status
    from bridge.spool.api import Detail

_QUEUED = re.compile(rb"2\.6\.0 ([0-9a-hjkmnp-tv-z]{26}) ")
_CONNECT = {str(IPv4Address(0)): "127.0.0.1", "": "127.0.0.1", str(IPv6Address(0)): "::1"}
"""Where to connect to what listens everywhere."""
_TICKET = re.compile(r"tkt_[0-9a-hjkmnp-tv-z]{26}")


def status(settings: Settings, *, as_json: bool) -> int:
    """Print how the bridge is; 1 when there is something that a person should look at."""
    found = asyncio.run(_status(settings))
    troubles = found.troubles()
    if as_json:
        typer.echo(json.dumps({**asdict(found), "oldest_seconds": found.oldest_s, "troubles": troubles}))
        return 1 if troubles else 0
    for state, number in found.counts.by_state.items():
        if number:
            typer.echo(f"{number:>8}  {state}")
    for reason, number in found.counts.held_by_reason.items():
        typer.echo(f"{number:>8}  held: {reason}")
    typer.echo(f"oldest waiting: {found.oldest_s:.0f} s" if found.waiting else "nothing waits")
    if found.gate:
        paused = f"paused: {found.gate.reason}, for {found.now - found.gate.since:.0f} s"
        typer.echo(f"delivery: {'open' if found.gate.open else paused}")
    usage = found.usage
    typer.echo(f"spool: {usage.bytes_used / 1e6:.1f} MB, {usage.bytes_free / 1e9:.1f} GB free")
    for trouble in troubles:
        typer.echo(f"WRONG {trouble}")
    return 1 if troubles else 0


async def _status(settings: Settings) -> Status:
    from bridge import composition
    from bridge.ops.meter import Meter
    from bridge.ops.status import Monitor

    spool = await composition.open_spool(settings, exclusive=False)
    try:
        return await Monitor(spool, None, Meter(), settings.tls_cert_file, time.time).look()
    finally:
        await spool.close()


def show_settings(settings: Settings, env_file: Path | None, environ: Mapping[str, str], *, as_json: bool) -> None:
    """Print every effective setting and where it comes from; a secret only as set or empty."""
    where = sources(environ, env_file)
    rows = [
        {
            "name": variable(name),
            "value": _shown(getattr(settings, name)),
            "source": where.get(variable(name), "default"),
        }
        for name in Settings.model_fields
    ]
    for row in rows:
        typer.echo(json.dumps(row) if as_json else f"{row['name']}={row['value']}  ({row['source']})")


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    # An address may hold a password: postgresql://user:password@host/database.
    return "" if value is None else re.sub(r"(?<=//)([^/@:]*):[^/@]*@", r"\1:********@", str(value))


@dataclass(frozen=True, slots=True)
class Canary:
    """A test mail, and how long to wait for it."""

    ticket: str
    sender: str
    wait_s: float


def send_test(settings: Settings, canary: Canary, *, as_json: bool) -> int:
    """Send a mail through the real path, and wait until it is settled; 0 when it is on the ticket."""
    from bridge.composition import address_keys
    from bridge.reference import make_address

    ticket = (canary.ticket or settings.test_ticket).lower()
    if not _TICKET.fullmatch(ticket):
        raise ConfigurationError("give --ticket or BRIDGE_TEST_TICKET: tkt_ and 26 characters")
    keys = address_keys(settings)
    recipient = make_address(
        ticket,
        mailbox=settings.mailboxes[0],
        domain=settings.mail_domains[0],
        key=keys.keys[0] if keys.keys else None,
    )
    entry_id = _send(settings, _mail(canary.sender, recipient), canary.sender, recipient)
    detail = asyncio.run(_outcome(settings, entry_id, canary.wait_s))
    state, reason = str(detail.entry.state), str(detail.entry.reason)
    posted = [attempt.message_id for attempt in detail.attempts if attempt.message_id]
    told: dict[str, Any] = {"entry": entry_id, "ticket": ticket, "state": state, "reason": reason, "posted": posted}
    typer.echo(json.dumps(told) if as_json else f"{entry_id}: {state}, {reason} {' '.join(posted)}".rstrip())
    return 0 if state == "delivered" else 1


def _mail(sender: str, recipient: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, "Test of the ticket bridge"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{time.time_ns()}.test@{recipient.rpartition('@')[2]}>"
    mail.set_content(f"This is a test of the ticket bridge, sent {formatdate()}. Nothing has to be done.\n")
    return mail.as_bytes()


def _send(settings: Settings, mail: bytes, sender: str, recipient: str) -> str:
    try:
        with _client(settings) as client:
            if settings.tls_required:
                context = ssl.create_default_context(cafile=settings.tls_cert_file)
                context.check_hostname = False
                client.starttls(context=context)
            client.ehlo_or_helo_if_needed()
            client.mail(sender)
            code, text = client.rcpt(recipient)
            if code == 250:
                code, text = client.data(mail)
    except (OSError, smtplib.SMTPException) as error:
        _not_taken(f"the bridge does not take mail at {settings.listen[0]}: {error}")
    queued = _QUEUED.search(text)
    if code != 250 or queued is None:
        _not_taken(f"the bridge did not take the mail: {code} {text.decode('ascii', 'replace')}")
    return queued[1].decode()


def _not_taken(what: str) -> NoReturn:
    typer.echo(f"ticket-bridge: {what}", err=True)
    raise typer.Exit(1)


def _client(settings: Settings) -> smtplib.SMTP:
    scheme, mark, rest = settings.listen[0].partition("://")
    if not mark:
        scheme, rest = "smtp", scheme
    if scheme.endswith("+unix"):
        return smtplib.LMTP(rest, timeout=30)
    host, _, port = rest.rpartition(":")
    host = _CONNECT.get(host.strip("[]"), host.strip("[]"))
    kind = smtplib.LMTP if scheme == "lmtp" else smtplib.SMTP
    return kind(host, int(port), local_hostname=socket.gethostname(), timeout=30)


async def _outcome(settings: Settings, entry_id: str, wait_s: float) -> Detail:
    """The entry once it is settled, or as it is after ``wait_s``."""
    from bridge import composition
    from bridge.ops.status import WAITING

    spool = await composition.open_spool(settings, exclusive=False)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            detail = await spool.detail(entry_id)
            if detail.entry.state not in WAITING or time.monotonic() > deadline:
                return detail
            await asyncio.sleep(0.2)
    finally:
        await spool.close()
