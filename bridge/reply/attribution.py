"""Lines that say who wrote what follows, and when: "On Mon, 1 Jan 2024 at 10:00, Ann <ann@example.com> wrote:".

No language is recognised by its grammar. Evidence is counted instead: a verb of writing, a date, a time of day, an
address, a word that such lines begin with, and the colon at the end; what is enough depends on whether a quotation
follows. Clients wrap the line at 70 to 78 columns, so up to four lines are read together.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bridge.reply.lines import Lines
from bridge.reply.vocabulary import WORD, vocabulary

MAX_LENGTH = 400
"""Characters of an attribution, all its lines together; longer is prose."""
MAX_LINES = 6

_TIME = re.compile(r"\d{1,2} ?[:.h\u6642\u65f6\uc2dc] ?\d{2}(?!\d)|\d{1,2} ?(?:am|pm|uhr|h)(?![^\W\d_])")
_DATE = re.compile(
    r"(?<!\d)\d{1,4} ?[./-] ?\d{1,2} ?[./-] ?\d{1,4}(?!\d)"
    r"|\d{1,4} ?\u5e74 ?\d{1,2} ?\u6708|\d{4} ?\ub144 ?\d{1,2} ?\uc6d4"
)
_YEAR = re.compile(r"(?<!\d)(?:19|20|25|14|13)\d{2}(?!\d)")
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_ADDRESS = re.compile(r"[^\s@<>\[\](),;:]+@[^\s@<>]+")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{1,2}:\d{2} GMT[+-]\d{2}:\d{2} ([^<:]+)(?:<|:|$)")
_MARKUP = "*_<>\"'“”„ "
_COLONS = (":", "\uff1a", "\ufe55", "\ufe13")
_OPENING_QUOTES = "\"“„«»‚‘'「『"


class Evidence(NamedTuple):
    """What a line, or some lines together, say."""

    verb: bool
    date: bool
    time: bool
    address: bool
    lead: bool
    colon: bool
    ours: bool
    """Names one of our own mailboxes or names (``Hints``)."""
    bracketed: bool
    """Holds an address in angle brackets, as clients write a mailbox with its name (RFC 5322 §3.4)."""
    stamped: bool
    """A date, a time of day, its distance from Greenwich and a name, as Gmail wrote in many languages."""
    words: int


class Attribution(NamedTuple):
    """Lines ``first`` to ``last`` are an attribution."""

    first: int
    last: int
    certain: bool
    """Certain even when no quotation follows."""


def weigh(text: str, ours: tuple[str, ...] = ()) -> Evidence:
    """Count the evidence in ``text``."""
    known = vocabulary()
    address = "@" in text and bool(_ADDRESS.search(text))
    folded = full = text.casefold()
    if address:
        folded = _ADDRESS.sub(" ", folded)
    words = WORD.findall(folded)
    unspaced = not text.isascii()
    unique = set(words)
    verb = any(phrase in folded for word in unique & known.verbs.keys() for phrase in known.verbs[word])
    if unspaced and not verb:
        verb = any(phrase in folded for phrase in known.glued_verbs)
    named = not unique.isdisjoint(known.calendar) or (unspaced and any(n in folded for n in known.glued_calendar))
    date = bool(_DATE.search(folded)) or (named and bool(_DAY.search(folded)))
    return Evidence(
        verb=verb,
        date=date or (named and bool(_YEAR.search(folded))),
        time=bool(_TIME.search(folded)),
        address=address,
        lead=_begins(folded, words),
        colon=text.rstrip(_MARKUP).endswith(_COLONS) or _is_dashed(text),
        ours=any(name in full for name in ours),
        stamped=" GMT" in text and _is_stamped(text),
        bracketed=address and "<" in text and ">" in text,
        words=len(words),
    )


def _is_stamped(text: str) -> bool:
    found = _STAMP.match(text)
    return found is not None and not any(word[0].islower() for word in found[1].split())


def _begins(folded: str, words: list[str]) -> bool:
    """The line begins as attributions do: with a lead word, a date, or a name of the calendar."""
    known = vocabulary()
    start = folded.lstrip(_MARKUP + "-~[(")
    if not start:
        return False
    if start[0].isdigit():
        return True
    return bool(words) and start.startswith(words[0]) and (words[0] in known.leads or words[0] in known.calendar)


def _is_dashed(text: str) -> bool:
    """``----- On 1/2/2024 10:00, Ann wrote -----``: dashes around it do what the colon does (Yahoo, eM Client)."""
    return text.startswith("--") and text.endswith("--")


def find(lines: Lines, index: int, quoted: bool, ours: tuple[str, ...] = ()) -> Attribution | None:
    """The attribution that ends at line ``index``, if one does; ``quoted`` says that a quotation follows it."""
    text = ""
    best: Attribution | None = None
    most = -1
    gap = has_date = False
    depth = lines.depth[index]
    for first in range(index, max(index - MAX_LINES, -1), -1):
        part = lines.bare[first]
        if not part and not lines.depth[first] and not gap and text and not has_date and _is_torn(text):
            gap = True
            continue
        if not part or (lines.depth[first] != depth and first != index) or len(part) + len(text) > MAX_LENGTH:
            break
        if lines.depth[first] and not is_tail(lines, first):
            break
        depth = 0
        text = f"{part} {text}" if text else part
        evidence = weigh(text, ours)
        has_date = evidence.date
        if not enough(evidence, quoted) or is_glued(text, evidence):
            continue
        weight = 2 * (evidence.verb + evidence.address + evidence.date + evidence.time) + evidence.lead
        if weight > most:
            best, most = Attribution(first, index, is_certain(evidence)), weight
        if evidence.verb and evidence.date and evidence.lead and (evidence.address or evidence.time):
            break
    return best


def _is_torn(text: str) -> bool:
    """The end of an attribution that a client tore apart with a blank line: its address, or no more than its verb."""
    return "@" in text or (len(text) < 20 and text.endswith(_COLONS) and weigh(text).verb)


def is_glued(text: str, evidence: Evidence) -> bool:
    """The author's words stand in the same line, in front of the attribution: then the line must stay.

    Clients that write no line break before it (Yahoo's old plain text, text made of HTML) leave ``yes--- On Mon, …``.
    """
    if evidence.lead:
        return False
    if "--" in text.lstrip("- ").rstrip("- "):
        return True
    known = vocabulary()
    words = text.casefold().split()
    for at in range(1, len(words) - 1):
        before = words[at - 1].strip(_MARKUP + ",.:")
        if "@" in before or before in known.verbs or before in known.calendar or any(c.isdigit() for c in before):
            return False
        if words[at] in known.leads and (words[at + 1][0].isdigit() or words[at + 1].strip(",.") in known.calendar):
            return True
    return False


def is_tail(lines: Lines, index: int) -> bool:
    """``> wrote:`` is the end of an attribution that was wrapped before its bracket, not a quotation."""
    bare = lines.bare[index]
    return lines.depth[index] == 1 and len(bare) < 40 and bare.endswith(_COLONS) and weigh(bare).verb


def enough(evidence: Evidence, quoted: bool) -> bool:
    """Whether the evidence makes an attribution; less is needed when a quotation follows."""
    verb, date, time, address, lead, colon, ours, _, _, words = evidence
    if not quoted:
        return is_certain(evidence)
    if verb and (colon or address or (date and (time or lead))):
        return words <= 60
    if ours and (colon or date):
        return True
    if date and ((address and (colon or lead)) or (time and colon)):
        return True
    return address and colon and words <= 12


def is_certain(evidence: Evidence) -> bool:
    """Evidence that stands alone: verb, full date and address or time; or date, time and address up to a colon."""
    verb, date, time, address, lead, colon, ours, bracketed, stamped, words = evidence
    if words > 45:
        return False
    if verb and date and colon and (address or time or ours):
        return True
    if verb and address and colon and words <= 6:
        return bracketed
    if stamped and words <= 7:
        return True
    return date and time and address and (colon or (verb and lead))


def is_prose(lines: Lines, after: int) -> bool:
    """The line after an attribution opens a quotation with quotation marks: the author tells what somebody wrote."""
    return after >= 0 and not lines.depth[after] and lines.bare[after][:1] in tuple(_OPENING_QUOTES)
