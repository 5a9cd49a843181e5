"""Which lines at the end of the author's words are cut: by setting, and by what stands above them."""

from __future__ import annotations

from typing import NamedTuple

from bridge.model import Hints
from bridge.reply import endings
from bridge.reply.lines import Lines


class Cut(NamedTuple):
    """Lines ``start`` up to, not including, ``stop`` go."""

    start: int
    stop: int
    kind: str
    reason: str


def find(lines: Lines, start: int, stop: int, hints: Hints) -> list[Cut]:
    """What is cut at the end of the author's lines ``start`` to ``stop``."""
    cuts = []
    begin = endings.footer(lines, start, stop)
    cuts.append(Cut(begin, stop, "footer", "footer of a mailing list"))
    stop = begin
    if hints.cut_signature:
        begin = endings.signature(lines, start, stop)
        cuts.append(Cut(begin, stop, "signature", "signature"))
        stop = begin
    if hints.cut_device:
        begin = _devices(lines, start, stop)
        cuts.append(Cut(begin, stop, "device", "line that the client added"))
        stop = begin
    if hints.cut_disclaimer or start:
        begin = endings.disclaimer(lines, start, stop)
        if hints.cut_disclaimer or not endings.has_words(lines, start, begin):
            # Gateways (Exchange, Exim) put footers under whole mails, where they answer no quotation.
            cuts.append(Cut(begin, stop, "disclaimer", "confidentiality footer"))
            stop = begin
    if hints.cut_signoff:
        begin = endings.signoff(lines, start, stop)
        cuts.append(Cut(begin, stop, "signature", "sign-off"))
        if hints.cut_device:
            cuts.append(Cut(_devices(lines, start, begin), begin, "device", "line that the client added"))
    return [cut for cut in cuts if cut.start < cut.stop]


def _devices(lines: Lines, start: int, stop: int) -> int:
    """Where the client's own lines at the end of the lines ``start`` to ``stop`` begin, blank lines with them."""
    found = stop
    while stop > start:
        at = stop - 1
        if lines.bare[at]:
            if not _is_device(lines, at):
                break
            found = at
        stop = at
    return found


def _is_device(lines: Lines, at: int) -> bool:
    bare = lines.bare[at]
    if bare in endings.TRACKERS:
        return True
    if not endings.is_device(bare):
        return False
    if endings.names_product(bare) or at == 0:
        return True
    above = lines.bare[at - 1]
    return not above or endings.is_device(above)
