"""Ticket references in subjects and Message-IDs."""

from __future__ import annotations

import re

from bridge.model import Reference

PUBLIC_ID = r"tkt_[0-7][0-9a-hjkmnp-tv-z]{25}"
"""A ticket's public id: ``tkt_`` and a ULID in lower case (API contract, section 1)."""
NUMBER = r"[1-9][0-9]{0,17}"
"""A ticket's number."""
SUBJECT_LIMIT = 10_000
"""Characters of a subject that are searched."""

_PUBLIC_ID = re.compile(PUBLIC_ID)
_IN_SUBJECT = re.compile(rf"\[#?({PUBLIC_ID})\]|\[#({NUMBER})\]")
_IN_MESSAGE_ID = re.compile(rf"(?:^|\.)({PUBLIC_ID})(?:\.[a-z][a-z2-7]{{16}})?@([^@]+)$")


def is_public_id(text: str) -> bool:
    """True for a whole public id, lower case."""
    return _PUBLIC_ID.fullmatch(text) is not None


def subject_references(subject: str) -> tuple[Reference, ...]:
    """The distinct tickets that a decoded subject names in brackets: ``[#149943]``, ``[tkt_…]``."""
    found: dict[str, Reference] = {}
    for match in _IN_SUBJECT.finditer(subject[:SUBJECT_LIMIT].lower()):
        public, number = match[1], match[2]
        ticket = public or number
        found.setdefault(ticket, Reference(ticket, "subject", unguessable=bool(public)))
    return tuple(found.values())


def thread_tickets(message_ids: tuple[str, ...], domains: frozenset[str]) -> tuple[str, ...]:
    """The distinct tickets in Message-IDs that our notifications carry: ``<….tkt_…@our.domain>``."""
    found: dict[str, None] = {}
    for message_id in message_ids[:100]:
        match = _IN_MESSAGE_ID.search(message_id[:998].lower())
        if match and match[2] in domains:
            found[match[1]] = None
    return tuple(found)
