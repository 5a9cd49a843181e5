"""The stores that the conformance suite runs against.

A store joins by a name in ``STORES`` and a fixture of that name, which gives a ``Factory``: called with a fresh
directory and a clock it makes a new, empty spool, and answers with the function that opens that same spool again and
again (``await opener(owner="b", exclusive=False)``). A store that needs a server starts it in a fixture of session
scope and makes a database, or a schema, for each call. Everything in ``test_spool_conformance``, ``test_spool_ledger``
and ``test_spool_machine`` then holds for it; what is about one store's files stands in a module of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.spool import Spool, SpoolKey, migrate_postgres, open_spool
from tests.postgres.server import Database, new_schema
from tests.spool.samples import Clock

STORES = ("sqlite", "sqlite_sealed", "postgres")
KEY_A = SpoolKey("a", bytes(range(32)))
KEY_B = SpoolKey("b", bytes(range(1, 33)))
Opener = Callable[..., Awaitable[Spool]]
Factory = Callable[[Path, Clock], Opener]
DEFAULTS: dict[str, object] = {"owner": "bridge-1", "high_water_bytes": 1 << 30, "min_free_bytes": 0}


def opener_at(url: str, clock: Clock, **fixed: object) -> Opener:
    """Opens the spool at ``url``."""

    async def open_(**options: object) -> Spool:
        return await open_spool(url, **{**DEFAULTS, "clock": clock, **fixed, **options})  # type: ignore[arg-type]  # a mapping

    return open_


@pytest.fixture(scope="session")
def sqlite() -> Factory:
    return lambda directory, clock: opener_at(f"sqlite:///{directory}/spool.db", clock)


@pytest.fixture(scope="session")
def sqlite_sealed() -> Factory:
    return lambda directory, clock: opener_at(f"sqlite:///{directory}/spool.db", clock, keys=(KEY_A,))


@pytest.fixture(scope="session")
def postgres(postgres_server: Database) -> Factory:
    return lambda _directory, clock: postgres_opener(postgres_server, clock)


def postgres_opener(server: Database, clock: Clock, **fixed: object) -> Opener:
    """Opens a spool in a schema of its own."""
    url = new_schema(server)
    asyncio.run(migrate_postgres(url))
    return opener_at(url, clock, **fixed)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Factory:
    """Makes spools of one kind of store."""
    factory: Factory = request.getfixturevalue(request.param)
    return factory


@pytest.fixture
def opener(store: Factory, tmp_path: Path, clock: Clock) -> Opener:
    """Opens one spool again and again."""
    return store(tmp_path, clock)


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
