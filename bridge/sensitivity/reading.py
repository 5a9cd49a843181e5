"""Words around a keyword: a bounded window of text, cut into words, links, quoted texts and line ends as it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bridge.sensitivity import shape

_AFTER = 320
_BEFORE = 90
_CLOSING = "\"'`”’»)]}*_›“"
_TOKEN = re.compile(
    r"[^\S\n]*(?:(?P<letters>[^\W_]+)(?=\s|\Z)|(?P<line>\n)|(?P<comma>[,;])"
    r"|(?P<link>:=>|:=|=>|->|=+|:+|[→⇒⟶➔]|[>|]+(?=\s|$)|[-–—/]+(?=\s))"
    r"|(?P<quoted>\"[^\"\n]{1,60}\"|'[^'\n]{1,60}'(?!\w)|`[^`\n]{1,60}`|“[^”\n]{1,60}”|„[^“”\n]{1,60}[“”]|«[^»\n]{1,60}»"
    r"|»[^«\n]{1,60}«|‘[^’\n]{1,60}’|‹[^›\n]{1,60}›|”[^”\n]{1,60}”)"
    r"|(?P<word>\S+))"
)
_SIGN = r"[!@#$%^&*+=?~|§€£¤]"
_MIXED = re.compile(
    rf"\d\S*[^\W\d_]|[^\W\d_]\S*\d|\d\S*{_SIGN}|{_SIGN}\S*\d|\S{_SIGN}\S*\w|\S[@#$%&§€£¤]"
    r"|[^\W\d_][A-ZÀ-ÖØ-Þ]|[^\W\d_](?=[^\W\d_])[^\x00-\xff]"
)
_DIGIT = re.compile(r"\d")
_BEFORE_TOKEN = re.compile(r"\S+")
_LINE_END = re.compile(r"[\s.,;:!?)\]}\"'`*_<>|”»’]*")


class Token(NamedTuple):
    """One piece of a window; ``start`` and ``end`` are positions in the whole text, of ``text`` itself."""

    kind: str
    """``word``, ``quoted``, ``link``, ``comma`` or ``line`` (a line's end)."""
    text: str
    start: int
    end: int
    stop: bool = False
    """A sentence ends behind it."""


def tokens_after(text: str, position: int) -> Iterator[Token]:
    """The tokens of the window that begins at ``position``, which is right behind a word."""
    window = text[position : position + _AFTER]
    at = len(window) - len(window.lstrip(_CLOSING))  # closing marks around the keyword itself
    for found in _TOKEN.finditer(window, at):
        kind = found.lastgroup or ""
        start, end = found.span(kind)
        if kind == "letters":  # most words, and nothing to cut off
            yield Token("word", found.group(kind), position + start, position + end)
        elif kind == "word":
            yield from _word(found.group(kind), position + start)
        elif kind == "quoted":
            stop = window[end : end + 1] in {".", "!", "?"} or window[end - 2] in ".?"
            yield Token(kind, found.group(kind)[1:-1], position + start + 1, position + end - 1, stop)
        else:
            yield Token(kind, found.group(kind), position + start, position + end)


def may_hold_secret(text: str, position: int, words: int = _AFTER) -> bool:
    """Within ``words`` words stands what a mixed word needs: a digit or a sign within it, or an inner capital.

    Cheap, and true for every text in which a token has grade ``shape.STRONG`` or better.
    """
    found = _MIXED.search(text, position, position + _AFTER)
    return found is not None and (words == _AFTER or len(text[position : found.start()].split()) <= words)


def may_hold_code(text: str, position: int) -> bool:
    """The same, or digits alone."""
    return _DIGIT.search(text, position, position + _AFTER) is not None or may_hold_secret(text, position)


def _word(raw: str, start: int) -> Iterator[Token]:
    """The word without what surrounds it, and the colon or comma that it ended with."""
    inner = shape.trim(raw)
    begin = raw.find(inner)
    rest = raw[begin + len(inner) :]
    if inner:
        yield Token("word", inner, start + begin, start + begin + len(inner), rest.endswith((".", "!", "?", ".)")))
    for mark in rest:
        if mark in ",;:":
            yield Token("link" if mark == ":" else "comma", mark, start + len(raw) - 1, start + len(raw))


def ends_line(text: str, position: int) -> bool:
    """Nothing but white space and closing marks stands between ``position`` and the end of its line."""
    line_end = text.find("\n", position, position + _AFTER)
    rest = text[position : line_end if line_end >= 0 else position + _AFTER]
    return _LINE_END.fullmatch(rest) is not None


def tokens_before(text: str, position: int) -> list[Token]:
    """The last words of the line in front of ``position``, nearest first."""
    begin = max(text.rfind("\n", 0, position) + 1, position - _BEFORE)
    tokens: list[Token] = []
    for found in _BEFORE_TOKEN.finditer(text, begin, position):
        raw = found.group()
        inner = shape.trim(raw)
        if inner:
            start = found.start() + raw.find(inner)
            quoted = raw[0] in "\"'`“„«»‘‹" and raw.rstrip(".,;:")[-1:] in "\"'`”“«»’›"
            stop = raw.endswith((".", "?", "!")) and not inner.endswith(raw[-1])
            tokens.append(Token("quoted" if quoted else "word", inner, start, start + len(inner), stop))
    if begin and text[begin - 1] != "\n" and tokens:
        tokens = tokens[1:]  # the first one may be cut in two
    return tokens[::-1]
