"""Comparing a mail with the messages that it may quote: the surest evidence there is.

Clients wrap, indent and re-space what they quote, so words are compared, not lines: a line is known when every run of
four words in it stands in one of the messages (a shorter line, when it equals one of theirs). What stands between two
lines that follow one another in a message was typed into the quotation by the author.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from bridge.reply.lines import Lines

GRAM = 4
"""Words that are compared together."""
MAX_WORDS = 60_000
"""Words of all known messages together that are looked at."""
_WORD = re.compile(r"\w+")
_FEWEST = 6
"""Words that neighbouring unquoted lines must have together to count as known; fewer may be a coincidence."""


class Span(NamedTuple):
    """Where the words of a line stand among the known words."""

    first: int
    last: int


class Known(NamedTuple):
    """What comparison found."""

    history: frozenset[int]
    """Lines that were sent before."""
    typed: frozenset[int]
    """Lines that the author typed between them, whatever prefix they have."""


class _Index(NamedTuple):
    words: list[str]
    """Of all messages, one after the other, with gaps between them."""
    grams: dict[tuple[str, ...], int]
    lines: dict[tuple[str, ...], int]


def compare(lines: Lines, texts: Iterable[str]) -> Known:
    """Compare all lines with the known messages."""
    index = _index(texts)
    spans: list[Span | None] = []
    before = -1
    for bare in lines.bare:
        span = _span(_WORD.findall(bare.casefold()), index, before) if bare else None
        spans.append(span)
        before = span.last if span is not None else before
    return Known(_history(lines, spans), _typed(lines, spans))


def _index(texts: Iterable[str]) -> _Index:
    index = _Index([], {}, {})
    words = index.words
    for text in texts:
        first = len(words)
        for line in text.splitlines():
            found = tuple(_WORD.findall(line.casefold()))
            if found:
                index.lines.setdefault(found, len(words))
                words += found
            if len(words) > MAX_WORDS:
                break
        for at in range(first, len(words) - GRAM + 1):
            index.grams.setdefault(tuple(words[at : at + GRAM]), at)
        words += [""] * GRAM
        if len(words) > MAX_WORDS:
            break
    return index


def _span(words: list[str], index: _Index, before: int) -> Span | None:
    """Where the words of a line stand; those of a short one must follow those of the known line before it."""
    count = len(words)
    if not count:
        return None
    if count >= GRAM:
        places = [index.grams.get(tuple(words[at : at + GRAM]), -1) for at in range(count - GRAM + 1)]
        return Span(places[0], places[-1] + GRAM - 1) if min(places) >= 0 else None
    if before >= 0 and index.words[before + 1 : before + 1 + count] == words:
        return Span(before + 1, before + count)
    place = index.lines.get(tuple(words), -1)
    return Span(place, place + count - 1) if place >= 0 else None


def _history(lines: Lines, spans: list[Span | None]) -> frozenset[int]:
    """Known lines in neighbourhoods with enough words, or going on where the last one ended.

    Blank lines do not part neighbours.
    """
    found: set[int] = set()
    group: list[int] = []
    words, end = 0, -GRAM
    for at in range(len(spans) + 1):
        span = spans[at] if at < len(spans) else None
        if span is not None:
            group.append(at)
            words += span.last - span.first + 1
        elif at == len(spans) or lines.bare[at]:
            first, last = (spans[group[0]], spans[group[-1]]) if group else (None, None)
            if first is not None and last is not None and (words >= _FEWEST or end < first.first <= end + 2):
                found.update(group)
                end = last.last
            group, words = [], 0
    return frozenset(found)


def _typed(lines: Lines, spans: list[Span | None]) -> frozenset[int]:
    """Unknown lines between two known ones that follow one another in what was sent."""
    found: set[int] = set()
    group: list[int] = []
    before: Span | None = None
    for at, span in enumerate(spans):
        if span is not None:
            if group and before is not None and before.last < span.first <= before.last + 2:
                found.update(group)
            group, before = [], span
        elif lines.bare[at]:
            group.append(at)
    return frozenset(found)
