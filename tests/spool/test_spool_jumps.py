"""A wall clock that jumps while the bridge serves, and one that jumped while it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bridge.reasons import Reason
from bridge.spool import Spool
from bridge.spool.api import Attempt, AttemptResult, Claim, Kind, Settlement, State
from bridge.spool.jumps import JumpWatch
from tests.spool.conftest import opener_at
from tests.spool.samples import Clock, decision, lane, mail

Work = Callable[[Spool, Clock, Clock], Awaitable[None]]


def test_slewing_is_no_jump() -> None:
    wall, steady = Clock(1_000.0), Clock(5.0)
    watch = JumpWatch(wall, steady)
    for _ in range(100):
        wall.advance(60.03)
        steady.advance(60.0)
        assert watch.jump() == 0.0
    wall.advance(-3600)
    assert watch.jump() == pytest.approx(-3600)
    assert watch.jump() == 0.0


def jumping(directory: Path, work: Work) -> None:
    """Run ``work`` with a spool whose wall and steady clocks move apart."""

    async def main() -> None:
        wall, steady = Clock(), Clock(0.0)
        spool = await opener_at(f"sqlite:///{directory}/spool.db", wall, steady=steady)()
        try:
            await work(spool, wall, steady)
        finally:
            await spool.close()

    asyncio.run(main())


async def ready(spool: Spool, number: int = 1) -> Claim:
    """A claimed entry of this lane."""
    await spool.accept(mail(hints=(lane(number),)))
    (received,) = await spool.claim_received(10, 900)
    await spool.decided(received, decision(), state=State.READY, lane=lane(number), body_digest="")
    (claim,) = await spool.claim_ready(10, 900)
    return claim


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_who_is_at_work_keeps_the_claim(tmp_path: Path, jump: float) -> None:
    async def work(spool: Spool, wall: Clock, steady: Clock) -> None:
        claim = await ready(spool)
        await spool.intend(claim, Kind.POST, "f")
        wall.advance(jump)
        assert await spool.claim_ready(10, 900) == [], "it would be sent beside itself"
        await spool.settle(claim, Settlement(State.DELIVERED, Reason.DELIVERED))
        await ready(spool, 2)
        for clock in (wall, steady):
            clock.advance(901)
        assert len(await spool.claim_ready(10, 900)) == 1, "a lease still ends"

    jumping(tmp_path, work)


@pytest.mark.parametrize("jump", [3_600.0, -3_600.0])
def test_a_wait_is_as_long_as_it_was_meant(tmp_path: Path, jump: float) -> None:
    async def work(spool: Spool, wall: Clock, steady: Clock) -> None:
        claim = await ready(spool)
        await spool.settle(claim, Settlement(State.READY, Reason.RETRY, next_at=wall() + 30))
        wall.advance(jump)
        assert await spool.claim_ready(10, 900) == []
        for clock in (wall, steady):
            clock.advance(31)
        (again,) = await spool.claim_ready(10, 900)
        assert wall() - again.entry.accepted_at - again.entry.paused_s == pytest.approx(31), "it did not age"

    jumping(tmp_path, work)


def test_what_was_just_accepted_does_not_wait_for_the_old_time(tmp_path: Path) -> None:
    async def work(spool: Spool, wall: Clock, steady: Clock) -> None:
        await spool.accept(mail())
        wall.advance(-3_600)
        assert len(await spool.claim_received(10, 900)) == 1

    jumping(tmp_path, work)


def test_a_request_of_unknown_outcome_is_looked_for_at_its_time(tmp_path: Path) -> None:
    async def work(spool: Spool, wall: Clock, steady: Clock) -> None:
        claim = await ready(spool)
        attempt = await spool.intend(claim, Kind.POST, "f")
        result = AttemptResult("unknown")
        await spool.settle(claim, Settlement(State.UNKNOWN, Reason.RETRY, attempt.number, result, next_at=wall()))
        wall.advance(-3_600)
        (again,) = await spool.claim_ready(10, 900)
        (moved,) = again.attempts
        assert isinstance(moved, Attempt)
        assert moved.intent_at == pytest.approx(wall())
        assert moved.settled_at == pytest.approx(wall())

    jumping(tmp_path, work)


def test_a_start_forgets_waits_of_another_clock(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        opener = opener_at(f"sqlite:///{tmp_path}/spool.db", clock)
        spool = await opener()
        claim = await ready(spool, 2)
        await spool.settle(claim, Settlement(State.READY, Reason.RETRY, next_at=clock() + 1_800))
        await spool.accept(mail())
        await spool.close()
        clock.advance(-86_400)
        spool = await opener()
        assert await spool.recover() == 0
        (received,) = await spool.claim_received(10, 900)
        await spool.decided(received, decision(), state=State.READY, lane=lane(1), body_digest="")
        assert len(await spool.claim_ready(10, 900)) == 2
        await spool.close()

    asyncio.run(main())
