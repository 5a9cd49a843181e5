"""Identifiers and times as the ticket API writes them.

Public ids are a prefix and a ULID in lower case: 48 bits of milliseconds and 80 random bits, written as 26 characters
of Crockford's base-32 alphabet (no ``i``, ``l``, ``o``, ``u``). They sort in the order in which they were made.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_PUBLIC_TICKET_ID = re.compile(r"tkt_[0-7][0-9a-hjkmnp-tv-z]{25}")
_TICKET_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def encode(value: int) -> str:
    """Write 128 bits as 26 base-32 characters."""
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


class IdSource:
    """Makes ids that strictly increase, also within one millisecond and when the clock steps back."""

    def __init__(self) -> None:
        """Start with nothing made."""
        self._last = 0

    def new(self, prefix: str) -> str:
        """``prefix`` without its underscore: ``tkt``, ``tmsg``, ``tatt``, ``satt``, ``req``, ``flt``."""
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        # Within the same millisecond a ULID counts up from the last one; the random start leaves room for it.
        same_millisecond = fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
        self._last = self._last + 1 if same_millisecond else fresh
        return f"{prefix}_{encode(self._last)}"


def is_public_ticket_id(text: str) -> bool:
    """True for ``tkt_`` and a lower-case ULID (API contract, section 1)."""
    return _PUBLIC_TICKET_ID.fullmatch(text) is not None


def is_ticket_number(text: str) -> bool:
    """True for a purely numeric ticket number, which paths accept "during migration" (API contract, section 1)."""
    return _TICKET_NUMBER.fullmatch(text) is not None


def iso(epoch_s: float) -> str:
    """A time as the API writes it: ISO 8601, UTC, milliseconds, ``Z``."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
