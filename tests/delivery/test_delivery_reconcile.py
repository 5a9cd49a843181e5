"""Looking for what may have been posted: pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.reconcile import (
    Found,
    Look,
    Window,
    ended_before,
    looks_done,
    message_on,
    normal,
    tickets_like,
)

WINDOW = Window(1_767_600_000.0, 1_767_600_030.0)
INSIDE, BEFORE = "2026-01-05T08:00:10Z", "2026-01-05T07:00:00Z"


def message(body: str | None, **members: Any) -> dict[str, Any]:
    return {"id": "tmsg_1", "sender": "customer", "sentAt": INSIDE, "encrypted": False, "body": body, **members}


def look(*messages: Any, text: str = "Thanks!", confirmed: frozenset[str] = frozenset()) -> Look:
    return message_on({"messages": list(messages)}, text, encrypted=False, window=WINDOW, confirmed=confirmed)


@pytest.mark.parametrize("body", ["Thanks!", " Thanks! \r\n", "Thanks!\n\n"])
@pytest.mark.parametrize("sent_at", [INSIDE, None, "nonsense", "2026-01-05T08:00:10", "0001-01-01T00:00:00+23:59"])
def test_an_equal_text_is_ours(body: str, sent_at: str | None) -> None:
    assert look(message(body, sentAt=sent_at)) in (Look(Found.OURS, "tmsg_1"), Look(Found.ABSENT))
    if sent_at != "0001-01-01T00:00:00+23:59":
        assert look(message(body, sentAt=sent_at)).found is Found.OURS


@pytest.mark.parametrize(
    "other",
    [
        message("Thanks!", sender="staff"),
        message("Thanks!", sentAt="2025-01-05T08:00:00Z"),
        message("Something else"),
        message("Thanks! And one more thing"),
        message(None, encrypted=True),
        "no message",
    ],
)
def test_what_is_not_ours(other: Any) -> None:
    assert look(other).found is Found.ABSENT


def test_an_equal_text_of_another_hour_is_held() -> None:
    assert look(message("Thanks!", sentAt=BEFORE)).found is Found.UNDECIDABLE


def test_a_confirmed_message_is_another_one() -> None:
    assert look(message("Thanks!"), confirmed=frozenset({"tmsg_1"})).found is Found.ABSENT
    assert look().found is Found.ABSENT
    assert message_on({}, "x", encrypted=False, window=WINDOW, confirmed=frozenset()).found is Found.ABSENT


@pytest.mark.parametrize(
    ("kept", "text"),
    [(None, "Thanks!"), ("Th", "Thanks!"), ("a &amp; b", "a & b"), ("one two", "one\n\ntwo"), ("", " ")],
)
def test_what_cannot_be_told(kept: str | None, text: str) -> None:
    found = look(message(kept), text=text).found
    assert found is (Found.OURS if kept is not None and normal(kept) == normal(text) else Found.UNDECIDABLE)


@given(st.text(st.characters(exclude_characters="\r"), max_size=60), st.sampled_from(["\n", "\r\n"]), st.integers(0, 3))
def test_tidying_changes_nothing(text: str, end: str, blanks: int) -> None:
    tidied = end.join(line + " " * blanks for line in text.split("\n")) + end * blanks
    assert normal(tidied) == normal(text)


def test_tickets_by_subject_and_time() -> None:
    listing = {
        "data": [
            {"id": "tkt_1", "subject": "Hej", "createdAt": INSIDE},
            {"id": "tkt_2", "subject": "Hej", "createdAt": BEFORE},
            {"id": "tkt_3", "subject": "Annat", "createdAt": INSIDE},
        ]
    }
    assert tickets_like(listing, "Hej", WINDOW) == ("tkt_1",)
    assert not ended_before(listing, WINDOW)
    assert ended_before({"data": [{"createdAt": BEFORE}]}, WINDOW)
    assert not ended_before({"data": [{}]}, WINDOW)


def test_looks_are_counted() -> None:
    assert [looks_done(outcome) for outcome in ("unknown", "absent_1", "absent_2", "absent_x", "")] == [0, 1, 2, 0, 0]
