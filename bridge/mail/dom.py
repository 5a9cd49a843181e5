"""HTML source as a stream of events, whatever the source is like.

lexbor builds the tree that a browser would, fast, but its time grows with the square of the nesting depth and of the
number of attributes on one element (measured: 8 to 14 s for 50,000). ``events`` therefore looks at the source first,
in one pass, and reads what is out of the ordinary with justhtml's tokenizer, which builds no tree and stays linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from justhtml import stream
from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML = 2_000_000
"""Characters of source that are read; what follows is not looked at."""
MAX_DEPTH = 800
"""Nesting up to which the tree is built."""
MAX_ATTRIBUTES = 300
"""Attributes on one element up to which the tree is built."""

_VOID = "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr"
VOID = frozenset(_VOID.split())
"""Elements that have no content (HTML Living Standard, 13.1.2)."""

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})")
_OPTIONAL = "p li dd dt tr td th option tbody thead tfoot colgroup"
_IMPLIED_END = frozenset(_OPTIONAL.split())


class Event(NamedTuple):
    """One step of the walk through a document."""

    kind: str
    """``start``, ``end`` or ``text``."""
    value: str
    """The element's name in lower case, or the text."""
    attributes: Mapping[str, str | None]
    """Of a ``start``; empty otherwise."""


_NONE: Mapping[str, str | None] = {}


def is_ordinary(html: str) -> bool:
    """Tell whether a tree can be built in a reasonable time: a linear look at depth and attributes.

    Elements whose end tag may be left out count neither way, so that a long list without ``</li>`` stays ordinary.
    """
    depth = 0
    previous = 0
    for match in _TAG.finditer(html):
        if match.start() - previous > MAX_ATTRIBUTES * 2 and _is_crowded(html, previous, match.start()):
            return False
        previous = match.start()
        name = match[2].lower()
        if name in VOID or name in _IMPLIED_END:
            continue
        depth += -1 if match[1] else 1
        if depth > MAX_DEPTH:
            return False
        depth = max(depth, 0)
    return not _is_crowded(html, previous, len(html))


def _is_crowded(html: str, start: int, end: int) -> bool:
    """More attributes than allowed in the tag at ``start``; white space in the text behind it is not looked at."""
    close = html.find(">", start, end)
    tag = html[start : end if close < 0 else close]
    return len(tag.split()) > MAX_ATTRIBUTES or tag.count("=") > MAX_ATTRIBUTES * 4


def events(html: str) -> Iterator[Event]:
    """Walk the document in order: every start, end and text, without comments, scripts' and styles' place kept.

    At most ``MAX_HTML`` characters are read. End events may be missing or superfluous when the source was too
    unusual for a tree; consumers must bear that.
    """
    source = html[:MAX_HTML].replace("\x00", "")
    return _tree_events(source) if is_ordinary(source) else _token_events(source)


def _tree_events(html: str) -> Iterator[Event]:
    root = LexborHTMLParser(html).root
    node: LexborNode | None = root
    while node is not None:
        name = node.tag or ""
        if name == "-text":
            yield Event("text", node.text_content or "", _NONE)
        elif node.is_element_node:
            yield Event("start", name, node.attributes)
            child = node.first_child
            if child is not None:
                node = child
                continue
            yield Event("end", name, _NONE)
        while node is not None and node.next is None:
            node = node.parent
            if node is not None and node.is_element_node:
                yield Event("end", node.tag or "", _NONE)
        if node is not None:
            node = node.next


def _token_events(html: str) -> Iterator[Event]:
    for kind, data in stream(html):
        match kind, data:
            case "start", (str(name), dict(attributes)):
                yield Event("start", name, attributes)
                if name in VOID:
                    yield Event("end", name, _NONE)
            case (("end" | "text"), str(value)):
                yield Event(kind, value, _NONE)
            case _:
                continue
