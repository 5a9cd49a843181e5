"""What makes two mails the same one (design §5): never the Message-ID alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.delivery.outgoing import dedupe_key
from bridge.model import Decision
from bridge.reasons import Reason
from bridge.spool.api import Claim, Entry, State
from tests.spool.samples import decision, lane, mail

ENTRY = Entry(
    id="0" * 26,
    seq=1,
    state=State.READY,
    reason=Reason.WAITING,
    lane=lane(1),
    envelope=mail().envelopes[0],
    sender="anna@example.org",
    message_id="m1@example.org",
    size=1,
    digest="ab" * 32,
    attempts=0,
    accepted_at=0.0,
    updated_at=0.0,
    next_at=0.0,
)


def key(of: Decision, **entry: str) -> str:
    return dedupe_key(Claim(replace(ENTRY, **entry), 1, 0.0), of)


def test_the_same_mail_again_is_the_same() -> None:
    again = key(decision(), id="1" * 26, digest="cd" * 32)
    assert key(decision()) == again, "a relay that lost the answer sends it with another Received field on top"


@pytest.mark.parametrize(
    ("other", "entry"),
    [
        (decision(text="hello again"), {}),
        (decision(message_id="m2@example.org"), {}),
        (replace(decision(), attachments=()), {}),
        (decision(), {"lane": lane(2)}),
    ],
    ids=["other words", "other Message-ID", "other attachments", "other ticket"],
)
def test_what_makes_another_mail(other: Decision, entry: dict[str, str]) -> None:
    assert key(other, **entry) != key(decision())


def test_without_a_message_id_the_bytes_tell() -> None:
    nameless = decision(message_id="")
    assert key(nameless) == key(nameless, id="1" * 26)
    assert key(nameless) != key(nameless, digest="cd" * 32)
