"""What the sensitivity rules matched: covered where a mail's words are shown, told where a person asks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridge.model import Decision, Finding
from bridge.sensitivity import Rules, mask, spans
from bridge.sensitivity.fold import fold

_PLACE = re.compile(r"(subject|body|cut)(?: line ([0-9]+))?")


class Covering:
    """Covers and tells by the rules and the tier that are in force."""

    def __init__(self, rules: Rules, tier: str) -> None:
        """``tier`` is the least sure finding that counts: ``certain`` or ``probable``."""
        self._rules = rules
        self._tier = tier

    def covered(self, text: str, scope: str = "body") -> str:
        """``text`` with everything that a rule matched in it covered by dots; otherwise unchanged."""
        if not spans(text, self._rules, scope=scope, tier=self._tier):
            return text
        return mask(text, self._rules, scope=scope, tier=self._tier)

    def covered_lines(self, lines: Sequence[str]) -> list[str]:
        """The same for lines that belong together: what is matched may stand on two of them."""
        whole = self.covered("\n".join(lines)).split("\n")
        return whole if len(whole) == len(lines) else [self.covered(line) for line in lines]

    def named(self, name: str) -> str:
        """A person's or a file's name, covered by the rules for text and by those for names of files."""
        return self.covered(self.covered(name), "attachment_name")

    def place(self, decision: Decision, where: str) -> str:
        """A finding's place, in which a file's name may stand, covered."""
        for attachment in decision.attachments:
            if where == f'attachment "{attachment.name}"':
                return f'attachment "{self.named(attachment.name)}"'
        return where

    def matched(self, decision: Decision, finding: Finding) -> tuple[str, ...]:
        """The text that a finding is about; empty where the decision does not carry it (headers, protection)."""
        for attachment in decision.attachments:
            if finding.where == f'attachment "{attachment.name}"':
                named = self._of(attachment.name, "attachment_name", finding, 0)
                return named + self._of(attachment.text or "", "attachment", finding, 0)
        place = _PLACE.fullmatch(finding.where)
        if place is None:
            return ()
        elided = decision.reply.elided if decision.reply else ""
        text = {"subject": decision.subject, "body": decision.message, "cut": elided}[place[1]]
        return self._of(text, "subject" if place[1] == "subject" else "body", finding, int(place[2] or 0))

    def _of(self, text: str, scope: str, finding: Finding, line: int) -> tuple[str, ...]:
        folded = fold(text).split("\n")
        return tuple(
            folded[span.line - 1][span.start : span.end]
            for span in spans(text, self._rules, scope=scope, tier=self._tier)
            if span.rule == finding.rule and line in (0, span.line)
        )
