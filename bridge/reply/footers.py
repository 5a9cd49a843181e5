"""Which lines at the end of the author's words are cut: by setting, and by what stands above them."""

from __future__ import annotations

from typing import NamedTuple

from bridge.model import Hints
from bridge.reply import endings, markup
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
        begin, end = _armour(lines, start, stop)
        cuts.append(Cut(start, begin, "signature", "head of a signed message"))
        cuts.append(Cut(end, stop, "signature", "signature of a signed message"))
        stop = end
        begin = endings.signature(lines, start, stop)
        cuts.append(Cut(begin, stop, "signature", "signature"))
        stop = begin
    if hints.cut_device:
        begin = _scanner(lines, start, stop)
        cuts.append(Cut(begin, stop, "device", "line that a virus scanner added"))
        stop = begin
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
        begin = _marked(lines, start, stop)
        cuts.append(Cut(begin, stop, "signature", "the client's own mark of the signature"))
        stop = begin
        begin = endings.signoff(lines, start, stop)
        cuts.append(Cut(begin, stop, "signature", "sign-off"))
        if hints.cut_device:
            cuts.append(Cut(_devices(lines, start, begin), begin, "device", "line that the client added"))
    return [cut for cut in cuts if cut.start < cut.stop]


def _armour(lines: Lines, start: int, stop: int) -> tuple[int, int]:
    """What stands between the head and the signature that PGP puts around a message signed in clear text (RFC 9580 §7).

    Either may be missing: a quotation may stand between, and the history swallow the signature.
    """
    bare = lines.bare
    words = [at for at in range(start, stop) if bare[at]]
    begin, end = start, stop
    if words and bare[words[-1]] == "-----END PGP SIGNATURE-----":
        end = next((at for at in reversed(words) if bare[at] == "-----BEGIN PGP SIGNATURE-----"), stop)
    if words and bare[words[0]] == "-----BEGIN PGP SIGNED MESSAGE-----":
        begin = next((at for at in range(words[0], end) if not bare[at]), start)
    return begin, end


def _marked(lines: Lines, start: int, stop: int) -> int:
    """Where the element begins that a client put the signature into, under something else; ``stop`` without one."""
    begin = at = stop
    while at > start and (not lines.bare[at - 1] or lines.mark(at - 1) == markup.SIGNATURE):
        at -= 1
        begin = at if lines.bare[at] else begin
    return begin if endings.has_words(lines, start, begin) else stop


def _scanner(lines: Lines, start: int, stop: int) -> int:
    """Where the footer of a virus scanner at the end of the lines ``start`` to ``stop`` begins, its rule with it."""
    for at in range(stop - 1, max(start - 1, stop - 8), -1):
        bare = lines.bare[at]
        if endings.is_scanner(bare):
            begin = at
            while begin > start and (not lines.bare[begin - 1] or endings.is_rule(lines.bare[begin - 1], 2)):
                begin -= 1
            return begin
        if bare and not endings.is_link(bare):
            break
    return stop


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
