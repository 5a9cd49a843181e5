"""What a rule is: where it looks, what it looks for, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import re2

from bridge.sensitivity.validators import Validator

TIERS = ("certain", "probable")
SCOPES = ("subject", "body", "attachment", "attachment_name", "header", "protection")
DEFAULT_SCOPES = frozenset({"subject", "body", "attachment"})
COULD_NOT_SCAN = "could_not_scan"

_CANDIDATES = 5_000
"""Candidates that one rule looks at in one text. More is no letter: the text counts as one that cannot be scanned."""
_AROUND, _UNLESS_AFTER = 80, 40
"""How far ``near`` looks on both sides of a candidate, and ``unless`` behind it, in characters."""


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

    @property
    def gate(self) -> str:
        """An RE2 expression that matches every text in which anything is found."""

    def find(self, text: str) -> Iterator[Hit]:
        """Where it matches, in the order of the text."""


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
    word: bool = False
    """The candidate is all that stands between white space, quotes and punctuation."""

    @property
    def gate(self) -> str:
        """The pattern, or what must stand near it when that says more."""
        return str(self.pattern.pattern if self.near is None else self.near.pattern)

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
        if self.word and not _is_word(text, start, end):
            return False
        if self.validator is not None and not self.validator(text[start:end]):
            return False
        begin = max(0, start - _AROUND)
        if self.near is not None and not self.near.search(text[begin : end + _AROUND]):
            return False
        return self.unless is None or not self.unless.search(text[begin : end + _UNLESS_AFTER])


def stands_alone(text: str, start: int, end: int) -> bool:
    """True when no letter or digit (Unicode's) adjoins ``text[start:end]``."""
    return not (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) and not (
        end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    )


_IN_FRONT = frozenset("([{\"'`„“”«»‘’,:;=>*_–—|")
_BEHIND = frozenset(")]}\"'`“”«»’‘,:;.!?<*_–—|")


def _is_word(text: str, start: int, end: int) -> bool:
    before, behind = text[start - 1 : start] if start else "", text[end : end + 1]
    return (not before or before.isspace() or before in _IN_FRONT) and (
        not behind or behind.isspace() or behind in _BEHIND
    )


class _Gates:
    """Every rule's gate in one RE2 set: one pass over a text tells which rules may match it.

    A set that runs out of memory matches nothing. The empty expression, which matches every text, tells that from a
    text that no gate matches; then, and where the set cannot be compiled, every rule is a candidate.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = _MEMORY
        self._rules = rules
        self._set: Any = re2.Set.SearchSet(options)
        try:
            for rule in rules:
                self._set.Add(rule.matcher.gate)
            self._sentinel = self._set.Add("")
            self._set.Compile()
        except re2.error:  # each alone is small enough, together they are not
            self._set = None

    def open(self, text: str) -> Iterator[Rule]:
        """The rules that may match, in the order of the files."""
        found = self._set.Match(text.encode()) if self._set is not None else None
        if found is None or self._sentinel not in found:
            yield from self._rules
            return
        for index in sorted(found):
            if index != self._sentinel:
                yield self._rules[index]


_MEMORY = 64 << 20
"""Bytes that the automaton of all gates may take, at most."""


@dataclass(frozen=True)
class Rules:
    """Every rule that is known, in the order of the files, those that are off included."""

    known: tuple[Rule, ...]

    @cached_property
    def _gates(self) -> dict[str, _Gates]:
        return {scope: _Gates(tuple(self._in_force(scope))) for scope in SCOPES}

    def _in_force(self, scope: str) -> Iterator[Rule]:
        return (rule for rule in self.known if rule.enabled and scope in rule.scopes)

    def candidates(self, scope: str, text: str) -> Iterator[Rule]:
        """The rules in force that look at ``scope`` and may match ``text``."""
        return self._gates[scope].open(text)
