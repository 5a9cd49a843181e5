"""The gates in their order: what stops a mail, what stops it first, and what a person's word opens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.model import Address, Authentication, Context, Reference, Verdict
from bridge.reasons import MailClass, Reason
from bridge.verdict import RECORDED, Case, judge

ID = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
FULL = Reference(ID, "address", unguessable=True)
NUMBER = Reference("149943", "subject", unguessable=False)
ANNA = Address("Anna", "anna@example.net")
GOOD = Case(
    mail_class=MailClass.HUMAN,
    unreadable=False,
    mailbox="support",
    problem="",
    reference=FULL,
    conflict=False,
    sibling_has_ticket=False,
    sender=ANNA,
    authentication=Authentication("unknown", "x"),
    message="Hello",
    number_policy="known",
    allow_listed=False,
    no_ticket="hold",
    context=Context(),
)
PASS = {"reference": NUMBER, "authentication": Authentication("pass", "x")}
OVERRIDE, RELEASED = Context(override=ID), Context(released=True)

TABLE: list[tuple[dict[str, Any], str, Reason]] = [
    ({}, "deliver", Reason.REPLY),
    ({"sender": None}, "deliver", Reason.REPLY),
    # Unreadable and loops, whatever else is said.
    ({"unreadable": True}, "hold", Reason.UNREADABLE),
    ({"unreadable": True, "context": OVERRIDE}, "deliver", Reason.REPLY),
    ({"unreadable": True, "context": RELEASED}, "deliver", Reason.REPLY),
    ({"unreadable": True, "context": RELEASED, "message": ""}, "hold", Reason.UNREADABLE),
    ({"unreadable": True, "mail_class": MailClass.LOOP}, "hold", Reason.UNREADABLE),
    ({"mail_class": MailClass.LOOP}, "hold", Reason.LOOP),
    ({"mail_class": MailClass.LOOP, "context": OVERRIDE}, "hold", Reason.LOOP),
    ({"mail_class": MailClass.LOOP, "context": RELEASED}, "hold", Reason.LOOP),
    # Automatic mail is never posted, not even by a person's word.
    *(({"mail_class": kind}, "record", reason) for kind, reason in RECORDED.items()),
    *(({"mail_class": kind, "context": OVERRIDE}, "record", reason) for kind, reason in RECORDED.items()),
    *(({"mail_class": kind, "context": RELEASED}, "record", reason) for kind, reason in RECORDED.items()),
    ({"mail_class": MailClass.BOUNCE, "problem": "malformed"}, "record", Reason.BOUNCE),
    ({"mail_class": MailClass.AUTO_REPLY, "reference": None}, "record", Reason.AUTO_REPLY),
    # Addressed wrongly.
    ({"mailbox": "postmaster"}, "hold", Reason.POSTMASTER),
    ({"mailbox": "postmaster", "context": OVERRIDE}, "deliver", Reason.REPLY),
    ({"problem": "malformed"}, "hold", Reason.BAD_REFERENCE),
    ({"problem": "bad_signature"}, "hold", Reason.BAD_SIGNATURE),
    ({"problem": "unsigned"}, "hold", Reason.BAD_SIGNATURE),
    ({"problem": "bad_signature", "context": RELEASED}, "hold", Reason.BAD_SIGNATURE),
    ({"problem": "bad_signature", "context": OVERRIDE}, "deliver", Reason.REPLY),
    ({"conflict": True, "reference": None}, "hold", Reason.CONFLICTING_REFERENCES),
    ({"conflict": True, "reference": None, "context": RELEASED}, "hold", Reason.CONFLICTING_REFERENCES),
    ({"conflict": True, "context": OVERRIDE}, "deliver", Reason.REPLY),
    ({"conflict": True, "reference": None, "no_ticket": "create"}, "hold", Reason.CONFLICTING_REFERENCES),
    # No ticket.
    ({"reference": None}, "hold", Reason.NO_TICKET),
    ({"reference": None, "context": RELEASED}, "hold", Reason.NO_TICKET),
    ({"reference": None, "no_ticket": "create"}, "create", Reason.NEW_TICKET),
    ({"reference": None, "sibling_has_ticket": True}, "record", Reason.SIBLING_HAS_TICKET),
    ({"reference": None, "sibling_has_ticket": True, "no_ticket": "create"}, "record", Reason.SIBLING_HAS_TICKET),
    ({"sibling_has_ticket": True}, "deliver", Reason.REPLY),
    *(
        ({"reference": None, "mail_class": kind, "no_ticket": "create"}, "hold", Reason.BULK)
        for kind in (MailClass.BULK, MailClass.LIST)
    ),
    # Who may write.
    ({"reference": NUMBER}, "hold", Reason.SENDER_NOT_AUTHENTICATED),
    ({"reference": NUMBER, "authentication": Authentication("fail", "x")}, "hold", Reason.SENDER_NOT_AUTHENTICATED),
    ({"reference": NUMBER, "allow_listed": True}, "hold", Reason.SENDER_NOT_AUTHENTICATED),
    (
        {"reference": NUMBER, "context": Context(known_sender_of=frozenset({"149943"}))},
        "hold",
        Reason.SENDER_NOT_AUTHENTICATED,
    ),
    ({"reference": NUMBER, "number_policy": "accept"}, "deliver", Reason.REPLY),
    ({"reference": NUMBER, "number_policy": "authenticated"}, "hold", Reason.SENDER_NOT_AUTHENTICATED),
    ({**PASS, "number_policy": "authenticated"}, "deliver", Reason.REPLY),
    (PASS, "hold", Reason.SENDER_NOT_KNOWN),
    ({**PASS, "allow_listed": True}, "deliver", Reason.REPLY),
    ({**PASS, "context": Context(known_sender_of=frozenset({"149943"}))}, "deliver", Reason.REPLY),
    (
        {**PASS, "context": Context(known_sender_of=frozenset({ID}), numbers={"149943": ID})},
        "deliver",
        Reason.REPLY,
    ),
    ({**PASS, "context": Context(known_sender_of=frozenset({ID}))}, "hold", Reason.SENDER_NOT_KNOWN),
    ({**PASS, "context": Context(known_sender_of=frozenset({"149944"}))}, "hold", Reason.SENDER_NOT_KNOWN),
    ({"reference": NUMBER, "context": RELEASED}, "deliver", Reason.REPLY),
    ({"reference": NUMBER, "context": OVERRIDE}, "deliver", Reason.REPLY),
    *(({"mail_class": kind}, "deliver", Reason.REPLY) for kind in (MailClass.BULK, MailClass.LIST)),
    *(
        ({**PASS, "mail_class": kind, "number_policy": "accept"}, "hold", Reason.BULK)
        for kind in (MailClass.BULK, MailClass.LIST)
    ),
    ({"reference": NUMBER, "mail_class": MailClass.LIST, "context": RELEASED}, "deliver", Reason.REPLY),
    # How often.
    ({"context": Context(recent_from_sender=20)}, "hold", Reason.TOO_MANY),
    ({"context": Context(recent_from_sender=19)}, "deliver", Reason.REPLY),
    ({"context": Context(equal_bodies=4)}, "hold", Reason.REPEATED),
    ({"context": Context(equal_bodies=3)}, "deliver", Reason.REPLY),
    ({"context": Context(recent_from_sender=99, equal_bodies=99, released=True)}, "deliver", Reason.REPLY),
    ({"context": Context(recent_from_sender=99, equal_bodies=99, override=ID)}, "deliver", Reason.REPLY),
    ({"reference": NUMBER, "context": Context(recent_from_sender=99)}, "hold", Reason.SENDER_NOT_AUTHENTICATED),
    # Nothing to post.
    ({"message": ""}, "hold", Reason.EMPTY_REPLY),
    ({"message": "", "context": OVERRIDE}, "hold", Reason.EMPTY_REPLY),
    ({"message": "", "context": RELEASED}, "hold", Reason.EMPTY_REPLY),
    ({"message": "", "reference": None, "no_ticket": "create"}, "hold", Reason.EMPTY_REPLY),
]


@pytest.mark.parametrize(("changed", "action", "reason"), TABLE)
def test_verdicts(changed: dict[str, Any], action: str, reason: Reason) -> None:
    assert judge(replace(GOOD, **changed)) == Verdict(action, reason)
