"""Scanning one mail: every place a rule looks at, and findings that never carry the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.model import UNSEEN, Attachment, Finding
from bridge.sensitivity.fold import fold, line_number
from bridge.sensitivity.rules import COULD_NOT_SCAN, Hit, Rule, Rules

_FINDINGS = 20
"""Findings of one rule in one place at most: enough to look, and bounded."""
_TEXT = 2_000_000
"""Characters of one text that are scanned; what is longer cannot be scanned."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is scanned of a mail."""

    subject: str
    posted: str
    """The message as it will be posted."""
    elided: str
    """What was cut from it."""
    other_text: str = ""
    """The whole text before anything was cut, every alternative's: what stands in neither of the two counts as cut."""
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    protection: tuple[str, ...] = ()
    sender_domain: str = ""
    recipient_domain: str = ""
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """The operator's choices (``BRIDGE_SENSITIVITY_*``)."""

    tier: str = "probable"
    """``certain`` or ``probable``: the least sure finding that flags."""
    quoted: bool = False
    """What was cut flags, too."""
    always_domains: frozenset[str] = frozenset()
    """Domains of senders or recipients, lower case, whose mail is always flagged; beats ``never_domains``."""
    never_domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found."""

    encrypted: bool
    """Post with ``encrypted: true``."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    scope: str
    name: str
    text: str
    posted: bool = True
    numbered: bool = False

    def where(self, line: int) -> str:
        return f"{self.name} line {line}" if self.numbered else self.name


def scan(rules: Rules, content: Content, options: Options) -> Scan:
    """Everything that the rules say of a mail. Never raises: what cannot be scanned is flagged (fail closed).

    Findings in what is posted flag; those only in what was cut flag when ``options.quoted``. Findings below
    ``options.tier`` are left out.
    """
    try:
        findings = tuple(_findings(rules, content, options))
        domains = {content.sender_domain.lower(), content.recipient_domain.lower()} - {""}
        if domains & options.always_domains:
            findings += (Finding("always_domain", "certain", "header"),)
            return Scan(True, findings)
        flagged = any(finding.posted or options.quoted for finding in findings)
        return Scan(flagged and not domains & options.never_domains, findings)
    except Exception:  # noqa: BLE001 - whatever breaks here, an unflagged secret is worse
        return Scan(True, (Finding(COULD_NOT_SCAN, "certain", "mail"),))


def _findings(rules: Rules, content: Content, options: Options) -> Iterator[Finding]:
    for attachment in content.attachments:
        if attachment.encrypted:
            yield Finding(COULD_NOT_SCAN, "certain", f'attachment "{attachment.name}"')
    if any(_unscannable(defect) for defect in content.defects):
        yield Finding(COULD_NOT_SCAN, "certain", "mail")
    for place in _places(content):
        yield from _in_place(rules, place, options)


def _unscannable(defect: str) -> bool:
    """The defect says that words of the mail were not seen."""
    return defect.partition(":")[0] in UNSEEN


def _places(content: Content) -> Iterator[_Place]:
    yield _Place("subject", "subject", content.subject)
    yield _Place("body", "body", content.posted, numbered=True)
    yield _Place("body", "cut", content.elided, posted=False, numbered=True)
    other = content.other_text and _not_in(content.other_text, (content.posted, content.elided))
    yield _Place("body", "other text", other, posted=False, numbered=True)
    for attachment in content.attachments:
        where = f'attachment "{attachment.name}"'
        yield _Place("attachment_name", where, attachment.name)
        if attachment.text:
            yield _Place("attachment", where, attachment.text)
    headers = "\n".join(f"{name}: {value}" for name, value in content.headers)
    yield _Place("header", "header", headers.replace("\r", " "))
    for protection in content.protection:
        yield _Place("protection", "mail", protection)


def _not_in(text: str, others: Iterable[str]) -> str:
    """``text`` with every line emptied that stands in one of the others, so that nothing is scanned twice."""
    known = {" ".join(line.lstrip("> ").split()) for other in others for line in other.splitlines()}
    lines = [line if " ".join(line.lstrip("> ").split()) not in known else "" for line in text.splitlines()]
    return "\n".join(lines) if any(lines) else ""


def _in_place(rules: Rules, place: _Place, options: Options) -> Iterator[Finding]:
    if not place.text:
        return
    if len(place.text) > _TEXT:
        yield Finding(COULD_NOT_SCAN, "certain", place.name, place.posted)
    text = fold(place.text[:_TEXT])
    for rule in rules.candidates(place.scope, text):
        try:
            hits = _wanted(rule, text, options.tier)
        except Exception:  # noqa: BLE001 - a rule that breaks must not let the mail pass as clean
            yield Finding(COULD_NOT_SCAN, "certain", place.name, place.posted)
            continue
        lines: dict[int, str] = {}
        for hit in hits:
            line = line_number(text, hit.start) if place.numbered else 0
            if lines.get(line) != "certain":
                lines[line] = hit.tier
        for line, tier in lines.items():
            yield Finding(rule.id, tier, place.where(line), place.posted)


def _wanted(rule: Rule, text: str, tier: str) -> list[Hit]:
    hits: list[Hit] = []
    for hit in rule.matcher.find(text):
        if tier == "probable" or hit.tier == "certain":
            hits.append(hit)
            if len(hits) >= _FINDINGS:
                break
    return hits


@dataclass(frozen=True, slots=True)
class Span:
    """Where a rule matched a line of folded text: one-based line, characters from the line's start."""

    rule: str
    tier: str
    line: int
    start: int
    end: int


def spans(text: str, rules: Rules, *, scope: str = "body", tier: str = "probable") -> tuple[Span, ...]:
    """Where the rules match ``text``, by line; a match over several lines gives one span for each."""
    folded = fold(text[:_TEXT])
    found: list[Span] = []
    for rule in rules.candidates(scope, folded):
        for hit in _wanted(rule, folded, tier):
            found.extend(_by_line(folded, rule.id, hit))
    return tuple(sorted(found, key=lambda span: (span.line, span.start)))


def _by_line(text: str, rule: str, hit: Hit) -> Iterator[Span]:
    line = line_number(text, hit.start)
    begin = text.rfind("\n", 0, hit.start) + 1
    for number, part in enumerate(text[begin : hit.end].split("\n"), line):
        start = hit.start - begin if number == line else 0
        if start < len(part):
            yield Span(rule, hit.tier, number, start, len(part))


def mask(text: str, rules: Rules, *, scope: str = "body", tier: str = "probable", cover: str = "•") -> str:
    """Folded ``text`` with every character that a rule matched replaced by ``cover``: fit to be shown."""
    lines = [list(line) for line in fold(text[:_TEXT]).split("\n")]
    for span in spans(text, rules, scope=scope, tier=tier):
        lines[span.line - 1][span.start : span.end] = cover * (span.end - span.start)
    return "\n".join("".join(line) for line in lines)
