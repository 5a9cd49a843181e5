"""Where the message that is answered begins, and which lines say who wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.model import Hints
from bridge.reply import attribution, headers, markup
from bridge.reply.lines import Lines
from bridge.reply.vocabulary import vocabulary

MAX_LOOKS = 1000
"""Lines of one mail that are looked at in vain for an attribution; then no more are."""
MAX_FENCE = 200
"""Lines of a code block at most; a fence without an end in that distance is none."""
_FENCE = "```"
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
    alone: set[int] = field(default_factory=set)
    """Attribution lines with nothing above them and no quotation below: what follows may be the author's answer."""
    leads: dict[int, str] = field(default_factory=dict)
    """Lines that introduce the quotation right under them → their kind."""


def find(lines: Lines, hints: Hints) -> History:
    """Look for the first line that surely begins the history, and for what introduces quotations before it."""
    return _Search(lines, hints).run()


def is_forward(lines: Lines, at: int) -> bool:
    """The quotation that begins at ``at`` is a forwarded message (Apple Mail quotes the line that says so too)."""
    return headers.separator(lines.bare[at]).endswith("forwarded")


def opens_with_attribution(lines: Lines) -> bool:
    """The first quoted lines say who wrote what follows, so that it is history (Apple Mail quotes them too)."""
    first = next((at for at in range(len(lines)) if lines.bare[at]), len(lines))
    return any(is_attribution(lines, at) for at in range(first, min(first + 3, len(lines))))


def is_attribution(lines: Lines, at: int) -> bool:
    """The line, which is quoted, says who wrote what follows."""
    return attribution.enough(attribution.weigh(lines.bare[at][: attribution.MAX_LENGTH]), True)


class _Search:
    def __init__(self, lines: Lines, hints: Hints) -> None:
        self.lines = lines
        self.ours = tuple(item.casefold() for item in (*hints.addresses, *hints.names) if len(item) > 2)
        self.markers = tuple(" ".join(marker.split()).casefold() for marker in hints.markers if marker.strip())
        self.forwards = hints.forwarded != "cut"
        prefix = headers.prefix(hints.subject) if self.forwards else ""
        self.forwarded = prefix in vocabulary().forwarding
        self.senders = vocabulary().forwarding_here.get(prefix, frozenset())
        self.found = History(len(lines))
        self.looks = MAX_LOOKS
        self.passed = 0
        self.foreign = False

    def run(self) -> History:
        lines = self.lines
        bare, depth = lines.bare, lines.depth
        fence = -1
        for at in range(len(bare)):
            if not bare[at] or at < fence:
                continue
            if bare[at].startswith(_FENCE) and not depth[at]:
                fence = self._end_of_fence(at)
            elif self._quoted(at) if depth[at] else self._look(at):
                break
        return self.found

    def _end_of_fence(self, at: int) -> int:
        """The line that ends the code block (CommonMark 0.31 §4.5) that line ``at`` begins, or ``at``."""
        for below in range(at + 1, min(at + MAX_FENCE, len(self.lines))):
            if self.lines.bare[below].startswith(_FENCE):
                return below + 1
        return at

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
        """History from ``at``, with labels (Yandex writes them above its attribution) and dashes in front of it."""
        at = self._above(at)
        if kind in ("header", "separator") and (self.forwarded or self._names_sender(at)):
            self.found.forward = at
            return True
        self.found.start, self.found.kind, self.found.reason = at, kind, reason
        self.found.confidence = min(self.found.confidence, confidence)
        return True

    def _above(self, at: int) -> int:
        """Where what stands above line ``at`` and belongs to it begins: labels, a line of dashes."""
        while at and not self.lines.depth[at - 1] and headers.label(self.lines.bare[at - 1])[0] in ("to", "subject"):
            at -= 1
        before = at - 1
        while before >= 0 and at - before <= 2 and self.lines.blank(before) and not self.lines.depth[before]:
            before -= 1
        if (
            before >= 0
            and not self.lines.depth[before]
            and headers.separator(self.lines.bare[before]) in ("rule", "bare original")
        ):
            return before
        return at

    def _names_sender(self, at: int) -> bool:
        """The labels that begin at ``at`` are in the language of the subject's prefix."""
        return bool(self.senders) and any(headers.name(bare) in self.senders for bare in self.lines.bare[at : at + 4])

    def _is_marker(self, words: str) -> bool:
        if self.markers:
            folded = " ".join(words.split()).casefold()
            if any(marker in folded for marker in self.markers):
                return True
        if 8 <= len(words) < 300 and (words[0] in _DASHES or words[-1] in _DASHES):
            return vocabulary().above.search(words.casefold()) is not None
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
            if self.forwards or not self._has_own_words(at):
                self.found.forward = at
                return True
            if after >= 0 and self.lines.depth[after]:
                self.found.leads[at] = "separator"
                return False
            return self._rest(at, "forward", "forwarded message", 0.9)
        if kind == "original":
            if after >= 0 and self.lines.depth[after]:
                self.found.leads[at] = "separator"
                return False
            return self._rest(at, "separator", "a separator line", 0.95)
        return after >= 0 and not self.lines.depth[after] and kind == "bare original" and self._header_block(after, at)

    def _quoted(self, at: int) -> bool:
        """Look at a quoted line: some clients quote only what introduces the history, and not the history."""
        depth, bare = self.lines.depth, self.lines.bare
        if bare[at].endswith(">>>") and depth[at] == 3:  # GroupWise: ">>> Ann <ann@example.com> 1/2/2024 10:00 >>>"
            evidence = attribution.weigh(bare[at][: attribution.MAX_LENGTH])
            return (evidence.date or evidence.address) and self._rest(at, "attribution", "an attribution line", 0.9)
        start = at - 1 if at and depth[at - 1] else at
        if depth[at] != 1 or ":" not in bare[at] or at < self.passed or (start and depth[start - 1]):
            return False
        block = headers.find(self.lines, at)  # Orange, La Poste and SFR quote the header block
        if block is None or not block.found or len(block.kinds) < 3:
            return False
        after = self.lines.next_words(block.last)
        return after >= 0 and not depth[after] and self._rest(start, "header", "a block of message headers", 0.8)

    def _header_block(self, at: int, start: int) -> bool:
        if at < self.passed:
            return False
        block = headers.find(self.lines, at)
        if block is None:
            return False
        if not block.found:
            self.passed = block.last
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
        if quoted and after == at + 1 and "@" in words and attribution.is_tail(lines, after):
            found = attribution.find(lines, after, True, self.ours)
            if found is not None and found.first <= at:
                return self._introduce(found)
        if not (
            quoted
            or mark == markup.ATTRIBUTION
            or words.endswith(_COLONS)
            or "@" in words
            or (words[-2:] == "--" and words[:2] == "--" and len(words) > 12)
            or " GMT" in words
        ):
            return False
        if not self.looks:
            return False
        foreign = "" if quoted or self.foreign else self._foreign_mark(after)
        found = attribution.find(lines, at, quoted or bool(foreign) or mark == markup.ATTRIBUTION, self.ours)
        if found is None:
            self.looks -= 1
            return False
        if foreign:
            self.foreign = True
            for below in range(after, len(lines)):
                if lines.bare[below].startswith(foreign):
                    lines.depth[below] = lines.depth[below] or 1
        return self._introduce(found)

    def _introduce(self, found: attribution.Attribution) -> bool:
        """An attribution introduces the quotation under it, or everything that follows."""
        lines = self.lines
        after = lines.next_words(found.last)
        if after >= 0 and (lines.depth[after] > 0 or lines.mark(after) == markup.QUOTE):
            self._lead(found)
            return False
        if not found.certain or attribution.is_prose(lines, after):
            return False
        if not self._has_own_words(found.first):
            self.found.alone.update(range(found.first, found.last + 1))
            self.found.confidence = 0.4
            return False
        return self._rest(found.first, "attribution", "an attribution line", 0.9)

    def _has_own_words(self, stop: int) -> bool:
        """Something that is neither quoted nor introduces a quotation stands above."""
        return any(
            self.lines.bare[at] and not self.lines.depth[at] and at not in self.found.leads for at in range(stop)
        )

    def _foreign_mark(self, at: int) -> str:
        """What stands in front of quoted lines instead of ``>``; it counts only under an attribution.

        mutt, Emacs and GroupWise can quote behind ``|``; The Bat! quotes Jon Berg behind ``JB>`` and Emacs' Supercite
        behind ``Jon>``. Without an attribution the former may be a table, and ``SQL>`` is a prompt.
        """
        bare = self.lines.bare[at] if at >= 0 else ""
        if bare.startswith("|"):
            return "" if bare.endswith("|") else "|"
        name, bracket, _ = bare[:12].partition(">")
        return name + bracket if bracket and name.isalpha() and name[0].isupper() else ""

    def _lead(self, found: attribution.Attribution) -> None:
        first = found.first
        if first and self.lines.bare[first - 1].endswith(";"):
            first = self._above(first)  # Yandex ends its labels so.
        self.found.leads.update(dict.fromkeys(range(first, found.last + 1), "attribution"))
