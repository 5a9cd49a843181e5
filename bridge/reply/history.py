"""Where the message that is answered begins, and which lines say who wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.model import Hints
from bridge.reply import attribution, headers, markup
from bridge.reply.lines import Lines
from bridge.reply.vocabulary import vocabulary

_COLONS = (":", "\uff1a")
_DASHES = "-–—_=*#~\u2500"


@dataclass(slots=True)
class History:
    """What was found in one mail."""

    start: int
    """The first line from which on everything is history; the number of lines when there is none."""
    reason: str = ""
    kind: str = "quote"
    forward: int = -1
    """The line that begins a forwarded message, or -1."""
    confidence: float = 1.0
    leads: dict[int, str] = field(default_factory=dict)
    """Lines that introduce the quotation right under them → their kind."""


def find(lines: Lines, hints: Hints) -> History:
    """Look for the first line that surely begins the history, and for what introduces quotations before it."""
    return _Search(lines, hints).run()


class _Search:
    def __init__(self, lines: Lines, hints: Hints) -> None:
        self.lines = lines
        self.ours = tuple(item.casefold() for item in (*hints.addresses, *hints.names) if len(item) > 2)
        self.markers = tuple(" ".join(marker.split()).casefold() for marker in hints.markers if marker.strip())
        self.found = History(len(lines))

    def run(self) -> History:
        lines = self.lines
        bare, depth = lines.bare, lines.depth
        for at in range(len(bare)):
            if bare[at] and not depth[at] and self._look(at):
                break
        return self.found

    def _look(self, at: int) -> bool:
        """Look at one line; True ends the search."""
        words = self.lines.bare[at]
        mark = self.lines.mark(at)
        if mark == markup.REST:
            return self._rest(at, "header", "the client's own mark of the history", 0.95)
        if self._is_marker(words):
            return self._rest(self._with_attribution(at), "marker", "the line that our notifications carry", 1.0)
        if (words[0] in _DASHES or words[-1] in _DASHES or words[-1] in _COLONS or len(words) < 40) and self._separator(
            at, words
        ):
            return True
        if (":" in words or "\uff1a" in words) and self._header_block(at, at):
            return True
        return self._attribution(at, words, mark)

    def _rest(self, at: int, kind: str, reason: str, confidence: float) -> bool:
        """History from ``at``, with a line of dashes in front of it."""
        before = at - 1
        while before >= 0 and at - before <= 2 and self.lines.blank(before) and not self.lines.depth[before]:
            before -= 1
        if (
            before >= 0
            and not self.lines.depth[before]
            and headers.separator(self.lines.bare[before]) in ("rule", "bare original")
        ):
            at = before
        self.found.start, self.found.kind, self.found.reason = at, kind, reason
        self.found.confidence = min(self.found.confidence, confidence)
        return True

    def _is_marker(self, words: str) -> bool:
        if self.markers:
            folded = " ".join(words.split()).casefold()
            if any(marker in folded for marker in self.markers):
                return True
        if words[0] in _DASHES or words[-1] in _DASHES:
            folded = words.casefold()
            return len(words) < 300 and any(phrase in folded for phrase in vocabulary().above)
        return False

    def _with_attribution(self, at: int) -> int:
        before = at - 1
        while before >= 0 and at - before <= 4 and self.lines.blank(before):
            before -= 1
        found = attribution.find(self.lines, before, True, self.ours) if before >= 0 else None
        return found.first if found else at

    def _separator(self, at: int, words: str) -> bool:
        kind = headers.separator(words)
        if not kind:
            return False
        after = self.lines.next_words(at)
        if kind in ("forwarded", "bare forwarded"):
            if kind == "bare forwarded" and not (
                after >= 0 and (self.lines.depth[after] or headers.label(self.lines.bare[after])[0])
            ):
                return False
            self.found.forward = at
            return True
        if kind == "original":
            if after >= 0 and self.lines.depth[after]:
                self.found.leads[at] = "separator"
                return False
            return self._rest(at, "separator", "a separator line", 0.95)
        return after >= 0 and not self.lines.depth[after] and kind == "bare original" and self._header_block(after, at)

    def _header_block(self, at: int, start: int) -> bool:
        block = headers.find(self.lines, at)
        if block is None:
            return False
        after = self.lines.next_words(block.last)
        if after >= 0 and self.lines.depth[after]:
            self.found.leads.update(dict.fromkeys(range(start, block.last + 1), "header"))
            return False
        return self._rest(start, "header", "a block of message headers", 0.95 if len(block.kinds) > 2 else 0.8)

    def _attribution(self, at: int, words: str, mark: str) -> bool:
        lines = self.lines
        after = lines.next_words(at)
        quoted = after >= 0 and (lines.depth[after] > 0 or lines.mark(after) == markup.QUOTE)
        if (
            quoted
            and after == at + 1
            and "@" in words
            and lines.depth[after] == 1
            and lines.bare[after].endswith(_COLONS)
        ):
            found = attribution.find(lines, after, True, self.ours)
            if found is not None and found.first <= at and len(lines.bare[after]) < 40:
                self._lead(found)
                return False
        if not (quoted or mark == markup.ATTRIBUTION or words.endswith(_COLONS) or "@" in words):
            return False
        found = attribution.find(lines, at, quoted or mark == markup.ATTRIBUTION, self.ours)
        if found is None:
            return False
        if quoted:
            self._lead(found)
            return False
        if not found.certain or attribution.is_prose(lines, after):
            return False
        return self._rest(found.first, "attribution", "an attribution line", 0.9)

    def _lead(self, found: attribution.Attribution) -> None:
        self.found.leads.update(dict.fromkeys(range(found.first, found.last + 1), "attribution"))
