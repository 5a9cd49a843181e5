"""A mail as alternating runs: what its author typed, and what is quoted."""

from __future__ import annotations

from typing import NamedTuple

from bridge.reply.lines import Lines


class Run(NamedTuple):
    """Lines ``start`` up to, not including, ``stop``."""

    start: int
    stop: int
    quoted: bool
    attributed: bool
    """A line that says who wrote it, or a separator, stands in front of the quotation."""


WRAP = 72
"""Characters at which the narrowest of the usual clients wraps a line."""


def is_wrapped(lines: Lines, at: int) -> bool:
    """An unquoted line between quoted ones that a client wrapped out of the quotation without giving it a mark.

    Gmail's and Outlook's plain text do so at 72 to 78 columns: the first word would not have fitted into the quoted
    line above, which stops in the middle of a sentence. Leftovers without words are treated alike.
    """
    if at + 1 >= len(lines) or not lines.depth[at - 1] or not lines.depth[at + 1]:
        return False
    bare, above = lines.bare[at], lines.bare[at - 1]
    if not any(character.isalpha() for character in bare.partition("http")[0]):
        return True
    if " " not in bare and any(character in bare for character in "/=&?%"):
        return True
    return len(lines.raw[at - 1]) + len(bare.split(None, 1)[0]) >= WRAP and above[-1:] not in tuple(".!?:;…。")


def runs(lines: Lines, stop: int, leads: dict[int, str]) -> list[Run]:
    """The runs of the lines before ``stop``; blank lines belong to the run before them."""
    found: list[Run] = []
    start = 0
    quoted = attributed = False
    for at in range(stop):
        leads_here = at in leads
        if not lines.depth[at] and not lines.bare[at]:
            continue
        now = lines.depth[at] > 0 or leads_here or (quoted and is_wrapped(lines, at))
        if now != quoted:
            if at > start:
                found.append(Run(start, at, quoted, attributed))
            start, quoted, attributed = at, now, False
        attributed = attributed or leads_here
    if stop > start:
        found.append(Run(start, stop, quoted, attributed))
    return found
