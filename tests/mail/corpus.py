"""The corpus of mails (tests/corpus/mail/README.md): each ``.eml`` with what was expected of it before it was read."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bridge import pipeline
from bridge.mail.html import render_text
from bridge.model import Context, Decision, Envelope, InboundMail
from bridge.reference import AddressKeys

CORPUS = Path(__file__).parent.parent / "corpus" / "mail"
TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
OPTIONAL = {"rendition", "uploads", "envelope", "policy", "authentication", "context"}
"""Members that stand only where they say something."""
NEEDED = {
    *("why", "subject", "from", "text", "html", "attachments", "defects", "protection"),
    *("class", "action", "reason", "ticket", "posted", "encrypted"),
}


@dataclass(frozen=True)
class Case:
    """One mail of the corpus."""

    name: str

    @cached_property
    def raw(self) -> bytes:
        return (CORPUS / f"{self.name}.eml").read_bytes()

    @cached_property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((CORPUS / f"{self.name}.json").read_text(encoding="utf-8"))
        return found

    def envelope(self, mail: InboundMail) -> Envelope:
        """What SMTP would have said: the members of ``envelope``, and the usual for what it leaves out."""
        sender = mail.from_[0].address if mail.from_ else ""
        usual = {"mail_from": sender, "recipient": f"support+{TICKET}@example.com", "client_ip": "127.0.0.1"}
        given = {**usual, **self.expected.get("envelope", {})}
        return Envelope(**{**given, "siblings": tuple(given.get("siblings", ()))})

    def decide(self, mail: InboundMail) -> Decision:
        """The whole pipeline, with an empty context unless the case gives one."""
        envelope = self.envelope(mail)
        given = dict(self.expected.get("policy", {}))
        if "relay_networks" in given:
            given["relay_networks"] = tuple(ipaddress.ip_network(item) for item in given["relay_networks"])
        for name in ("domains", "allowed_senders"):
            if name in given:
                given[name] = frozenset(given[name])
        policy = pipeline.Policy(
            **{"loop_marker": "bridge.example.com", "domains": frozenset({"example.com"}), **given}
        )
        addressed = pipeline.address(
            envelope,
            domains=frozenset({"example.com"}),
            mailboxes=frozenset({"support"}),
            keys=AddressKeys(),
            signed="off",
        )
        context = self.expected.get("context", {})
        frozen = {name: frozenset(value) if name == "known_sender_of" else value for name, value in context.items()}
        return pipeline.decide(mail, envelope, addressed, policy, Context(**frozen))


def cases() -> list[Case]:
    """Every mail of the corpus, in order."""
    return [Case(path.stem) for path in sorted(CORPUS.glob("*.eml"))]


def seen(case: Case) -> dict[str, Any]:
    """What the bridge makes of a mail, in the words of the expectation."""
    mail = pipeline.read(case.raw)
    decision = case.decide(mail)
    found: dict[str, Any] = {
        "subject": mail.subject,
        "from": [mail.from_[0].name, mail.from_[0].address] if mail.from_ else None,
        "text": None if mail.text is None else mail.text.strip("\n"),
        "html": mail.html is not None,
        "attachments": [[item.name, item.content_type, item.size] for item in mail.attachments],
        "defects": list(mail.defects),
        "protection": list(mail.protection),
        "class": str(decision.mail_class),
        "action": decision.verdict.action,
        "reason": str(decision.verdict.reason),
        "ticket": decision.reference.ticket if decision.reference else "",
        "posted": decision.message.strip("\n"),
        "encrypted": decision.encrypted,
        "rendition": render_text(mail.html).strip("\n") if mail.html else "",
        "uploads": [item.name for item in decision.attachments],
        "authentication": decision.authentication.result,
    }
    return {name: value for name, value in found.items() if name in case.expected}


def wanted(case: Case) -> dict[str, Any]:
    """The expectation, as ``seen`` puts it: line breaks around a text are not compared."""
    texts = {"text", "posted", "rendition"}
    return {
        name: value.strip("\n") if name in texts and value is not None else value
        for name, value in case.expected.items()
        if name not in ("why", "envelope", "policy", "context")
    }
