"""Header blocks that Outlook and its kin put above the message that is answered, and the rules around them."""

from __future__ import annotations

from typing import NamedTuple

from bridge.reply.lines import INVISIBLE, Lines
from bridge.reply.vocabulary import vocabulary

MAX_LABEL = 40
"""Characters of the longest label, with its emphasis."""
MAX_BLOCK = 40
"""Lines that a block may have."""

_EMPHASIS = INVISIBLE + "*_|•·- "
_COLONS = (":", "\uff1a")
_RAW_NAMES = """
    received return-path message-id mime-version content-type content-transfer-encoding dkim-signature
    delivered-to x-mailer x-spam-status authentication-results arc-seal in-reply-to references user-agent
    x-originating-ip x-original-to envelope-to status remote-mta action diagnostic-code
    via call-id cseq max-forwards contact host accept
"""
_RAW = frozenset(_RAW_NAMES.split())
"""Fields of a raw mail (RFC 5322), SIP (RFC 3261) or HTTP message that no client shows above a quotation: with them the
block is somebody's paste."""
_DASHES = "-–—_=*~#+<> \t\xa0\u2500\u2501|"


class Block(NamedTuple):
    """Lines ``first`` to ``last`` are labelled like the headers of a message."""

    first: int
    last: int
    kinds: frozenset[str]
    found: bool
    """They are enough to be a header block; if not, no block begins inside them either."""


def name(bare: str) -> str:
    """What stands before the first colon, case-folded."""
    return bare.replace("\uff1a", ":").partition(":")[0].strip(_EMPHASIS).casefold()


def label(bare: str) -> tuple[str, str]:
    """The kind of header label that the line begins with, and the value behind it; empty when it begins with none."""
    end = bare.find(":", 0, MAX_LABEL)
    wide = -1 if bare.isascii() else bare.find("\uff1a", 0, MAX_LABEL)
    if end < 0 or 0 <= wide < end:  # The value may hold the other colon: a time of day, "Re:".
        end = wide
        if end < 0:
            return "", ""
    folded = bare[:end].strip(_EMPHASIS).casefold()
    kind = vocabulary().labels.get(folded)
    if kind is None:
        if folded in _RAW or folded.startswith("x-"):
            return "raw", ""
        return "", ""
    return kind, bare[end + 1 :].strip(_EMPHASIS)


def find(lines: Lines, first: int) -> Block | None:
    """The labelled lines that begin at line ``first``; None when it has no label that a block begins with."""
    kind, value = label(lines.bare[first])
    if not kind or kind in ("raw", "other", "cc") or lines.bare[first].lstrip(_EMPHASIS)[0].islower():
        return None  # No client writes its first label in lower case; configuration files do.
    kinds = {kind}
    evidence = _evidence(kind, value)
    last = first
    raw = sum(label(lines.bare[at])[0] == "raw" for at in range(max(first - 6, 0), first))
    gap = 0
    for at in range(first + 1, min(first + MAX_BLOCK, len(lines))):
        bare = lines.bare[at]
        if bool(lines.depth[at]) != bool(lines.depth[first]):
            break
        kind, value = label(bare) if bare else ("", "")
        if kind == "raw":
            raw += 1
        elif kind:
            kinds.add(kind)
            evidence += _evidence(kind, value)
            last, gap = at, 0
            continue
        gap += 1
        if gap > 2:
            break
    if raw > 1 or not (_enough(kinds, evidence) or (evidence and inline(lines.bare[first]))):
        return Block(first, last, frozenset(kinds), found=False)
    return Block(first, last, frozenset(kinds), found=True)


def _evidence(kind: str, value: str) -> int:
    """A date with digits and a person with an address count; so do values that are left empty for the next line."""
    if kind == "date":
        return 2 * any(character.isdigit() for character in value)
    if kind in ("from", "to", "cc"):
        return 2 if "@" in value else 0
    return 0


def _enough(kinds: set[str], evidence: int) -> bool:
    people = kinds - {"other"}
    if len(people) >= 3 and ("from" in kinds or ("date" in kinds and evidence >= 4)):
        return True
    return len(people) == 2 and "from" in kinds and "to" not in kinds and evidence >= 2


def separator(bare: str) -> str:
    """``original`` or ``forwarded`` for a line such as ``-----Original Message-----``; ``rule`` for a line of dashes;
    ``words`` before it when no dashes stand around ("Begin forwarded message:"); else empty."""
    if len(bare) > 160:
        return "rule" if len(bare) < 400 and not bare.strip("-_=") else ""
    words = bare.strip(_DASHES)
    if not words:
        return "rule" if len(bare) >= 3 and bare[0] in "-_=\u2500\u2501—–" else ""
    if len(words) > 90:
        return ""
    folded = words.rstrip(":\uff1a").strip().casefold()
    kind = vocabulary().separators.get(folded, "")
    if kind:
        dashed = bare[0] in "-–—_=*#\u2500" and len(bare) - len(words) >= 2
        return kind if dashed else f"bare {kind}"
    if bare.startswith("--") and any(folded.startswith(start) for start in vocabulary().forwarded_by):
        return "forwarded"
    return ""


def prefix(subject: str) -> str:
    """What a client put before the subject's colon, behind what gateways put in front of it (``[EXTERNAL] FW: …``)."""
    while subject.startswith("[") and "]" in subject:
        subject = subject.partition("]")[2].lstrip()
    return name(subject)


def inline(bare: str) -> bool:
    """Several headers in one line, as HTML without breaks between them is shown: ``From: … Date: … Subject: …``."""
    kinds = set()
    labels = vocabulary().labels
    for part in bare[:300].split(":")[:8]:
        words = part.split()
        for count in (1, 2):
            kind = labels.get(" ".join(words[-count:]).strip(_EMPHASIS).casefold()) if words else None
            if kind is not None:
                kinds.add(kind)
    return "from" in kinds and "date" in kinds
