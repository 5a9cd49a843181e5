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


def runs(lines: Lines, stop: int, leads: dict[int, str]) -> list[Run]:
    """The runs of the lines before ``stop``; blank lines belong to the run before them."""
    found: list[Run] = []
    start = 0
    quoted = attributed = False
    for at in range(stop):
        leads_here = at in leads
        if not lines.depth[at] and not lines.bare[at]:
            continue
        now = lines.depth[at] > 0 or leads_here
        if now != quoted:
            if at > start:
                found.append(Run(start, at, quoted, attributed))
            start, quoted, attributed = at, now, False
        attributed = attributed or leads_here
    if stop > start:
        found.append(Run(start, stop, quoted, attributed))
    return found
