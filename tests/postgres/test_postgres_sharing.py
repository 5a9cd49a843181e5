"""One gate for all bridges: what shuts one shuts the others, one of them probes, and paused time counts once."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import structlog

from bridge.delivery import Gate, Sharing, TicketApi
from bridge.delivery.client import Answer
from bridge.delivery.lease import kept
from bridge.delivery.schedule import Pace
from bridge.errors import NotSent, Problem, StaleToken
from bridge.spool.api import Spool
from tests.spool.samples import Clock


@dataclass
class Api:
    """Lists tickets when it is well."""

    well: bool = False
    probes: int = 0

    async def list_tickets(self, _limit: int = 1) -> Answer:
        self.probes += 1
        if not self.well:
            raise Problem(401)
        return Answer(200, {}, "")


@dataclass
class Shared:
    """The spool's small values, and the paused time that was written down."""

    values: dict[str, str] = field(default_factory=dict)
    paused: float = 0.0

    async def get_meta(self, key: str) -> str | None:
        return self.values.get(key)

    async def put_meta(self, key: str, value: str) -> None:
        self.values[key] = value

    async def pause_all(self, seconds: float) -> None:
        self.paused += seconds


class Two:
    """Two bridges, a clock that tests move, and what they share."""

    def __init__(self) -> None:
        self.clock, self.spool, self.apis = Clock(), Shared(), (Api(), Api())
        spool = cast("Spool", self.spool)
        self.gates = [
            Gate(
                cast("TicketApi", api),
                spool,
                limit=8,
                clock=self.clock,
                log=structlog.get_logger(),
                chance=random.Random(1),
                pace=Pace(),
                sleep=self.sleep,
            )
            for api in self.apis
        ]
        self.sharing = [Sharing(spool, gate, f"bridge-{n}", self.clock) for n, gate in enumerate(self.gates)]
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((self.clock.now + seconds, future))
        await future

    async def look(self) -> None:
        for sharing in (*self.sharing, *self.sharing):
            await sharing.look()

    async def advance(self, seconds: float) -> None:
        """A second at a time, as the bridges look."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            for at, future in list(self.waiting):
                if at <= self.clock.now and not future.done():
                    future.set_result(None)
            for _ in range(5):
                await asyncio.sleep(0)
            await self.look()

    def open(self) -> list[bool]:
        return [gate.state().open for gate in self.gates]

    async def close(self) -> None:
        for gate in self.gates:
            await gate.close()


def run(work: Any) -> None:
    async def main() -> None:
        two = Two()
        try:
            await work(two)
        finally:
            await two.close()

    asyncio.run(main())


def test_a_refused_key_pauses_both_and_one_probes() -> None:
    async def work(two: Two) -> None:
        await two.look()
        assert two.open() == [True, True]
        two.gates[0].failed(Problem(401), "tkt")
        await two.look()
        assert two.open() == [False, False]
        assert two.gates[1].state().reason == "key"
        await two.advance(130)
        assert two.apis[0].probes == 2
        assert two.apis[1].probes == 0
        two.apis[0].well = True
        await two.advance(62)
        assert two.open() == [True, True]
        assert two.spool.paused == pytest.approx(180, abs=3)

    run(work)


def test_the_time_that_the_api_asks_for_holds_for_both() -> None:
    async def work(two: Two) -> None:
        two.gates[1].failed(Problem(429, retry_after_s=40), "tkt")
        await two.look()
        assert two.open() == [False, False]
        assert two.gates[0].until == two.gates[1].until
        await two.advance(46)
        assert two.open() == [True, True]
        assert two.apis[0].probes == two.apis[1].probes == 0

    run(work)


def test_when_the_one_that_leads_is_gone_the_other_leads() -> None:
    async def work(two: Two) -> None:
        for number in range(3):
            two.gates[0].failed(NotSent("refused"), f"tkt_{number}")
        await two.look()
        assert two.gates[1].following
        two.sharing = two.sharing[1:]
        two.apis[1].well = True
        await two.advance(100)
        assert not two.gates[1].following
        assert two.gates[1].state().open
        assert two.apis[1].probes == 1

    run(work)


def test_a_new_reason_makes_the_follower_lead() -> None:
    async def work(two: Two) -> None:
        two.gates[0].failed(Problem(429, retry_after_s=300), "tkt")
        await two.look()
        two.gates[1].failed(Problem(401), "tkt")
        await two.look()
        assert [gate.following for gate in two.gates] == [True, False]
        assert two.gates[0].state().reason == "key"
        two.apis[1].well = True
        await two.advance(500)
        assert two.open() == [True, True]

    run(work)


def test_a_lease_is_prolonged_while_work_goes_on_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.delivery.lease.LEASE_S", 0.02)
    prolonged: list[float] = []

    class Leases:
        lost = False

        async def extend(self, _claim: object, lease_s: float) -> None:
            if self.lost:
                raise StaleToken("lost")
            prolonged.append(lease_s)

    async def main() -> None:
        leases = Leases()
        async with kept(cast("Spool", leases), cast("Any", None)):
            await asyncio.sleep(0.2)
            count = len(prolonged)
            assert count > 3
            leases.lost = True
            await asyncio.sleep(0.05)
        assert len(prolonged) <= count + 1

    asyncio.run(main())
