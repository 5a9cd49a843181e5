"""What a rule is: where it looks, what it looks for, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.sensitivity.validators import Validator

TIERS = ("certain", "probable")
SCOPES = ("subject", "body", "attachment", "attachment_name", "header", "protection")
DEFAULT_SCOPES = frozenset({"subject", "body", "attachment"})
COULD_NOT_SCAN = "could_not_scan"

_CANDIDATES = 5_000
"""Candidates that one rule looks at in one text. More is no letter: the text counts as one that cannot be scanned."""
_BEFORE, _AFTER = 80, 40
"""How far ``near`` and ``unless`` look around a candidate, in characters."""


class TooMuch(Exception):
    """More candidates than a rule looks at."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule matched, in characters of folded text, and how sure it is there."""

    start: int
    end: int
    tier: str


class Matcher(Protocol):
    """What finds a rule's candidates in folded text."""

    def find(self, text: str) -> Iterator[Hit]: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a rule file (docs/sensitivity.md)."""

    id: str
    tier: str
    """The highest tier that its findings have."""
    matcher: Matcher
    scopes: frozenset[str] = DEFAULT_SCOPES
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()
    enabled: bool = True
    origin: str = ""
    """File and line, for messages."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Every rule that is known, in the order of the files, those that are off included."""

    known: tuple[Rule, ...]

    def of(self, scope: str) -> tuple[Rule, ...]:
        """The rules in force that look at ``scope``."""
        return tuple(rule for rule in self.known if rule.enabled and scope in rule.scopes)


@dataclass(frozen=True, slots=True)
class PatternMatcher:
    """An RE2 pattern, and what must be true of what it found.

    The candidate is the group ``secret``, or else the first group, or else the whole match. Unless ``part`` is set it
    must be no part of a longer word, by Unicode's letters and digits (RE2's own ``\\b`` knows only ASCII's).
    """

    pattern: Any
    tier: str
    validator: Validator | None = None
    near: Any = None
    unless: Any = None
    part: bool = False
    group: int = 0

    def find(self, text: str) -> Iterator[Hit]:
        """Every candidate that holds; linear in the text."""
        for count, found in enumerate(self.pattern.finditer(text)):
            if count >= _CANDIDATES:
                raise TooMuch
            start, end = found.span(self.group)
            if start >= 0 and self._holds(text, start, end):
                yield Hit(start, end, self.tier)

    def _holds(self, text: str, start: int, end: int) -> bool:
        if not self.part and not stands_alone(text, start, end):
            return False
        around = text[max(0, start - _BEFORE) : end + _AFTER]
        if self.near is not None and not self.near.search(around):
            return False
        if self.unless is not None and self.unless.search(around):
            return False
        return self.validator is None or self.validator(text[start:end])


def stands_alone(text: str, start: int, end: int) -> bool:
    """True when no letter or digit (Unicode's) adjoins ``text[start:end]``."""
    return not (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) and not (
        end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    )
