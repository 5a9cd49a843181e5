"""Rules that start from words: where a keyword stands, and what a reader makes of the text around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import re2

from bridge.sensitivity.fold import fold
from bridge.sensitivity.reading import Token
from bridge.sensitivity.rules import Hit, TooMuch

_KEYWORDS = 5_000
"""Keywords of one rule in one text at most. More is no letter: the text counts as one that cannot be scanned."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a reader found: its place, and whether everything about it says so."""

    token: Token
    certain: bool


_VALUE = re.compile(r'"[^"\s]{1,60}",\s*"\w+"\s*:')
"""A value in JSON, with the next member's name behind it."""

Reader = Callable[[str, int, int], Value | None]
"""Reads around a keyword: (folded text, the keyword's start, its end) to the value that is stated, if one is."""


@dataclass(frozen=True, slots=True)
class KeywordMatcher:
    """Finds what ``reader`` finds around any of some keywords.

    A ``*`` in front of or behind a keyword stands for more letters of the same word: inflections and compounds.
    """

    pattern: Any
    open_start: frozenset[str]
    open_end: frozenset[str]
    reader: Reader
    tier: str

    @classmethod
    def of(cls, words: tuple[str, ...], reader: Reader, tier: str) -> KeywordMatcher:
        """Compile the keywords into one RE2 alternation that prefers the longest."""
        stems = {fold(word).strip("*"): word for word in words}
        options = re2.Options()
        options.case_sensitive = False
        options.longest_match = True
        options.log_errors = False
        pattern = "|".join(r"[\s_\-]{0,2}".join(map(re2.escape, stem.replace("-", " ").split())) for stem in stems)
        return cls(
            re2.compile(pattern, options),
            frozenset(_key(stem) for stem, word in stems.items() if word.startswith("*")),
            frozenset(_key(stem) for stem, word in stems.items() if word.endswith("*")),
            reader,
            tier,
        )

    @property
    def gate(self) -> str:
        """Any of the keywords."""
        return f"(?i:{self.pattern.pattern})"

    def find(self, text: str) -> Iterator[Hit]:
        """Every value, as the span of its text."""
        for count, found in enumerate(self.pattern.finditer(text)):
            if count >= _KEYWORDS:
                raise TooMuch
            start, end = found.span()
            key = _key(text[start:end])
            end = _word_end(text, end, inflected=key in self.open_end)
            if end < 0 or not self._begins(text, start, key) or text[end : end + 1] == "@":
                continue
            value = self.reader(text, start, end)
            if value is not None:
                sure = value.certain and self.tier == "certain"
                yield Hit(value.token.start, value.token.end, "certain" if sure else "probable")

    def _begins(self, text: str, start: int, key: str) -> bool:
        """The keyword begins a word, or may stand inside one, and is not itself a value (``dkim=pass``)."""
        before = text[start - 1] if start else " "
        quote = text.rfind('"', max(0, start - 20), start)
        if quote >= 0 and _VALUE.match(text, quote):
            return False
        return before != "=" and (not before.isalnum() or key in self.open_start)


def _word_end(text: str, end: int, *, inflected: bool) -> int:
    """Where the word ends that has a stem up to ``end``; -1 when the stem may not be continued as it is.

    Digits may number a keyword (``password2``, ``pass1``).
    """
    limit = min(len(text), end + 14)
    if inflected:
        while end < limit and (text[end].isalpha() or (text[end] in "_-" and text[end + 1 : end + 2].isalpha())):
            end += 1
    if end < limit and text[end].isdigit() and not text[end - 1].isdigit():
        while end < limit and text[end].isdigit():
            end += 1
    return -1 if end < len(text) and text[end].isalnum() else end


def _key(stem: str) -> str:
    return "".join(character for character in stem.casefold() if not character.isspace() and character not in "_-")
