"""Who may be written to: the answer to RCPT, as a pure function of the address (design §4 and §8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.intake import replies
from bridge.model import Reference


class AddressMatch(Protocol):
    """What ``bridge.reference`` finds in an envelope recipient."""

    @property
    def ours(self) -> bool:
        """Mailbox and domain are ours."""

    @property
    def reference(self) -> Reference | None:
        """The ticket that the address names."""

    @property
    def refused(self) -> bool:
        """Not ours, malformed, or wrongly signed while signatures are enforced."""


Match = Callable[[str], AddressMatch]


@dataclass(frozen=True, slots=True)
class RcptDecision:
    """Whether a recipient is taken, what the client is told, and the lane when the address makes it certain."""

    accept: bool
    reply: str
    hint: str = ""


def rcpt(recipient: str, match: Match, domains: frozenset[str]) -> RcptDecision:
    """Decide about one forward-path (without angle brackets).

    ``postmaster``, alone or at one of our ``domains``, is always accepted (RFC 5321 §4.5.1). Every refusal is worded
    alike, so that nobody learns from it which ticket or which signature was nearly right.
    """
    local, _, domain = recipient.lower().rpartition("@")
    if (local or domain) == "postmaster" and (not local or domain in domains):
        return RcptDecision(accept=True, reply=replies.RECIPIENT_OK)
    found = match(recipient)
    if not found.ours or found.refused:
        return RcptDecision(accept=False, reply=replies.NO_MAILBOX)
    reference = found.reference
    certain = reference is not None and not reference.is_number
    return RcptDecision(accept=True, reply=replies.RECIPIENT_OK, hint=reference.ticket if reference and certain else "")
