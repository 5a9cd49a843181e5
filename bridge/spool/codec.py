"""Decisions and envelopes as JSON, for the ledger; entry ids."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, replace

from pydantic import TypeAdapter

from bridge.model import Decision, Envelope

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_DECISION = TypeAdapter(Decision)
_ENVELOPE = TypeAdapter(Envelope)


def dump_decision(decision: Decision) -> bytes:
    """JSON without the attachments' texts, which were needed for scanning only."""
    lean = replace(decision, attachments=tuple(replace(item, text=None) for item in decision.attachments))
    return json.dumps(asdict(lean), separators=(",", ":")).encode("ascii")


def load_decision(data: bytes) -> Decision:
    """The decision that ``dump_decision`` wrote."""
    return _DECISION.validate_python(json.loads(data), strict=False)


def without_words(data: bytes) -> bytes:
    """The decision of an erased entry: what it was is kept, what the customer said is not."""
    decision = load_decision(data)
    return dump_decision(replace(decision, message="", reply=None, subject=""))


def dump_envelope(envelope: Envelope) -> str:
    """JSON."""
    return json.dumps(asdict(envelope), separators=(",", ":"))


def load_envelope(text: str) -> Envelope:
    """The envelope that ``dump_envelope`` wrote."""
    return _ENVELOPE.validate_python(json.loads(text))


class Ids:
    """Entry ids: ULIDs in lower case that strictly increase."""

    def __init__(self) -> None:
        """Start with nothing made."""
        self._last = 0

    def new(self, now: float) -> str:
        """An id for an entry accepted at ``now``."""
        fresh = (int(now * 1000) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        same = fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
        self._last = self._last + 1 if same else fresh
        return "".join(_ALPHABET[(self._last >> shift) & 31] for shift in range(125, -1, -5))
