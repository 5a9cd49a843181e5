"""Mails out of the spool into a Maildir, whatever store it is: for another system to read, or to leave by.

A mail gets its envelope on top, as a final delivery does (``Return-Path`` of RFC 5321 §4.4, and ``Delivered-To``);
below stand the bytes as received. A file is synced under ``tmp`` before it appears under ``new``, and one that is there
already is left alone, so that an export that was cut short is simply run again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import SpoolBroken, UnknownEntry
from bridge.spool.api import Audit, Entry, Filter, Spool, State

PAGE = 200


@dataclass(frozen=True, slots=True)
class Exported:
    """How many mails were written, were there already, and have no body any more; what could not be read."""

    written: int
    present: int
    erased: int
    faults: tuple[str, ...]


async def export(
    spool: Spool, maildir: Path, states: tuple[State, ...], audit: Audit, progress: Callable[[int], None]
) -> Exported:
    """Write every mail in one of ``states`` (any, when empty), and note it in each one's audit. Raises ``OSError``."""
    for folder in ("tmp", "new", "cur"):
        (maildir / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    written = present = erased = after = 0
    faults: list[str] = []
    while page := await spool.list(Filter(states=states, after_seq=after, limit=PAGE)):
        for entry in page:
            after = entry.seq
            if entry.erased:
                erased += 1
            elif (maildir / "new" / _name(entry)).exists():
                present += 1
            else:
                try:
                    raw = await spool.raw(entry.id)
                except (SpoolBroken, UnknownEntry) as error:
                    faults.append(f"{entry.id}: {error}")
                    continue
                await asyncio.to_thread(_write, maildir, _name(entry), _envelope(entry) + raw)
                await spool.note(entry.id, audit)
                written += 1
        progress(written + present)
    return Exported(written, present, erased, tuple(faults))


def _name(entry: Entry) -> str:
    """Of a Maildir file: time, something unique, something of ours."""
    return f"{int(entry.accepted_at)}.{entry.id}.ticket-bridge"


def _envelope(entry: Entry) -> bytes:
    envelope = entry.envelope
    return f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {envelope.recipient}\r\n".encode()


def _write(maildir: Path, name: str, content: bytes) -> None:
    draft = maildir / "tmp" / name
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(maildir / "new" / name)
