"""A clock that was wrong when a message was sent, and was set before it was looked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.delivery.reconcile import Found, Window, message_on

NOW = 1_800_000_000.0
WINDOW = Window(NOW, NOW + 30)
HOUR = 3_600.0


def seen(offset_s: float, body: str = "Tack!", *confirmed: str) -> Found:
    """What looking for "Tack!" shows when the ticket has ``body``, stamped so far from the attempt."""
    stamp = datetime.fromtimestamp(NOW + offset_s, UTC).isoformat()
    message = {"id": "tmsg_1", "sender": "customer", "sentAt": stamp, "body": body, "encrypted": False}
    known = frozenset(confirmed)
    return message_on({"messages": [message]}, "Tack!", encrypted=False, window=WINDOW, confirmed=known).found


@pytest.mark.parametrize("offset_s", [-30 * HOUR, -HOUR, HOUR, 30 * HOUR])
def test_an_equal_message_at_another_time_is_neither_ours_nor_absent(offset_s: float) -> None:
    assert seen(offset_s) is Found.UNDECIDABLE
    assert seen(offset_s, "Tack!", "tmsg_1") is Found.ABSENT, "another entry's"
    assert seen(offset_s, "Hej!") is Found.ABSENT


@pytest.mark.parametrize("offset_s", [-72 * HOUR, 72 * HOUR])
def test_one_of_days_ago_is_another(offset_s: float) -> None:
    assert seen(offset_s) is Found.ABSENT


@pytest.mark.parametrize("offset_s", [-200.0, 0.0, 300.0])
def test_within_the_window_it_is_ours(offset_s: float) -> None:
    assert seen(offset_s) is Found.OURS
