"""The stores that the conformance suite runs against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.spool import Spool, SpoolKey, open_spool
from tests.spool.samples import Clock

KEY_A = SpoolKey("a", bytes(range(32)))
KEY_B = SpoolKey("b", bytes(range(1, 33)))
Opener = Callable[..., Awaitable[Spool]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "sqlite-sealed"])
def opener(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opener:
    """Opens the same spool again and again: ``await opener(owner="b", exclusive=False)``."""
    keys = (KEY_A,) if request.param.endswith("sealed") else ()

    async def open_(**options: object) -> Spool:
        defaults: dict[str, object] = {
            "owner": "bridge-1",
            "high_water_bytes": 1 << 30,
            "min_free_bytes": 0,
            "keys": keys,
            "clock": clock,
        }
        return await open_spool(f"sqlite:///{tmp_path}/spool.db", **{**defaults, **options})  # type: ignore[arg-type]  # a mapping

    return open_


@pytest.fixture
def run(opener: Opener) -> Callable[[Callable[[Spool], Awaitable[None]]], None]:
    """Runs a test's coroutine function with an open spool."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Spool]:
        spool = await opener()
        try:
            yield spool
        finally:
            await spool.close()

    def run_(work: Callable[[Spool], Awaitable[None]]) -> None:
        async def main() -> None:
            async with opened() as spool:
                await work(spool)

        asyncio.run(main())

    return run_
