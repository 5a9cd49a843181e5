"""``explain``: the very same reading and deciding as the running bridge, on files, without network or spool."""

from __future__ import annotations

import mailbox
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.utils import getaddresses
from pathlib import Path

from bridge import pipeline
from bridge.errors import ConfigurationError, UnreadableMail
from bridge.intake import received
from bridge.isolation import Isolation
from bridge.model import Context, Decision, Envelope, InboundMail
from bridge.reference import AddressKeys


@dataclass(frozen=True, slots=True)
class Assumed:
    """The envelope that the operator gave; what is empty is taken from each mail's own fields."""

    recipient: str = ""
    mail_from: str | None = None
    client_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ours:
    """What the bridge takes mail for. Without configured domains every domain and mailbox is ours."""

    domains: frozenset[str]
    mailboxes: frozenset[str]
    keys: AddressKeys
    signed: str
    hostname: str
    """What our own ``Received`` names us: mail without one gets it, as it would on its way in."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One mail's answer: its decision, or the defect that made it unreadable."""

    file: str
    envelope: Envelope
    decision: Decision | None
    defect: str = ""


def messages(paths: list[str]) -> Iterator[tuple[str, bytes]]:
    """(label, raw bytes) of every mail in files, mboxes, Maildirs and ``-``.

    Raises ``ConfigurationError`` naming what cannot be read.
    """
    for name in paths or ["-"]:
        if name == "-":
            yield "-", sys.stdin.buffer.read()
            continue
        path = Path(name)
        try:
            yield from _of(path)
        except (OSError, mailbox.Error) as error:
            raise ConfigurationError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def _of(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        if not (path / "cur").is_dir():
            raise ConfigurationError(f"{path}: a directory, but no Maildir (it has no cur/)")
        for child in sorted((*path.glob("new/*"), *path.glob("cur/*"))):
            yield str(child), child.read_bytes()
        return
    with path.open("rb") as file:
        is_mbox = file.read(5) == b"From "
    if not is_mbox:
        yield str(path), path.read_bytes()
        return
    with closing(mailbox.mbox(path, create=False)) as box:
        for number, key in enumerate(box.keys(), 1):
            yield f"{path}#{number}", box.get_bytes(key)


async def explain(
    raw: bytes, label: str, *, isolation: Isolation, policy: pipeline.Policy, ours: Ours, assumed: Assumed
) -> Explained:
    """Read and decide one mail with an empty context."""
    envelope = Envelope(mail_from=assumed.mail_from or "", recipient=assumed.recipient, client_ip=assumed.client_ip)
    try:
        mail = await isolation.read(_as_received(raw, ours.hostname, assumed.client_ip))
        envelope = _envelope(mail, ours, assumed)
        addressed = _addressed(envelope, ours)
        decision = await isolation.decide(mail, envelope, addressed, policy, Context(empty=True))
    except UnreadableMail as error:
        return Explained(label, envelope, None, error.defect)
    return Explained(label, envelope, decision)


def _as_received(raw: bytes, hostname: str, client_ip: str) -> bytes:
    """The mail as the spool would have it. Which Authentication-Results count depends on our own trace field."""
    first = re.match(rb"Received:[^\n]*\n(?:[ \t][^\n]*\n)*", raw[:2000])
    if first and f"by {hostname} with ".encode() in first[0]:
        return raw
    return (
        received.field(helo="explain", client_ip=client_ip, hostname=hostname, protocol="ESMTP", transaction="0", at=0)
        + raw
    )


def _envelope(mail: InboundMail, ours: Ours, assumed: Assumed) -> Envelope:
    return Envelope(
        mail_from=_mail_from(mail) if assumed.mail_from is None else assumed.mail_from,
        recipient=assumed.recipient or _recipient(mail, ours),
        client_ip=assumed.client_ip,
    )


def _mail_from(mail: InboundMail) -> str:
    path = mail.values("return-path")
    if path:
        return getaddresses([path[0][:1000]])[0][1]
    return mail.from_[0].address if mail.from_ else ""


def _recipient(mail: InboundMail, ours: Ours) -> str:
    """The first address of ours that the mail names, one with a ticket before one without."""
    fields = [value[:4000] for name in ("delivered-to", "x-original-to", "envelope-to") for value in mail.values(name)]
    named = [address for _, address in getaddresses(fields) if address]
    named += [item.address for item in (*mail.to, *mail.cc)]
    matches = [(address, _addressed(Envelope("", address), ours).match) for address in named if "@" in address]
    known = [(address, match) for address, match in matches if match.ours]
    for address, match in known:
        if match.reference:
            return address
    return known[0][0] if known else (matches[0][0] if matches else "support@localhost")


def _addressed(envelope: Envelope, ours: Ours) -> pipeline.Addressed:
    local, _, domain = envelope.recipient.rpartition("@")
    return pipeline.address(
        envelope,
        domains=ours.domains or frozenset({domain.lower()}),
        mailboxes=ours.mailboxes if ours.domains else frozenset({local.partition("+")[0].lower()}),
        keys=ours.keys,
        signed=ours.signed,
    )


async def explain_all(
    paths: list[str], *, policy: pipeline.Policy, ours: Ours, assumed: Assumed
) -> AsyncIterator[Explained]:
    """Every mail of ``paths``, one after another, in one worker process."""
    isolation = Isolation(1)
    for label, raw in messages(paths):
        yield await explain(raw, label, isolation=isolation, policy=policy, ours=ours, assumed=assumed)
