"""Who may write on a ticket, and how often (design §8)."""

from __future__ import annotations

from bridge.model import Authentication, Reference
from bridge.reasons import Reason

TOO_MANY = 20
"""Mails from one sender to one ticket in 10 minutes; one more is held."""
TOO_OFTEN_EQUAL = 5
"""Equal mails from one sender to one ticket in an hour: the fifth is held."""


def authorise(
    reference: Reference,
    authentication: Authentication,
    *,
    number_policy: str,
    known_sender: bool,
    allow_listed: bool,
) -> Reason | None:
    """Why the sender may not write on the ticket, or None when they may.

    A full id or a signed address authorises by itself. For anything guessable ``number_policy`` decides: ``accept``,
    ``authenticated`` or ``known``.
    """
    if reference.unguessable or number_policy == "accept":
        return None
    if authentication.result != "pass":
        return Reason.SENDER_NOT_AUTHENTICATED
    if number_policy == "authenticated" or known_sender or allow_listed:
        return None
    return Reason.SENDER_NOT_KNOWN


def back_stop(recent: int, equal: int) -> Reason | None:
    """Why a mail is one too many, given how many others there are (``Context``), or None."""
    if recent >= TOO_MANY:
        return Reason.TOO_MANY
    return Reason.REPEATED if equal >= TOO_OFTEN_EQUAL - 1 else None
