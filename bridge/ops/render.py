"""A decision as people and scripts see it: ``explain``, ``queue show`` and ``demo`` share it.

What comes from a mail is always printed as text: control characters are shown, never obeyed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from typing import Any

from rich.text import Text

from bridge.model import Decision, ReplyLine
from bridge.ops.covering import Covering
from bridge.reasons import REASONS, Reason
from bridge.sensitivity import COULD_NOT_SCAN

_STYLES = {"deliver": "bold green", "create": "bold green", "hold": "bold yellow", "record": "cyan", "discard": "red"}


def clean(value: str) -> str:
    """``value`` with every control and bidirectional character made visible (``\\x1b``), tabs kept."""
    return "".join(
        char if char == "\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs") else _escaped(char)
        for char in value
    )


def _escaped(char: str) -> str:
    if char in "\u200d\u200c":
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def as_dict(decision: Decision, covering: Covering | None = None) -> dict[str, Any]:
    """The members that ``explain --json`` promises (docs/explain.md); with ``covering`` without secrets in names."""
    reference, sender = decision.reference, decision.sender
    named, place = _covers(decision, covering)
    return {
        "verdict": {"action": decision.verdict.action, "reason": str(decision.verdict.reason)},
        "ticket": {"id": reference.ticket, "source": reference.source} if reference else None,
        "class": str(decision.mail_class),
        "class_reason": decision.class_reason,
        "sender": {
            "address": sender.address if sender else "",
            "name": named(sender.name) if sender else "",
            "authenticated": decision.authentication.result == "pass",
            "authentication": decision.authentication.why,
        },
        "subject": decision.subject,
        "message": decision.message,
        "reply": decision.reply.text if decision.reply else "",
        "elided": decision.reply.elided if decision.reply else "",
        "encrypted": decision.encrypted,
        "findings": [{"rule": f.rule, "tier": f.tier, "where": place(f.where)} for f in decision.findings],
        "attachments": [
            {"name": named(a.name), "content_type": a.content_type, "size": a.size} for a in decision.attachments
        ],
        "defects": list(decision.defects),
    }


def _covers(decision: Decision, covering: Covering | None) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """What covers a name, and what covers a finding's place."""
    if covering is None:
        return str, str
    return covering.named, partial(covering.place, decision)


def unread(defect: str) -> dict[str, Any]:
    """The same members for a mail that broke its reader: held, and flagged because nothing was scanned."""
    return {
        "verdict": {"action": "hold", "reason": str(Reason.UNREADABLE)},
        "ticket": None,
        "class": None,
        "class_reason": "",
        "sender": {"address": "", "name": "", "authenticated": False, "authentication": ""},
        "subject": "",
        "message": "",
        "reply": "",
        "elided": "",
        "encrypted": True,
        "findings": [{"rule": COULD_NOT_SCAN, "tier": "certain", "where": "mail"}],
        "attachments": [],
        "defects": [defect],
    }


def request(decision: Decision) -> tuple[str, dict[str, Any]] | None:
    """The request that the decision leads to (ticket-api, sections 1 and 6), or None when nothing is sent."""
    if decision.verdict.action == "deliver" and decision.reference:
        path = f"POST /api/v2/support/tickets/{decision.reference.ticket}/messages"
        return path, {"message": decision.message, "encrypted": decision.encrypted}
    if decision.verdict.action == "create":
        return "POST /api/v2/support/tickets", {"subject": decision.subject, "message": decision.message}
    return None


def summary(decision: Decision, covering: Covering | None = None, *, reveal: bool = False) -> Iterable[Text]:
    """What became of a mail, in a few coloured lines.

    With ``covering`` what the sensitivity rules matched in names is covered or, with ``reveal``, all of it is told.
    """
    named, place = _covers(decision, None if reveal else covering)
    verdict = decision.verdict
    line = Text(f"{verdict.action} ", style=_STYLES[verdict.action])
    line.append(str(verdict.reason), style="bold").append(f"  {REASONS[verdict.reason]}", style="dim")
    yield line
    reference = decision.reference
    yield _pair("ticket", f"{reference.ticket}, from the {reference.source}" if reference else "none")
    sender = decision.sender
    who = f"{named(sender.name)} <{sender.address}>" if sender else "nobody"
    yield _pair("sender", f"{who}, authentication: {decision.authentication.result} ({decision.authentication.why})")
    yield _pair("class", f"{decision.mail_class} ({decision.class_reason})")
    yield _pair("encrypted", "yes" if decision.encrypted else "no")
    for finding in decision.findings:
        posted = "" if finding.posted else " (only in what was cut)"
        told = "".join(f": {text}" for text in covering.matched(decision, finding)) if covering and reveal else ""
        yield _pair("finding", f"{finding.rule}, {finding.tier}, {place(finding.where)}{posted}{told}")
    for item in decision.attachments:
        yield _pair("attachment", f"{named(item.name)}, {item.content_type}, {item.size} bytes")
    for defect in decision.defects:
        yield _pair("defect", defect)
    for note in decision.notes:
        yield _pair("note", note)


def lines(decision: Decision, covering: Covering | None = None, *, brief: bool = False) -> Iterable[Text]:
    """Every line of the mail's words, kept or cut, and why where that changes.

    With ``covering`` what the sensitivity rules matched is covered; ``brief`` shows of each run of cut lines the first.
    """
    found = decision.reply.lines if decision.reply else ()
    texts = [line.text for line in found]
    shown = covering.covered_lines(texts) if covering else texts
    for kept, run in groupby(zip(found, shown, strict=True), key=lambda pair: pair[0].kept):
        pairs = list(run)
        if kept or not brief:
            yield from _run(pairs)
        else:
            yield from _first(pairs)


def _run(pairs: list[tuple[ReplyLine, str]]) -> Iterable[Text]:
    said = ""
    for line, shown in pairs:
        text = _line(line, shown)
        why = f"{line.kind}: {line.reason}"
        if line.text.strip() and why != said:
            text.append(f"   [{why}]", style="blue" if line.kept else "magenta")
            said = why
        yield text


def _first(pairs: list[tuple[ReplyLine, str]]) -> Iterable[Text]:
    """The first line of a run of cut ones that says something, and how many there are."""
    worded = [(line, shown) for line, shown in pairs if line.text.strip()]
    if not worded:
        return
    line, shown = worded[0]
    text = _line(line, shown if len(shown) <= 60 else f"{shown[:60]} …")
    count = f"{len(worded)} lines cut" if len(worded) > 1 else "cut"
    yield text.append(f"   [{count}: {line.reason}]", style="magenta")


def _line(line: ReplyLine, shown: str) -> Text:
    text = Text("+ " if line.kept else "- ", style="green" if line.kept else "dim")
    return text.append(clean(shown), style="" if line.kept else "dim")


def _pair(name: str, value: str) -> Text:
    return Text(f"{name:>11}  ", style="dim").append(clean(value), style="default")
