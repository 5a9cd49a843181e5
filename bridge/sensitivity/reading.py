"""Words around a keyword: a bounded window of text cut into words, links, quoted texts and line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.sensitivity import shape

_AFTER = 320
_BEFORE = 120
_LINK = re.compile(r":=>|:=|=>|->|=+|:+|→|⇒|⟶|➔|>+|\|+|[-–—/]+(?=\s)")
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": "”",
    "”": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‘": "’",
    "’": "’",
    "‹": "›",
}
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a window; ``start`` and ``end`` are positions in the whole text, of ``text`` itself."""

    kind: str
    """``word``, ``quoted``, ``link``, ``comma`` or ``line`` (a line's end)."""
    text: str
    start: int
    end: int
    stop: bool = False
    """A sentence ends behind it."""
    last: bool = False
    """Nothing but white space and closing marks follows it in its line."""


def tokens_after(text: str, position: int) -> list[Token]:
    """The tokens of the window that begins at ``position``, which is right behind a word."""
    window = text[position : position + _AFTER]
    tokens: list[Token] = []
    at = len(window) - len(window.lstrip("\"'`”’»)]}*_›“"))  # closing marks around the keyword itself
    while at < len(window):
        character = window[at]
        if character == "\n":
            tokens.append(Token("line", "", position + at, position + at + 1))
            at += 1
        elif character in ",;":
            tokens.append(Token("comma", "", position + at, position + at + 1))
            at += 1
        elif character.isspace():
            at += 1
        elif (link := _LINK.match(window, at)) and not _inside_word(window, at, link.end()):
            tokens.append(Token("link", link.group(), position + at, position + link.end()))
            at = link.end()
        else:
            token = _quoted(window, at, position) or _word(window, at, position)
            tokens.append(token)
            at = max(at + 1, token.end - position)
            while at < len(window) and window[at] in shape.AROUND:
                if window[at] in ",;:":
                    kind = "link" if window[at] == ":" else "comma"
                    tokens.append(Token(kind, window[at], position + at, position + at + 1))
                at += 1
    return tokens


def _inside_word(window: str, start: int, end: int) -> bool:
    """``->`` and ``=`` link wherever they stand; a single sign in front of a word may begin a password."""
    return window[start:end] in {"|", ">"} and end < len(window) and not window[end].isspace()


def _quoted(window: str, at: int, position: int) -> Token | None:
    closers = _QUOTES.get(window[at])
    if closers is None:
        return None
    line_end = window.find("\n", at)
    limit = min(len(window) if line_end < 0 else line_end, at + 1 + _QUOTED)
    ends = [end for closer in closers if (end := window.find(closer, at + 1, limit)) > at + 1]
    if not ends:
        return None
    end = min(ends)
    inner = window[at + 1 : end]
    return Token("quoted", inner, position + at + 1, position + end, _stops(window, end + 1), _last(window, end + 1))


def _word(window: str, at: int, position: int) -> Token:
    end = at
    while end < len(window) and not window[end].isspace():
        end += 1
    raw = window[at:end]
    inner = shape.trim(raw)
    start = at + raw.find(inner) if inner else at
    stop = (raw.endswith((".", "!", "?", ".)", '."', ".'")) and end - at > len(inner)) or _stops(window, end)
    return Token("word", inner, position + start, position + start + len(inner), stop, _last(window, end))


def _stops(window: str, end: int) -> bool:
    return window[end : end + 1] in {".", "!", "?"}


def _last(window: str, end: int) -> bool:
    rest = window[end:].partition("\n")[0].strip().strip(".,;:!?)]}\"'`*_<>|”»’")
    return not rest


def tokens_before(text: str, position: int) -> list[Token]:
    """The words in front of ``position``, nearest first, within its line and the line before."""
    begin = max(0, position - _BEFORE)
    window = text[begin:position]
    tokens: list[Token] = []
    for found in re.finditer(r"\n|\S+", window):
        raw = found.group()
        if raw == "\n":
            tokens.append(Token("line", "", begin + found.start(), begin + found.end()))
            continue
        inner = shape.trim(raw)
        if not inner:
            continue
        start = begin + found.start() + raw.find(inner)
        is_quoted = raw[0] in _QUOTES and raw.rstrip(".,;:")[-1:] in "\"'`”“’«»›"
        stop = raw.endswith((".", "?", "!")) and not inner.endswith(raw[-1])
        tokens.append(Token("quoted" if is_quoted else "word", inner, start, start + len(inner), stop))
    if begin and tokens:
        tokens = tokens[1:]  # the first one may be cut in two
    return tokens[::-1]
