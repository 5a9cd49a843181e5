"""Attachments: uploaded one by one right before the message, resumable, and named in it when they could not be (§6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.delivery.outcome import Outcome
from bridge.message import describe
from bridge.model import Attachment
from bridge.spool.api import Attempt, Kind

MAX_TRIES = 2
"""An upload of unknown outcome is repeated once, then named."""
_WHY = {
    Outcome.REFUSED: "the ticket system refused it",
    Outcome.MAYBE_CLOSED: "the ticket system refused it",
    Outcome.TOO_LARGE: "it is too large for the ticket system",
    Outcome.UNKNOWN: "the upload failed",
    "too_large": "it is larger than allowed",
    "too_many": "there are more than allowed",
    "no_ticket": "a new ticket takes none",
    "missing": "it could not be read",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is uploaded at most; more is named."""

    max_bytes: int
    max_count: int


def todo(attachments: Sequence[Attachment], attempts: Sequence[Attempt], limits: Limits) -> list[Attachment]:
    """The attachments that still have to be uploaded, in order."""
    return [
        item
        for number, item in enumerate(attachments)
        if not _over(number, item, limits) and not _settled(item, attempts)
    ]


def failures(
    attachments: Sequence[Attachment], attempts: Sequence[Attempt], limits: Limits, *, new_ticket: bool = False
) -> tuple[str, ...]:
    """A line for each attachment that is not on the ticket and will not be."""
    lines = []
    for number, item in enumerate(attachments):
        why = "no_ticket" if new_ticket else _over(number, item, limits) or _failed(item, attempts)
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
    return "too_large" if item.size > limits.max_bytes else ""


def _of(item: Attachment, attempts: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.kind is Kind.UPLOAD and attempt.fingerprint == item.digest]


def _settled(item: Attachment, attempts: Sequence[Attempt]) -> bool:
    tries = _of(item, attempts)
    return any(attempt.outcome == Outcome.DELIVERED for attempt in tries) or bool(_failed(item, attempts))


def _failed(item: Attachment, attempts: Sequence[Attempt]) -> str:
    """Why it will not be uploaded, or empty. An open attempt is one of unknown outcome."""
    tries = _of(item, attempts)
    if any(attempt.outcome == Outcome.DELIVERED for attempt in tries):
        return ""
    final = [
        a.outcome for a in tries if a.outcome in (Outcome.REFUSED, Outcome.MAYBE_CLOSED, Outcome.TOO_LARGE, "missing")
    ]
    if final:
        return final[-1]
    unknown = [attempt for attempt in tries if attempt.outcome in ("", Outcome.UNKNOWN)]
    return Outcome.UNKNOWN if len(unknown) >= MAX_TRIES else ""
