"""A readable plain-text rendition of a mail's HTML: what a person sees, block by block.

One pass over the events of ``bridge.mail.dom`` with a stack of its own; no recursion, linear in the source. Quoting
blocks become ``> `` prefixes, as plain text has them (RFC 3676 §4.5), so that whoever reads the lines needs one set of
rules only. What a client hid is left out, as are tracking pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.mail.dom import events
from bridge.mail.looks import Attributes, flat_style, is_emoji, is_hidden, is_pixel, is_quote, is_tight

Marker = Callable[[str, Attributes], str]
"""Names what an element is to its reader (``history``, ``signature``, …); empty for nothing of note."""

_SILENT_NAMES = (
    "head style script title template noscript object iframe svg math select textarea button audio video map"
)
_SILENT = frozenset(_SILENT_NAMES.split())
_BLOCK_NAMES = """
    address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hgroup html legend li main menu nav ol p pre section summary table tbody tfoot thead tr ul
"""
_BLOCK = frozenset(_BLOCK_NAMES.split())
_SPACED_NAMES = "p ul ol dl pre blockquote h1 h2 h3 h4 h5 h6 table figure"
_SPACED = frozenset(_SPACED_NAMES.split())
_CELLS = frozenset(("td", "th"))
_STACK_SEARCH = 64
_MAX_PREFIX = 40
_MAX_INDENT = 8
_LINK_PARTS = 50


class RenderedLine(NamedTuple):
    """One line of the rendition."""

    text: str
    """With one ``> `` for each quoting block around it."""
    mark: str
    """What the marker said of the innermost element of note around it."""
    cids: tuple[str, ...]
    """Content-IDs of the images that stand in it (RFC 2392)."""


class _Open(NamedTuple):
    """An element that has begun."""

    tag: str
    hides: bool
    quotes: bool
    mark: str
    spaced: bool
    link: tuple[str, int] | None


def render(html: str, mark: Marker | None = None) -> tuple[RenderedLine, ...]:
    """Render ``html`` (at most 2 MB of it are read) to lines; ``mark`` may name elements of note."""
    rendition = _Rendition(mark)
    for kind, value, attributes in events(html):
        if kind == "text":
            rendition.words(value)
        elif kind == "start":
            rendition.start(value, attributes)
        else:
            rendition.end(value)
    return rendition.finish()


def render_text(html: str) -> str:
    """Render ``html`` to text: paragraphs, lists, tables, links as ``text (url)``; nothing that was invisible."""
    return "\n".join(line.text for line in render(html))


class _Rendition:
    def __init__(self, mark: Marker | None) -> None:
        self._mark = mark
        self._stack: list[_Open] = []
        self._lines: list[RenderedLine] = []
        self._parts: list[str] = []
        self._space = False
        self._gap = 0
        self._hidden = 0
        self._quotes = 0
        self._pre = 0
        self._lists: list[int] = []
        self._marks: list[str] = []
        self._cids: list[str] = []
        self._line_mark = ""
        self._cell = False
        self._nbsp = False

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        if tag == "br":
            self._break_line()
        elif tag == "hr":
            self._rule(attributes)
        elif tag == "img":
            self._image(attributes)
        else:
            self._open(tag, attributes)

    def _open(self, tag: str, attributes: Attributes) -> None:
        style = flat_style(attributes)
        hides = tag in _SILENT or is_hidden(tag, attributes, style)
        mark = self._mark(tag, attributes) if self._mark is not None else ""
        quotes = tag == "blockquote" and not hides and is_quote(attributes, style)
        spaced = tag in _SPACED and not (tag == "p" and is_tight(attributes, style)) and not self._lists
        if tag in _BLOCK:
            self._end_line(2 if spaced else 1)
        elif tag in _CELLS:
            self._begin_cell()
        link = None
        if tag == "a":
            link = ("".join((attributes.get("href") or "").split()), len(self._parts))
        self._stack.append(_Open(tag, hides, quotes, mark, spaced, link))
        self._hidden += hides
        self._quotes += quotes
        if mark:
            self._marks.append(mark)
        if tag == "pre":
            self._pre += 1
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ul" else 1)
        elif tag == "li" and not self._hidden:
            self._bullet()

    def end(self, tag: str) -> None:
        """An element ends; one that never began, or began too far out, is passed over."""
        for back in range(1, min(len(self._stack), _STACK_SEARCH) + 1):
            if self._stack[-back].tag == tag:
                for _ in range(back):
                    self._close(self._stack.pop())
                return

    def _close(self, element: _Open) -> None:
        tag = element.tag
        if element.link is not None:
            self._link_target(*element.link)
        if tag in _BLOCK:
            if self._nbsp and not self._parts:
                self._gap = max(self._gap, 1) + 1
            self._end_line(2 if element.spaced else 1)
        self._hidden -= element.hides
        self._quotes -= element.quotes
        if element.mark:
            self._marks.pop()
        if tag == "pre":
            self._pre -= 1
        elif tag in ("ul", "ol"):
            self._lists.pop()
        elif tag == "tr":
            self._cell = False

    def words(self, text: str) -> None:
        """Text, as it stands in the source."""
        if self._hidden:
            return
        if self._pre:
            self._preformatted(text)
            return
        words = text.split()
        if not words:
            self._nbsp = self._nbsp or "\xa0" in text
            self._space = self._space or bool(text)
            return
        if text[0].isspace():
            self._space = True
        self._put(" ".join(words))
        self._space = text[-1].isspace()

    def _preformatted(self, text: str) -> None:
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if number:
                self._break_line()
            if line:
                self._space = False
                self._put(line)

    def _put(self, text: str) -> None:
        if not self._parts:
            self._begin_line()
        elif self._space:
            self._parts.append(" ")
        self._space = False
        self._parts.append(text)

    def _begin_line(self) -> None:
        if self._lines:
            previous = self._lines[-1]
            depth = min(_depth(previous.text), self._quotes)
            blank = RenderedLine((">" * min(depth, _MAX_PREFIX)), self._marks[-1] if self._marks else "", ())
            if previous.mark != blank.mark:
                blank = blank._replace(mark="")
            self._lines.extend([blank] * (min(self._gap, 3) - 1))
        self._gap = 0
        self._line_mark = self._marks[-1] if self._marks else ""
        if self._quotes:
            self._parts.append(">" * min(self._quotes, _MAX_PREFIX) + " ")

    def _break_line(self) -> None:
        if self._hidden:
            return
        if self._parts:
            self._end_line(1)
        else:
            self._gap += 1

    def _end_line(self, gap: int) -> None:
        if self._parts:
            text = "".join(self._parts).rstrip()
            self._lines.append(RenderedLine(text, self._line_mark, tuple(self._cids)))
            self._parts.clear()
            self._cids.clear()
            self._gap = gap
            self._cell = False
        else:
            self._gap = max(self._gap, gap)
        self._space = self._nbsp = False

    def _begin_cell(self) -> None:
        if self._cell and self._parts:
            self._space = False
            self._parts.append(" | ")
        self._cell = True

    def _bullet(self) -> None:
        number = self._lists[-1] if self._lists else 0
        self._put("  " * min(len(self._lists) - 1, _MAX_INDENT) + (f"{number}. " if number else "- "))
        if number:
            self._lists[-1] += 1

    def _rule(self, attributes: Attributes) -> None:
        if self._hidden:
            return
        self._end_line(1)
        mark = self._mark("hr", attributes) if self._mark is not None else ""
        self._put("_" * 32)
        self._line_mark = mark or self._line_mark
        self._end_line(1)

    def _image(self, attributes: Attributes) -> None:
        source = (attributes.get("src") or "").strip()
        if self._hidden or is_hidden("img", attributes, flat_style(attributes)) or is_pixel(attributes):
            return
        alt = " ".join((attributes.get("alt") or "").split())
        if source[:4].lower() == "cid:":
            self._put(f"[{alt or 'image'}]")
            self._cids.append(source[4:])
        elif alt:
            self._put(alt if is_emoji(alt) else f"[{alt}]")

    def _link_target(self, href: str, since: int) -> None:
        shown = "".join(self._parts[since : since + _LINK_PARTS]).strip()
        target = href[7:].partition("?")[0] if href[:7].lower() == "mailto:" else href
        wanted = target[:4].lower() in ("http", "ftp:") or href is not target
        if wanted and shown and not self._hidden and _bare(target) not in _bare(shown):
            self._put(f" ({target})" if not self._space else f"({target})")

    def finish(self) -> tuple[RenderedLine, ...]:
        """All lines, when the source is at its end."""
        while self._stack:
            self._close(self._stack.pop())
        self._end_line(0)
        return tuple(self._lines)


def _bare(address: str) -> str:
    return address.lower().removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")


def _depth(text: str) -> int:
    return len(text) - len(text.lstrip(">"))
