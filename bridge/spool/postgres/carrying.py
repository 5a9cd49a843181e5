"""Carrying steps out on PostgreSQL: one transaction each, under a deadline, made again after a deadlock.

Promises: what returned is committed as durably as the server and its synchronous standbys promise. After an error
nothing was changed, or, where the connection broke during the commit, it cannot be told: claims are fenced by tokens
and mail is de-duplicated, so that doing it again is safe.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg

from bridge.errors import BridgeError, SpoolBusy
from bridge.spool.ledger import Make
from bridge.spool.postgres import server
from bridge.spool.steps import Ask, Lock, Row, Steps

DEADLINE_S = 15.0
"""For one transaction with everything it waits for; mail is answered 451 after it."""
TRIES = 5
NOW = "extract(epoch FROM clock_timestamp())::float8"
_LOCK = (
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT hashtextextended(current_schema() || ' ' || lane, 0) AS key "
    "FROM unnest($1::text[]) AS lane ORDER BY 1) AS keys"
)
_SUFFIX = {"": "", "wait": " FOR UPDATE OF e", "skip": " FOR UPDATE OF e SKIP LOCKED"}
T = TypeVar("T")


@lru_cache(maxsize=1024)
def numbered(sql: str, lock: str) -> str:
    """The statement with its marks as PostgreSQL numbers them."""
    count = itertools.count(1)
    return "".join(f"${next(count)}" if part == "?" else part for part in _parts(sql)) + _SUFFIX[lock]


def _parts(sql: str) -> Sequence[str]:
    return [part for piece in sql.split("?") for part in (piece, "?")][:-1]


class Carrier:
    """Runs steps on the pool's connections."""

    def __init__(self, at: server.Address, clock: Callable[[], float] | None) -> None:
        """``clock`` is for tests; the server's time counts without it."""
        self._at = at
        self._clock = clock
        self._under_way: set[asyncio.Task[Any]] = set()
        self._pool: asyncpg.Pool[Any]

    async def open(self) -> None:
        """Connections are made when they are needed."""
        self._pool = await server.pool(self._at)

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        try:
            async with asyncio.timeout(server.CONNECT_S):
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
            self._pool.terminate()

    async def read(self, make: Make[T]) -> T:
        """Carry out steps that change nothing. Raises ``SpoolError``."""
        return await self._guarded(lambda connection: self._steps(connection, make))

    async def write(self, make: Make[T]) -> T:
        """Carry out steps in one transaction, committed when this returns. Raises ``SpoolError``.

        Goes on to its end when the caller is cancelled.
        """
        return await self._kept(self._tries(make))

    async def _kept(self, work: Coroutine[Any, Any, T]) -> T:
        """``work`` in a task of its own, which a cancelled caller does not end."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        # Whoever waited may be gone: what went wrong is then nobody's to hear.
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return await asyncio.shield(task)

    async def _tries(self, make: Make[T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                return await self._guarded(lambda connection: self._transact(connection, make))
            except _Again:
                if not left:
                    raise SpoolBusy("the spool's server is overloaded: transactions block each other") from None
        raise AssertionError

    async def execute(self, sql: str, *values: object) -> None:
        """One statement that is its own transaction. Raises ``SpoolError``."""

        async def work(connection: Any) -> None:
            async with self._replicated(connection):
                await connection.execute(sql, *values)

        await self._guarded(work)

    async def now(self) -> float:
        """The time that counts."""
        return await self._guarded(self._now)

    async def _guarded(self, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(DEADLINE_S), self._pool.acquire(timeout=server.CONNECT_S) as connection:
                return await work(connection)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            raise _Again from None
        except BridgeError:
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
            raise server.translate(error) from None

    async def _transact(self, connection: Any, make: Make[T]) -> T:
        await connection.execute("BEGIN")
        try:
            result = await self._steps(connection, make)
        except BaseException:
            try:
                await connection.execute("ROLLBACK", timeout=server.CONNECT_S)
            except BaseException:
                connection.terminate()
                raise
            raise
        async with self._replicated(connection):
            await connection.execute("COMMIT")
        return result

    async def _steps(self, connection: Any, make: Make[T]) -> T:
        return await carry_out(connection, make(await self._now(connection)))

    async def _now(self, connection: Any) -> float:
        if self._clock is not None:
            return self._clock()
        found: float = await connection.fetchval(f"SELECT {NOW}")
        return found

    @asynccontextmanager
    async def _replicated(self, connection: Any) -> AsyncIterator[None]:
        """Around a commit. Raises ``SpoolBusy`` when somebody ended its wait for the synchronous standby.

        The server then commits on one machine only, and says so in a warning.
        """
        warned = False

        def listen(_connection: Any, message: Any) -> None:
            nonlocal warned
            warned |= message.server_source_function == "SyncRepWaitForLSN"

        connection.add_log_listener(listen)
        try:
            yield
        finally:
            if not connection.is_closed():
                connection.remove_log_listener(listen)
        if warned:
            raise SpoolBusy("the spool's server gave up waiting for its synchronous standby")


class _Again(Exception):
    """The transaction was the victim of a deadlock: nothing was changed."""


async def carry_out(connection: Any, steps: Steps[T]) -> T:
    """Ask what the steps ask, one after another."""
    try:
        step = next(steps)
        while True:
            step = steps.send(await _answer(connection, step))
    except StopIteration as done:
        result: T = done.value
        return result


async def _answer(connection: Any, step: Ask | Lock) -> Sequence[Row]:
    rows: Sequence[Row] = ()
    if isinstance(step, Ask):
        rows = await connection.fetch(numbered(step.sql, step.lock), *step.values)
    elif step.lanes:
        await connection.execute(_LOCK, list(step.lanes))
    return rows
