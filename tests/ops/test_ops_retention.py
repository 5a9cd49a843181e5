"""Retention trusts no clock that just jumped."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog import get_logger
from structlog.testing import capture_logs

from bridge.errors import SpoolBroken, SpoolBusy
from bridge.ops import retention


class Erasing:
    """A spool that notes what it is asked to erase."""

    def __init__(self, *errors: Exception) -> None:
        self.asked: list[tuple[float, float]] = []
        self._errors = list(errors)

    async def erase(self, *, ended_before: float, held_before: float) -> int:
        self.asked.append((ended_before, held_before))
        if self._errors:
            raise self._errors.pop(0)
        return 3


async def kept_for(spool: Any, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await retention.keep(spool, 14, get_logger(), every_s=0.02)


def test_what_is_past_its_days_is_erased_and_said() -> None:
    spool, now = Erasing(SpoolBusy("busy")), time.time()
    with capture_logs() as said:
        asyncio.run(kept_for(spool, 0.3))
    assert len(spool.asked) >= 2, "a busy spool is asked again"
    ended, held = spool.asked[0]
    assert (now - ended, now - held) == pytest.approx((14 * 86_400, 90 * 86_400), abs=60)
    assert said[0]["entries"] == 3


def test_not_in_the_hour_of_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    spool, real, began = Erasing(), time.time, time.monotonic()
    monkeypatch.setattr(retention.time, "time", lambda: real() + 400 * 86_400 * (time.monotonic() - began))
    asyncio.run(kept_for(spool, 0.2))
    assert spool.asked == []


def test_a_broken_spool_is_no_reason_to_go_on() -> None:
    with pytest.raises(SpoolBroken):
        asyncio.run(kept_for(Erasing(SpoolBroken("gone")), 1.0))
