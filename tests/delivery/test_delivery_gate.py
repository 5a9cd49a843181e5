"""The gate and the dispatcher with a clock of their own: several reasons at once, clocks that are set."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge.delivery import Delivery, Gate, Pace
from bridge.delivery.circuit import Budget
from bridge.delivery.client import Answer
from bridge.errors import ApiError, NotSent, Problem, SpoolBroken, SpoolBusy, SpoolError
from bridge.spool.api import Spool
from tests.spool.conftest import opener_at
from tests.spool.samples import Clock

HOUR = 3600.0
REFUSED = Problem(401)
ANSWER = Answer(200, {}, "")


class Api:
    """Answers probes as it is told to; when it is told nothing, well."""

    def __init__(self) -> None:
        self.answers: list[ApiError] = []
        self.probes = 0
        self.meanwhile: Callable[[], object] = lambda: None

    async def list_tickets(self) -> Answer:
        self.probes += 1
        self.meanwhile()
        if self.answers:
            raise self.answers.pop(0)
        return ANSWER


class Credits:
    """A spool that keeps paused time, once it is not busy any more."""

    def __init__(self) -> None:
        self.paused: list[float] = []
        self.failures: list[SpoolError] = []

    async def pause_all(self, seconds: float) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.paused.append(seconds)


class Scene:
    """A gate, and time that passes only when it sleeps."""

    def __init__(self) -> None:
        self.clock, self.api, self.spool = Clock(), Api(), Credits()
        self.slept: list[float] = []
        self.set_back = 0.0
        parts: Any = (self.api, self.spool)
        self.gate = Gate(
            *parts,
            limit=4,
            clock=self.clock,
            log=structlog.get_logger(),
            chance=random.Random(1),
            pace=Pace(),
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.clock.advance(seconds - self.set_back)
        self.set_back = 0.0

    async def opened(self) -> float:
        """Seconds that it slept until the gate was open."""
        async with asyncio.timeout(5):
            await self.gate.passed()
        return sum(self.slept)


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene(Scene())

    asyncio.run(run())


def test_with_two_reasons_the_time_passes_first_and_then_a_probe_goes_well() -> None:
    async def scene(there: Scene) -> None:
        there.gate.failed(Problem(429, retry_after_s=100.0), "a")
        there.gate.failed(REFUSED, "b")
        assert (there.gate.state().reason, there.gate.reasons) == ("key", {"key", "rate_limit"})
        assert await there.opened() == pytest.approx(160, abs=3)
        assert there.api.probes == 1
        assert sum(there.spool.paused) == pytest.approx(sum(there.slept)), "all of it is paused time"
        assert there.gate.state().open

    play(scene)


def test_a_time_asked_for_during_the_probe_is_kept() -> None:
    async def scene(there: Scene) -> None:
        there.gate.failed(REFUSED, "a")
        there.api.meanwhile = lambda: there.gate.failed(Problem(429, retry_after_s=500.0), "b")
        assert await there.opened() >= 560
        assert there.api.probes == 1

    play(scene)


def test_a_clock_that_is_set_back_does_not_prolong_what_the_api_asked_for() -> None:
    async def scene(there: Scene) -> None:
        there.gate.failed(Problem(429, retry_after_s=30.0), "a")
        there.set_back = 8 * HOUR
        assert await there.opened() < 40

    play(scene)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([Problem(403, code="account_inactive")], "key"),
        ([NotSent("bad", certificate=True)], "certificate"),
        ([Problem(404, is_problem=False)], "wrong_url"),
        ([NotSent("refused"), Problem(500), Problem(400)], "key"),
    ],
)
def test_a_probe_that_fails_says_why(answers: list[ApiError], reason: str) -> None:
    async def scene(there: Scene) -> None:
        there.gate.failed(REFUSED, "a")
        there.api.answers = list(answers)
        seen: list[str] = []
        there.api.meanwhile = lambda: seen.append(there.gate.state().reason)
        await there.opened()
        assert there.api.probes == len(answers) + 1
        assert seen[-1] in ("key", reason)
        assert sum(there.slept) == 60 * (len(answers) + 1)

    play(scene)


def test_a_probe_that_meets_a_limit_waits_for_it() -> None:
    async def scene(there: Scene) -> None:
        there.gate.shut_for_key()
        there.api.answers = [Problem(429, retry_after_s=900.0)]
        assert await there.opened() >= 1020
        assert there.api.probes == 2

    play(scene)


def test_a_key_that_may_do_nothing_keeps_it_shut() -> None:
    async def scene(there: Scene) -> None:
        for name in ("one", "two", "three"):
            there.gate.failed(NotSent("refused"), name)
        assert there.gate.state().reason == "circuit"

        async def forbidden(*_: object, **__: object) -> Answer:
            raise Problem(403)

        there.api.answers = [Problem(403)]
        there.api.post_message = forbidden  # type: ignore[attr-defined]
        seen: list[str] = []
        there.api.meanwhile = lambda: seen.append(there.gate.state().reason)
        assert await there.opened() == 90, "30 s for the circuit, a minute for the key"
        assert seen == ["circuit", "key"]
        assert there.gate.capacity() == 1, "it begins with one at a time"

    play(scene)


def test_many_tickets_that_are_not_there_are_asked_about_at_once() -> None:
    async def scene(there: Scene) -> None:
        for number in range(5):
            there.gate.failed(Problem(404), str(number))
        assert there.gate.state().reason == "wrong_url"
        assert await there.opened() == 0.0

    play(scene)


def test_paused_time_outlives_a_busy_spool_and_a_stop() -> None:
    async def scene(there: Scene) -> None:
        there.spool.failures = [SpoolBusy("busy")]
        there.gate.failed(REFUSED, "a")
        there.api.answers = [REFUSED] * 15
        await there.opened()
        assert sum(there.spool.paused) == pytest.approx(sum(there.slept))
        assert len(there.spool.paused) >= 2, "some of it while it lasts"
        there.gate.failed(REFUSED, "a")
        there.clock.advance(50)
        await there.gate.close()
        assert there.spool.paused[-1] == 50
        there.gate.failed(REFUSED, "a")
        await there.gate.close()

    play(scene)


def test_a_broken_spool_is_said() -> None:
    async def scene(there: Scene) -> None:
        there.gate.failed(REFUSED, "a")
        there.clock.advance(50)
        there.spool.failures = [SpoolBroken("gone")]
        with pytest.raises(SpoolBroken):
            await there.gate.close()

    play(scene)


def test_another_bridge_leads_and_its_silence_is_noticed() -> None:
    async def scene(there: Scene) -> None:
        there.gate.follow(frozenset({"key"}), there.clock() - 5, 0.0)
        there.gate.follow(frozenset({"key", "rate_limit"}), there.clock() - 5, there.clock() + 9)
        assert there.gate.following
        assert there.gate.until == there.clock() + 9
        there.gate.release()
        assert there.gate.state().open
        there.gate.failed(REFUSED, "a")
        there.gate.follow(frozenset({"key"}), there.clock(), 0.0)
        there.gate.failed(NotSent("bad", certificate=True), "a")
        assert not there.gate.following, "a reason that nobody told of is probed here"
        await there.opened()

    play(scene)


def test_an_answer_that_leaves_nothing_shuts_and_a_limit_far_away_is_tried_each_hour() -> None:
    async def scene(there: Scene) -> None:
        there.gate.answered(Answer(201, {}, "", 0, 24 * HOUR))
        assert there.gate.state().reason == "rate_limit"
        assert await there.opened() == HOUR
        assert there.gate.capacity() > 0, "or nothing would ever be sent again"

    play(scene)


def test_a_budget_never_reaches_further_than_an_hour() -> None:
    assert Budget().answered(0, 24 * HOUR, 0.0).reset_at == HOUR


def test_the_dispatcher_goes_on_when_the_limit_is_reset_and_nothing_was_in_hand(tmp_path: Path) -> None:
    class Shy:
        """A gate that is open, and lets nobody through at first."""

        def __init__(self) -> None:
            self.asked = 0

        def state(self) -> Any:
            return type("", (), {"open": True})

        def capacity(self) -> int:
            self.asked += 1
            return 0 if self.asked < 3 else 1

    async def run() -> None:
        spool: Spool = await opener_at(f"sqlite:///{tmp_path}/spool.db", Clock())()
        gate: Any = Shy()
        sending: Any = None
        delivery = Delivery(spool, sending, gate, concurrency=2, idle_s=0.01, log=structlog.get_logger())
        running = asyncio.create_task(delivery.run())
        async with asyncio.timeout(5):
            while gate.asked < 5:
                await asyncio.sleep(0.01)
        delivery.stop()
        await running
        await spool.close()

    asyncio.run(run())
