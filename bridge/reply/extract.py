"""The newly written part of a mail (design §9): classify every line, then keep what the author typed.

History at the end is cut; quotations that are answered are kept as far as they are needed; what introduces a
quotation goes with it. Whatever the evidence leaves open is kept: losing words is worse than posting too many.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.mail.html import RenderedLine, render
from bridge.model import Hints, Reply, ReplyLine
from bridge.reply import footers, history, markup
from bridge.reply.known import compare
from bridge.reply.lines import Lines, split
from bridge.reply.runs import Run, runs

_NO_HINTS = Hints()
_QUESTIONS = ("?", "\uff1f", "\u061f", "\u037e")
"""Question marks: Latin, full-width, Arabic, Greek."""


def rendition(html: str) -> tuple[RenderedLine, ...]:
    """The HTML as lines, with what reply extraction makes of its elements."""
    return render(html, markup.mark)


def extract(
    text: str | None, html: str | None, *, hints: Hints | None = None, rendered: Sequence[RenderedLine] | None = None
) -> Reply:
    """Find what the author newly wrote.

    ``text`` and ``html`` are the mail's alternatives; either may be None. Of two, the one with the better evidence is
    used. ``rendered`` is the HTML's ``rendition`` where it is known already.
    Never raises, whatever the input; linear in it. Kept and elided lines together are the input's lines (for
    HTML, the lines of ``bridge.mail.html.render``).
    """
    hints = hints or _NO_HINTS
    plain = from_lines(split(text), hints) if text is not None else None
    if html is None:
        return plain if plain is not None else Reply("", "", (), 1.0)
    if plain is not None and plain.text and plain.confidence >= 0.8:
        return plain
    rich = from_html(rendered if rendered is not None else rendition(html), hints)
    if plain is None or not plain.text or (rich.text and rich.confidence > plain.confidence):
        return rich
    return plain


def from_html(rendered: Sequence[RenderedLine], hints: Hints) -> Reply:
    """Extract from the rendition of HTML."""
    lines = Lines([line.text for line in rendered], [line.mark for line in rendered])
    for at, line in enumerate(rendered):
        if line.mark == markup.QUOTE and not lines.depth[at]:
            lines.depth[at] = 1
    reply = _Extraction(lines, hints).reply("html")
    cids = tuple(cid for line, kept in zip(rendered, reply.lines, strict=True) if kept.kept for cid in line.cids)
    return Reply(reply.text, reply.elided, reply.lines, reply.confidence, "html", cids)


def from_lines(raw: Sequence[str], hints: Hints) -> Reply:
    """Extract from the lines of plain text."""
    return _Extraction(Lines(raw), hints).reply("text")


class _Extraction:
    def __init__(self, lines: Lines, hints: Hints) -> None:
        self.lines = lines
        self.hints = hints
        self.kinds = ["blank" if not bare else "text" for bare in lines.bare]
        self.cut: list[str] = [""] * len(lines)
        """Why a line is cut; empty for what is kept."""
        self.why: dict[int, str] = {}
        """Why a line is kept, where there is more to say than that its author wrote it."""
        self.known: frozenset[int] = frozenset()
        self.typed: frozenset[int] = frozenset()
        if hints.known_texts:
            self._compare()
        self.found = history.find(lines, hints)
        self.confidence = self.found.confidence

    def _compare(self) -> None:
        """What we know to be sent before is quoted, and what was typed into it is not, whatever marks they bear."""
        known = compare(self.lines, self.hints.known_texts)
        depth = self.lines.depth
        for at in known.history:
            depth[at] = depth[at] or 1
        for at in known.typed:
            depth[at] = 0
            self.why[at] = "typed into the quotation"
        self.known, self.typed = known

    def reply(self, source: str) -> Reply:
        """Judge all lines and put the reply together."""
        lines = self.lines
        stop = self.found.start
        self._cut(range(stop, len(lines)), self.found.kind, self.found.reason)
        for at in self.typed:
            self.cut[at] = ""
            self.kinds[at] = "text"
        if self.found.forward >= 0:
            stop = self.found.forward
            for at in range(stop, len(lines)):
                self.why[at] = "forwarded message"
        parts = runs(lines, stop, self.found.leads)
        for part in parts:
            if not part.quoted:
                for cut in footers.find(lines, part.start, part.stop, self.hints):
                    self._cut(range(cut.start, cut.stop), cut.kind, cut.reason)
        answered = False
        total = sum(part.quoted for part in parts)
        for part in reversed(parts):
            if not part.quoted:
                answered = answered or self._has_words(part)
            elif not answered or self.found.forward == part.stop:
                self._quotation(part)
            else:
                self._answered(part, total)
        for at in self.found.alone:
            self._cut(range(at, at + 1), "attribution", "attribution line")
        if not self.found.leads and stop == len(lines) and all(self.cut) and not history.opens_with_attribution(lines):
            self._keep_all()
        self._blanks()
        return self._assemble(source)

    def _keep_all(self) -> None:
        """Nothing would be left, and nothing says that the quotation is history."""
        self.confidence = 0.4
        for at, kind in enumerate(self.kinds):
            if kind == "quote":
                self.cut[at] = ""
                self.why[at] = "low confidence: nothing but a quotation"

    def _has_words(self, part: Run) -> bool:
        return any(self.lines.bare[at] and not self.cut[at] for at in range(part.start, part.stop))

    def _cut(self, span: range, kind: str, reason: str) -> None:
        for at in span:
            self.cut[at] = reason
            if self.lines.bare[at] or self.lines.depth[at]:
                self.kinds[at] = "quote" if self.lines.depth[at] else kind

    def _quotation(self, part: Run) -> None:
        if self.hints.forwarded != "cut" and history.is_forward(self.lines, part.start):
            self._keep_quote(part.start, part.stop)
            return
        if self._is_own(part):
            self.confidence = min(self.confidence, 0.85)
            self._keep_quote(part.start, part.stop)
            return
        self._cut(range(part.start, part.stop), "attribution", "quotation under the answer")
        if not part.attributed and part.start not in self.known:
            self.confidence = min(self.confidence, 0.85)

    def _is_own(self, part: Run) -> bool:
        """The author quoted something with Gmail's button: it has no attribution and stands in no container."""
        lines = self.lines
        if part.attributed or part.start in self.known or lines.mark(part.start) != markup.OWN:
            return False
        before = next((at for at in range(part.start - 1, -1, -1) if lines.bare[at]), -1)
        return before >= 0 and lines.mark(before) != markup.CONTAINER

    def _answered(self, part: Run, total: int) -> None:
        if self.hints.forwarded == "cut" and history.is_forward(self.lines, part.start):
            self._cut(range(part.start, part.stop), "forward", "forwarded message")
        elif self.hints.inline_quotes == "keep":
            self._keep_quote(part.start, part.stop)
        else:
            whole = part.attributed and total == 1
            start, stop = self._question(part) if whole else (self._paragraph(part.start, part.stop), part.stop)
            reason = "whole message quoted above the answer" if whole else "quotation that is not answered"
            self._cut(range(part.start, start), "attribution", reason)
            self._keep_quote(start, stop)
            end = part.stop
            while end > stop and not self.lines.bare[end - 1] and not self.lines.depth[end - 1]:
                end -= 1
            self._cut(range(stop, end), "attribution", reason)

    def _question(self, part: Run) -> tuple[int, int]:
        """Of a whole message quoted above the answer, the last paragraph that asks something is what is answered."""
        lines = self.lines
        for at in range(part.stop - 1, part.start - 1, -1):
            if lines.depth[at] == 1 and lines.bare[at].endswith(_QUESTIONS) and at not in self.found.leads:
                stop = at + 1
                while stop < part.stop and lines.bare[stop] and lines.depth[stop]:
                    stop += 1
                return self._paragraph(part.start, stop), stop
        return part.stop, part.stop

    def _keep_quote(self, start: int, stop: int) -> None:
        for at in range(start, stop):
            if at in self.found.leads:
                self._cut(range(at, at + 1), "attribution", "attribution line")
            elif self.lines.depth[at]:
                self.kinds[at] = "quote"
                self.why[at] = "quotation that is answered"

    def _paragraph(self, start: int, stop: int) -> int:
        """Where the last quoted paragraph of the lines ``start`` to ``stop`` begins."""
        at = stop - 1
        while at > start and self.lines.blank(at):
            at -= 1
        while at > start and self.lines.depth[at - 1] and self.lines.bare[at - 1] and at - 1 not in self.found.leads:
            at -= 1
        if at < stop - 1 and history.is_attribution(self.lines, at):  # Apple Mail quotes it too.
            at += 1
        return at

    def _blanks(self) -> None:
        """Blank lines go with what is cut: none at either end, and of those around a cut all but what is above it.

        One stays below, where none is above.
        """
        beside, parted = True, True
        last = -1
        for at, kind in enumerate(self.kinds):
            if self.cut[at]:
                beside = True
            elif kind != "blank" or self.lines.depth[at]:
                beside = parted = False
                last = at
            elif beside and parted:
                self.cut[at] = "blank beside what is cut"
            else:
                parted = True
        for at in range(last + 1, len(self.kinds)):
            self.cut[at] = self.cut[at] or "blank beside what is cut"

    def _assemble(self, source: str) -> Reply:
        raw, cut, kinds, why = self.lines.raw, self.cut, self.kinds, self.why
        known: dict[tuple[str, str, str], ReplyLine] = {}
        result = []
        for at, text in enumerate(raw):
            key = (text, kinds[at], cut[at] or why.get(at, ""))
            line = known.get(key)
            if line is None or line.kept == bool(cut[at]):
                line = known[key] = ReplyLine(text, not cut[at], key[1], key[2] or "written by the author")
            result.append(line)
        kept = "\n".join(line.text for line in result if line.kept)
        elided = "\n".join(line.text for line in result if not line.kept)
        return Reply(kept, elided, tuple(result), self.confidence, source)
