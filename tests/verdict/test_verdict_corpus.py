"""Whole mails through ``read``, ``address`` and ``decide``: tests/corpus/routing (its README has the format)."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import pipeline
from bridge.model import Context, Decision, Envelope
from bridge.reference import AddressKeys

CORPUS = Path(__file__).parents[1] / "corpus/routing"
NAMES = sorted(path.stem for path in CORPUS.glob("*.eml"))
KEYS = AddressKeys.parse("a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
POLICY = pipeline.Policy(
    loop_marker="ticket-bridge@example.com",
    domains=frozenset({"example.com"}),
    relay_networks=(ipaddress.ip_network("10.0.0.0/8"),),
    authserv_id="mx.example.com",
    number_policy="known",
)


def decided(name: str) -> tuple[dict[str, Any], Decision]:
    case = json.loads((CORPUS / f"{name}.json").read_text("utf-8"))
    given = case.get("envelope", {})
    envelope = Envelope(
        mail_from=given.get("mail_from", "anna@example.net"),
        recipient=given.get("rcpt", "support@example.com"),
        siblings=tuple(given.get("siblings", ())),
        client_ip=given.get("client", "10.0.0.1"),
    )
    asked = case.get("policy", {})
    addressed = pipeline.address(
        envelope,
        domains=frozenset({"example.com"}),
        mailboxes=frozenset({"support", "help"}),
        keys=KEYS,
        signed=asked.pop("signed", "off"),
    )
    asked = {key: frozenset(value) if key == "allowed_senders" else value for key, value in asked.items()}
    known = dict(case.get("context", {}))
    known["known_sender_of"] = frozenset(known.get("known_sender_of", ()))
    mail = pipeline.read((CORPUS / f"{name}.eml").read_bytes())
    return case["expect"], pipeline.decide(mail, envelope, addressed, replace(POLICY, **asked), Context(**known))


@pytest.mark.parametrize("name", NAMES)
def test_mails(name: str) -> None:
    expected, decision = decided(name)
    reference = decision.reference
    found = {
        "verdict": decision.verdict.action,
        "reason": str(decision.verdict.reason),
        "ticket": reference.ticket if reference else None,
        "source": reference.source if reference else None,
        "proof": ("signed" if reference.signed else "id" if reference.unguessable else "none") if reference else None,
        "class": str(decision.mail_class),
        "authentication": decision.authentication.result,
        "message": decision.message,
        "notes": list(decision.notes),
        "cc": list(decision.cc),
    }
    assert {key: found[key] for key in expected} == expected
    assert {"verdict", "reason", "ticket", "class", "authentication"} <= set(expected)


def test_every_mail_has_its_expectation_and_no_other() -> None:
    assert sorted(path.stem for path in CORPUS.glob("*.json")) == NAMES
    assert len(NAMES) >= 40
