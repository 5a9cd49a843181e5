"""Statements of a secret: a word that names one, what links it to a value, and a value that looks like one.

No list of phrases can hold what people write ("the password is now …", "ftp-lösenord (tillfälligt): …", "use … as
password", the value on the next line), so a statement is read word by word, from the keyword on and back from it: the
weaker the link and the longer the way, the more the value itself must look like a secret (``shape.grade``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.fold import fold
from bridge.sensitivity.reading import Token, tokens_after, tokens_before
from bridge.sensitivity.rules import Hit, TooMuch

VALUES = frozenset({"password", "code", "key"})
"""What a rule's keyword may name: ``password`` (chosen by people, perhaps a plain word), ``code`` (mostly digits:
PINs, one-time and transfer codes) and ``key`` (generated: tokens, API keys, pre-shared keys)."""

_KEYWORDS = 5_000
_NOTHING, _NEAR, _COPULA, _COLON = range(4)
"""How a value is linked to its keyword: stands somewhere behind it, right behind it, "is", and ``:`` or ``=``."""


@dataclass(frozen=True, slots=True)
class StatementMatcher:
    """Finds statements about any of some keywords; a ``*`` in front of or behind one stands for more of the word."""

    keywords: Any
    open_start: frozenset[str]
    open_end: frozenset[str]
    value: str
    tier: str

    @classmethod
    def of(cls, words: tuple[str, ...], value: str, tier: str) -> StatementMatcher:
        """Compile the keywords: one RE2 alternation, the longest first wherever two fit."""
        stems = {fold(word).strip("*").casefold(): word for word in words}
        options = re2.Options()
        options.case_sensitive = False
        options.longest_match = True
        options.log_errors = False
        pattern = "|".join(re2.escape(stem).replace(r"\ ", r"[ _\-]?") for stem in stems)
        return cls(
            re2.compile(pattern, options),
            frozenset(_key(stem) for stem, word in stems.items() if word.startswith("*")),
            frozenset(_key(stem) for stem, word in stems.items() if word.endswith("*")),
            value,
            tier,
        )

    def find(self, text: str) -> Iterator[Hit]:
        """Every statement, each once, as the span of its value."""
        for count, found in enumerate(self.keywords.finditer(text)):
            if count >= _KEYWORDS:
                raise TooMuch
            start, end = self._bounds(text, *found.span(), _key(found.group()))
            if start < 0:
                continue
            hit = self._after(text, end) or self._before(text, start)
            if hit is not None:
                yield hit

    def _bounds(self, text: str, start: int, end: int, key: str) -> tuple[int, int]:
        """The whole word that the stem stands in, or (-1, -1) when it may not be part of one."""
        if key in self.open_end:
            limit = min(len(text), end + 12)
            while end < limit and (text[end].isalpha() or text[end] == "_"):
                end += 1
        if end < len(text) and text[end].isalnum() and not text[end - 1].isdigit():
            limit = min(len(text), end + 3)
            while end < limit and text[end].isdigit():
                end += 1
        free = key in self.open_start
        if not free and start and text[start - 1].isalnum():
            return -1, -1
        if end < len(text) and text[end].isalnum():
            return -1, -1
        return start, end

    def _hit(self, token: Token, *, certain: bool) -> Hit:
        return Hit(token.start, token.end, "certain" if certain and self.tier == "certain" else "probable")

    def _after(self, text: str, end: int) -> Hit | None:
        """Read on from the keyword until a value, a word that forbids one, or the end of what may belong to it."""
        link, skipped, lines = _NEAR, 0, 0
        for token in tokens_after(text, end):
            if token.kind == "line":
                lines += 1
                if lines > (3 if link >= _COPULA else 1):
                    return None
            elif token.kind == "link":
                link = _COLON if token.text[0] not in "-–—" else max(link, _COPULA)
            elif self._is_value(token, link, skipped):
                return self._hit(token, certain=link >= _COPULA and shape.grade(token.text) >= shape.STRONG)
            elif (word := token.text.casefold()) in lexicon.FORBIDDING:
                return None
            elif word in lexicon.COPULAS:
                link = max(link, _COPULA)
            else:
                skipped += 1
                link = _NOTHING if link == _NEAR else link
                if skipped > _REACH or token.stop:
                    return None
        return None

    def _is_value(self, token: Token, link: int, skipped: int) -> bool:
        if token.kind == "quoted" and link >= _COPULA:
            return _plain(token.text) and len(token.text) >= 3
        if " " in token.text:
            return False
        grade = shape.grade(token.text, named=link == _COLON and not skipped)
        if grade >= shape.STRONG:
            return True
        if link == _NOTHING or skipped > 2:
            return False
        if grade == shape.WORD:
            return link == _COLON and not skipped and self.value == "password" and token.last and _plain(token.text)
        if grade == shape.NUMBER:
            return link >= _COPULA or self.value == "code"
        return grade == shape.MIXED and link >= _COPULA

    def _before(self, text: str, start: int) -> Hit | None:
        """Read back from the keyword: "X is the password", "use X as password"."""
        linked = False
        for token in tokens_before(text, start)[:6]:
            if token.kind == "line" or token.stop:
                return None
            if linked and shape.grade(token.text) >= shape.STRONG:
                return self._hit(token, certain=False)
            linked = linked or token.text.casefold() in lexicon.AS
        return None


def _plain(text: str) -> bool:
    """No placeholder, and not what is said about a secret ("wrong", "expired")."""
    return not shape.is_placeholder(text) and text.casefold() not in lexicon.STATES and "://" not in text


_REACH = 7
"""Words between a keyword and a value that nothing links to it, at most."""


def _key(stem: str) -> str:
    return stem.casefold().replace(" ", "").replace("_", "").replace("-", "")
