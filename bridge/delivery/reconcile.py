"""Was it posted? Looking at a ticket for a message whose outcome is unknown (design §6). Pure."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

MARGIN_S = 300.0
"""How far from the attempt a message may have been stamped: clocks differ."""
DOUBT_S = 2 * 86_400.0
"""How far from the attempt an equal message still is in doubt: a clock may have been wrong by days, and set since."""
ABSENT = "absent_"
"""The outcome of an attempt that was looked for in vain, before the number of looks."""


class Found(StrEnum):
    """What looking showed."""

    OURS = "ours"
    ABSENT = "absent"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class Look:
    """What looking showed, and the id of what was found."""

    found: Found
    id: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """When the attempt may have been applied: from its intent to the end of its deadline, seconds."""

    since: float
    until: float

    def holds(self, stamp: object, margin_s: float = MARGIN_S) -> bool:
        """True for a time within the window and its margin; also for none, and for one that cannot be read."""
        at = _seconds(stamp)
        return at is None or self.since - margin_s <= at <= self.until + margin_s


def looks_done(outcome: str) -> int:
    """How often an attempt was looked for in vain, by its outcome."""
    number = outcome.removeprefix(ABSENT)
    return int(number) if outcome.startswith(ABSENT) and number.isdigit() else 0


def message_on(
    ticket: Mapping[str, Any], text: str, *, encrypted: bool, window: Window, confirmed: frozenset[str]
) -> Look:
    """Whether ``text`` stands on the ticket as a message that no other entry has confirmed as its own.

    Candidates are the customer's messages stamped in the window, or without a stamp. An equal body is ours. What
    cannot be decided: a candidate whose body the API withholds, with the same ``encrypted``; one that may be ours as a
    server keeps it that shortens, escapes or re-spaces; an equal body within days of the window.
    """
    doubtful = False
    for item in _dicts(ticket.get("messages")):
        message_id = str(item.get("id") or "")
        if message_id in confirmed or item.get("sender") not in ("customer", None):
            continue
        body = item.get("body")
        equal = isinstance(body, str) and normal(body) == normal(text)
        if not window.holds(item.get("sentAt")):
            doubtful = doubtful or (equal and window.holds(item.get("sentAt"), DOUBT_S))
            continue
        if equal:
            return Look(Found.OURS, message_id)
        same_kind = bool(item.get("encrypted")) is encrypted
        doubtful = doubtful or (same_kind and (not isinstance(body, str) or _resembles(body, text)))
    return Look(Found.UNDECIDABLE if doubtful else Found.ABSENT)


def tickets_like(listing: Mapping[str, Any], subject: str, window: Window) -> tuple[str, ...]:
    """Ids of the tickets with this subject that were made in the window."""
    return tuple(
        str(item.get("id"))
        for item in _dicts(listing.get("data"))
        if _resembles(str(item.get("subject") or ""), subject) and window.holds(item.get("createdAt"))
    )


def ended_before(listing: Mapping[str, Any], window: Window) -> bool:
    """True when a page of the list, which is newest first, holds nothing that was made or moved since the window."""
    stamps = [
        _seconds(item.get(name)) for item in _dicts(listing.get("data")) for name in ("createdAt", "lastMessageAt")
    ]
    known = [at for at in stamps if at is not None]
    return bool(known) and max(known) < window.since - MARGIN_S


def normal(text: str) -> str:
    """Text as it compares: NFC, one kind of line end, no blanks at line ends or around."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def _resembles(kept: str, text: str) -> bool:
    """True when ``kept`` may be what a server made of ``text``: other blanks, HTML escapes, less of its end."""
    mine, theirs = _squeezed(text), _squeezed(kept)
    return mine.startswith(theirs) if theirs else not mine


def _squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", html.unescape(text)).split())


def _dicts(value: object) -> Iterable[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _seconds(stamp: object) -> float | None:
    """A time of the API as seconds since the epoch, or None."""
    if not isinstance(stamp, str):
        return None
    try:
        at = datetime.fromisoformat(stamp)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
