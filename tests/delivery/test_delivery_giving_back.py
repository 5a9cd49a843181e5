"""A claim on which the spool failed for now is free again soon, not only when its lease ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.delivery import giving_back
from bridge.errors import SpoolBroken, SpoolError, SpoolFull
from bridge.spool.api import Kind, Spool, State
from tests.spool.conftest import opener_at
from tests.spool.samples import Clock, decision, lane, mail


class Failing:
    """A spool whose next deferrals fail."""

    def __init__(self, spool: Spool, failures: list[SpoolError]) -> None:
        self._spool, self._failures = spool, failures

    async def defer(self, *arguments: Any, **named: Any) -> None:
        if self._failures:
            raise self._failures.pop(0)
        await self._spool.defer(*arguments, **named)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_back, "BUSY_S", 0.0)


def test_it_is_given_back_as_soon_as_the_spool_can(tmp_path: Path) -> None:
    async def main() -> None:
        spool = await opener_at(f"sqlite:///{tmp_path}/spool.db", Clock())()
        await spool.accept(mail(hints=(lane(1),)))
        (read,) = await spool.claim_received(1, 300)
        await spool.decided(read, decision(), state=State.READY, lane=lane(1), body_digest="")
        (claim,) = await spool.claim_ready(1, 300)
        await spool.intend(claim, Kind.POST, "f")
        failing: Any = Failing(spool, [SpoolFull("full"), SpoolFull("full")])
        await giving_back.give_back(failing, claim)
        (again,) = await spool.claim_ready(1, 300)
        assert again.entry.state is State.UNKNOWN, "what was begun is looked for"
        await giving_back.give_back(spool, claim)
        assert await spool.claim_ready(1, 300) == [], "somebody else's claim is left alone"
        with pytest.raises(SpoolBroken):
            await giving_back.give_back(Failing(spool, [SpoolBroken("gone")]), again)  # type: ignore[arg-type]
        await spool.close()

    asyncio.run(main())
