"""What is sent for an entry, and what tells it from anything else that was sent (design §5 and §6). Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bridge.delivery import uploads
from bridge.model import Decision
from bridge.spool.api import Claim, Kind

NEW = "new:"
"""How the lane of a ticket to be created begins."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, or one ticket to be opened."""

    kind: Kind
    ticket: str
    text: str
    encrypted: bool
    subject: str = ""
    cc: tuple[str, ...] = ()
    announces: bool = False
    """True when the words follow as a reply of their own: a new ticket's first message cannot be encrypted."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is sent, hex."""
        return fingerprint(self.text, encrypted=self.encrypted)


def outgoing(claim: Claim, decision: Decision, mode: str, limits: uploads.Limits) -> Outgoing:
    """What is sent for a claimed entry; ``mode`` is BRIDGE_ATTACHMENTS."""
    lane = claim.entry.lane
    if not lane.startswith(NEW):
        return Outgoing(Kind.POST, lane, _text(claim, decision, mode, limits), decision.encrypted)
    if decision.encrypted:
        # API contract, section 6: creating has no ``encrypted``. The id makes the announcement unmistakable.
        words = f"[A sensitive message follows as an encrypted reply. {claim.entry.id}]"
        return Outgoing(Kind.CREATE, lane, words, False, _subject(decision), decision.cc, announces=True)
    return Outgoing(Kind.CREATE, lane, _text(claim, decision, mode, limits), False, _subject(decision), decision.cc)


def _text(claim: Claim, decision: Decision, mode: str, limits: uploads.Limits) -> str:
    """The decided message, and lines for attachments that could not be added."""
    if mode != "upload":
        return decision.message
    lane = claim.entry.lane
    tries = uploads.on(lane, claim.attempts)
    lines = uploads.failures(decision.attachments, tries, limits, new_ticket=lane.startswith(NEW))
    return uploads.with_failures(decision.message, lines)


def _subject(decision: Decision) -> str:
    if decision.encrypted and any(finding.where == "subject" for finding in decision.findings):
        return "(sensitive subject)"
    return decision.subject.strip() or "(no subject)"


def fingerprint(text: str, *, encrypted: bool) -> str:
    """SHA-256 of a text and how it is sent, hex."""
    return hashlib.sha256(f"{int(encrypted)}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def lane_of_new(claim: Claim, decision: Decision) -> str:
    """The lane of a mail that opens a ticket: one for all copies of a mail, so that they do not open two at once."""
    named = decision.message_id or claim.entry.digest
    return NEW + hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:26]


def dedupe_key(claim: Claim, decision: Decision) -> str:
    """Ticket, Message-ID (or the raw mail's digest), and digests of the posted text and of the attachments (§5)."""
    named = decision.message_id or claim.entry.digest
    parts = [claim.entry.lane, named, fingerprint(decision.message, encrypted=False)]
    parts += sorted(item.digest for item in decision.attachments)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
