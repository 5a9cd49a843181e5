"""Decisions and envelopes as JSON, for the ledger; entry ids."""

from __future__ import annotations

import json
import secrets
from dataclasses import fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bridge.errors import SpoolBroken
from bridge.model import Decision, Envelope

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_RANDOM_BITS = 80
_DECISION = TypeAdapter(Decision)
_ENVELOPE = TypeAdapter(Envelope)
_MEMBERS = tuple(field.name for field in fields(Envelope))
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def clean(text: str) -> str:
    """``text`` with lone surrogates (bytes that were no text) and NUL made ``?``: no database holds them as text."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _dump(value: Any) -> bytes:
    return _JSON.encode(value).encode("utf-8", "replace")


def dump_decision(decision: Decision) -> bytes:
    """JSON without the attachments' texts, which were needed for scanning only."""
    lean = replace(decision, attachments=tuple(replace(item, text=None) for item in decision.attachments))
    return _dump(_DECISION.dump_python(lean))


def load_decision(data: bytes) -> Decision:
    """The decision that ``dump_decision`` wrote. Raises ``SpoolBroken`` for anything else."""
    try:
        return _DECISION.validate_json(data)
    except ValidationError:
        raise SpoolBroken("a decision in the spool cannot be read: verify the spool") from None


def without_words(data: bytes) -> bytes:
    """The decision of an erased entry: what it was is kept, what the customer said is not."""
    decision = load_decision(data)
    return dump_decision(
        replace(
            decision,
            message="",
            reply=None,
            subject="",
            attachments=tuple(replace(item, name="", content_id="") for item in decision.attachments),
            findings=tuple(replace(item, where=item.where.partition(" ")[0]) for item in decision.findings),
        )
    )


def dump_envelope(envelope: Envelope) -> str:
    """JSON. Not by ``asdict``, whose deep copies took a quarter of an acceptance."""
    return _dump({name: getattr(envelope, name) for name in _MEMBERS}).decode("utf-8")


def load_envelope(text: str) -> Envelope:
    """The envelope that ``dump_envelope`` wrote. Raises ``SpoolBroken`` for anything else."""
    try:
        return _ENVELOPE.validate_json(text)
    except ValidationError:
        raise SpoolBroken("an envelope in the spool cannot be read: verify the spool") from None


class Ids:
    """Entry ids: ULIDs in lower case that strictly increase."""

    def __init__(self, after: str = "") -> None:
        """``after`` is the newest id there is: every new one is greater, whatever the clock does."""
        self._last = 0
        for character in after:
            self._last = (self._last << 5) | _ALPHABET.index(character)

    def new(self, now: float) -> str:
        """An id for an entry accepted at ``now``."""
        fresh = (int(now * 1000) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        same = fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
        # Another bridge may go on from the same id: a step by chance, where one of 1 would meet its ids.
        self._last = self._last + 1 + secrets.randbits(_RANDOM_BITS - 20) if same else fresh
        return "".join([_PAIRS[(self._last >> shift) & 1023] for shift in range(120, -1, -10)])
