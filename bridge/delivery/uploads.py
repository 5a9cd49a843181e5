"""Which attachments are still to be uploaded, and what the message says of those that are not (design §6). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.delivery.outcome import Outcome
from bridge.delivery.schedule import WAITS
from bridge.message import describe
from bridge.model import Attachment
from bridge.spool.api import Attempt, Kind

MAX_TRIES = 2
"""An upload of unknown outcome, or one that a closed ticket may explain, is repeated once, then named."""
MISSING = "missing"
"""The outcome of an attachment that is no longer found in its mail."""
_TWICE = frozenset({"", Outcome.UNKNOWN, Outcome.MAYBE_CLOSED})
_AGAIN = frozenset({*WAITS, Outcome.NOT_SENT})
"""Outcomes after which an upload is simply tried again, with its message."""
_CONFLICT = 409
_WHY = {
    Outcome.TOO_LARGE: "it is too large for the ticket system",
    Outcome.UNKNOWN: "the upload failed",
    "over_size": "it is larger than allowed",
    "too_many": "there are more than allowed",
    "no_ticket": "a new ticket takes none",
    MISSING: "it could not be read",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is uploaded at most; more is named."""

    max_bytes: int
    max_count: int


def stops(outcome: Outcome, *, pending: bool) -> bool:
    """True when the message has to wait: for the API, for the gate, or for a look at the ticket (``pending``)."""
    return outcome in _AGAIN or (outcome is Outcome.MAYBE_CLOSED and pending)


def on(ticket: str, attempts: Sequence[Attempt]) -> list[Attempt]:
    """The uploads for this ticket: those for another, before the mail was redirected, do not count."""
    return [attempt for attempt in attempts if attempt.kind is Kind.UPLOAD and attempt.ticket in ("", ticket)]


def todo(attachments: Sequence[Attachment], tries: Sequence[Attempt], limits: Limits) -> list[Attachment]:
    """The attachments that still have to be uploaded, in order."""
    return [
        item for number, item in enumerate(attachments) if not _over(number, item, limits) and not _settled(item, tries)
    ]


def failures(
    attachments: Sequence[Attachment], tries: Sequence[Attempt], limits: Limits, *, new_ticket: bool = False
) -> tuple[str, ...]:
    """A line for each attachment that is not on the ticket and will not be."""
    lines = []
    for number, item in enumerate(attachments):
        why = "no_ticket" if new_ticket else _over(number, item, limits) or _failed(item, tries)
        if why:
            said = _WHY.get(why, "the ticket system refused it")
            lines.append(f"[attachment {describe(item)} could not be added: {said}]")
    return tuple(lines)


def with_failures(message: str, lines: Sequence[str]) -> str:
    """The message, with what must be said of its attachments below it."""
    return "\n\n".join([message, "\n".join(lines)]) if lines else message


def _over(number: int, item: Attachment, limits: Limits) -> str:
    if number >= limits.max_count:
        return "too_many"
    return "over_size" if item.size > limits.max_bytes else ""


def _settled(item: Attachment, tries: Sequence[Attempt]) -> bool:
    return _uploaded(item, tries) or bool(_failed(item, tries))


def _uploaded(item: Attachment, tries: Sequence[Attempt]) -> bool:
    return any(attempt.fingerprint == item.digest and attempt.outcome == Outcome.DELIVERED for attempt in tries)


def _failed(item: Attachment, tries: Sequence[Attempt]) -> str:
    """Why it will not be uploaded, or empty. An open attempt is one of unknown outcome."""
    mine = [attempt for attempt in tries if attempt.fingerprint == item.digest]
    if _uploaded(item, mine):
        return ""
    final = [attempt.outcome for attempt in mine if not _repeatable(attempt)]
    if final:
        return final[-1]
    doubtful = [attempt.outcome for attempt in mine if attempt.outcome in _TWICE]
    return (doubtful[-1] or Outcome.UNKNOWN) if len(doubtful) >= MAX_TRIES else ""


def _repeatable(attempt: Attempt) -> bool:
    if attempt.outcome == Outcome.MAYBE_CLOSED:
        # ticket-api, section 5: a 400 is about the file.
        return attempt.status == _CONFLICT
    return attempt.outcome in _TWICE or attempt.outcome in _AGAIN
