"""Small mails share a trip to a worker, and one that breaks it harms no other."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from bridge.errors import UnreadableMail
from bridge.isolation import BATCH, BATCH_BYTES, Isolation


def pid(_number: int) -> int:
    return os.getpid()


def broken(what: str) -> None:
    raise ValueError(what)


async def together(isolation: Isolation, *calls: tuple[Any, ...], size: int = 100) -> list[Any]:
    return await asyncio.gather(*(isolation._run(*call, size=size) for call in calls), return_exceptions=True)


def test_small_calls_go_together_and_large_ones_alone() -> None:
    isolation = Isolation(1)
    calls = [(pid, number) for number in range(BATCH + 2)]

    async def work() -> tuple[list[Any], list[Any]]:
        return await together(isolation, *calls), await together(isolation, *calls[:2], size=BATCH_BYTES)

    small, large = asyncio.run(work())
    assert len({*small, *large}) == 1, "one worker"
    assert len(small) == BATCH + 2
    assert len(large) == 2


def test_what_kills_its_worker_or_raises_is_told_alone() -> None:
    async def work() -> list[Any]:
        return await together(Isolation(1), (pid, 1), (os._exit, 3), (broken, "a customer's words"), (pid, 2))

    first, killed, raised, last = asyncio.run(work())
    assert isinstance(first, int)
    assert isinstance(last, int)
    assert isinstance(killed, UnreadableMail)
    assert isinstance(raised, UnreadableMail)
    assert (killed.defect, raised.defect) == ("crash", "ValueError")
    assert "customer" not in str(raised)


def test_a_caller_that_has_gone_away_stops_nothing() -> None:
    async def work() -> Any:
        isolation = Isolation(1)
        gone = asyncio.create_task(isolation._run(pid, 1, size=100))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await isolation._run(pid, 2, size=100)

    assert isinstance(asyncio.run(work()), int)
