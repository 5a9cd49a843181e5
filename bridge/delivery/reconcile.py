"""Was it posted? Looking at a ticket for a message whose outcome is unknown (design §6). Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

WINDOW_S = 300.0
"""How far from the attempt a message may have been stamped."""


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


def message_on(
    ticket: Mapping[str, Any], text: str, *, encrypted: bool, since: float, until: float, confirmed: frozenset[str]
) -> Look:
    """Whether ``text`` stands on the ticket as a message that no other entry has confirmed as its own.

    Candidates are the customer's messages stamped within ``WINDOW_S`` of the attempt, or without a stamp. An equal body
    is ours; a candidate whose body the API withholds, with the same ``encrypted``, cannot be decided.
    """
    withheld = False
    for item in _dicts(ticket.get("messages")):
        message_id = str(item.get("id") or "")
        if message_id in confirmed or item.get("sender") not in ("customer", None):
            continue
        if not _in_window(item.get("sentAt"), since, until):
            continue
        body = item.get("body")
        if isinstance(body, str) and normal(body) == normal(text):
            return Look(Found.OURS, message_id)
        withheld = withheld or (body is None and bool(item.get("encrypted")) is encrypted)
    return Look(Found.UNDECIDABLE if withheld else Found.ABSENT)


def tickets_like(listing: Mapping[str, Any], subject: str, *, since: float, until: float) -> tuple[str, ...]:
    """Ids of the tickets with this subject that were made within ``WINDOW_S`` of the attempt."""
    return tuple(
        str(item.get("id"))
        for item in _dicts(listing.get("data"))
        if normal(str(item.get("subject") or "")) == normal(subject) and _in_window(item.get("createdAt"), since, until)
    )


def normal(text: str) -> str:
    """Text as it compares: NFC, one kind of line end, no blanks at line ends or around."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def _dicts(value: object) -> Iterable[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _in_window(stamp: object, since: float, until: float) -> bool:
    if not isinstance(stamp, str):
        return True
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return True
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return since - WINDOW_S <= seconds <= until + WINDOW_S
