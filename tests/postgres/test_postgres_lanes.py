"""Several bridges at once: one lane is never worked on by two, tokens fence, and what is away comes back."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from bridge.errors import SpoolBusy, SpoolFull, StaleToken
from bridge.reasons import Reason
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Claim, Filter, Kind, Settlement, Spool, State
from bridge.spool.ledger import Ledger
from bridge.spool.postgres import carrying, server
from tests.postgres.server import Database, Server, new_schema, servers
from tests.spool.samples import decision, delivered, lane, mail


@pytest.fixture
def own_server() -> Iterator[Server]:
    """For a test that stops it, or ends connections."""
    with servers() as made:
        yield made.server()


@asynccontextmanager
async def bridges(running: Database, count: int, **options: object) -> AsyncIterator[Sequence[Ledger]]:
    """Spools of several bridges, in the server's time."""
    url = new_schema(running)
    await migrate_postgres(url)
    made = [
        await open_spool(url, owner=f"bridge-{number}", high_water_bytes=1 << 30, min_free_bytes=0)
        for number in range(count)
    ]
    try:
        yield made
    finally:
        await asyncio.gather(*(spool.close() for spool in made))


async def read_all(spool: Spool, chance: random.Random, lanes: int) -> int:
    done = 0
    for claim in await spool.claim_received(20, 30):
        await spool.decided(claim, decision(), state=State.READY, lane=lane(chance.randrange(lanes)), body_digest="")
        done += 1
    return done


async def work(spool: Spool, chance: random.Random, in_hand: dict[str, str], log: dict[str, list[int]], me: str) -> int:
    """Deliver, defer, hold; nobody else may be at the lane meanwhile."""
    done = 0
    for claim in await spool.claim_ready(8, 30):
        ticket = claim.entry.lane
        assert ticket not in in_hand, f"{ticket}: {me} and {in_hand[ticket]} at once"
        in_hand[ticket] = me
        attempt = await spool.intend(claim, Kind.POST, "f")
        await asyncio.sleep(chance.random() * 0.003)
        del in_hand[ticket]
        if chance.random() < 0.15:
            await spool.settle(claim, Settlement(State.READY, Reason.RETRY, attempt.number, next_at=0.0))
            continue
        log.setdefault(ticket, []).append(claim.entry.seq)
        await spool.settle(claim, delivered(attempt.number, message=f"tmsg_{claim.entry.seq}"))
        done += 1
    return done


@pytest.mark.parametrize("lanes", [1, 7])
def test_bridges_that_race_never_share_a_lane_and_keep_its_order(postgres_server: Database, lanes: int) -> None:
    total = 60

    async def main() -> None:
        in_hand: dict[str, str] = {}
        log: dict[str, list[int]] = {}
        done = 0

        async def one(spool: Spool, number: int) -> None:
            nonlocal done
            chance = random.Random(number)
            while done < total:
                await read_all(spool, chance, lanes)
                mine = await work(spool, chance, in_hand, log, f"bridge-{number}")
                done += mine
                await asyncio.sleep(0)

        async with bridges(postgres_server, 3) as made:
            await asyncio.gather(*(made[number % 3].accept(mail()) for number in range(total)))
            async with asyncio.timeout(50):
                await asyncio.gather(*(one(spool, number) for number, spool in enumerate(made)))
            counts = await made[0].counts()
            assert {state: n for state, n in counts.by_state.items() if n} == {State.DELIVERED: total}
        for seqs in log.values():
            assert seqs == sorted(seqs)
        assert sum(map(len, log.values())) == total

    asyncio.run(main())


async def ready(spool: Spool, ticket: str) -> str:
    await spool.accept(mail())
    (claim,) = await spool.claim_received(1, 30)
    await spool.decided(claim, decision(), state=State.READY, lane=ticket, body_digest="")
    return claim.entry.id


async def soon(look: Callable[[], object]) -> Sequence[Claim]:
    while True:
        found = await look()  # type: ignore[misc]  # an awaitable of claims
        if found:
            claims: Sequence[Claim] = found
            return claims
        await asyncio.sleep(0.05)


def test_what_a_dead_bridge_held_is_taken_over_and_the_dead_one_is_fenced_off(postgres_server: Database) -> None:
    async def main() -> None:
        async with bridges(postgres_server, 2) as (dead, other):
            await ready(other, lane(1))
            (claim,) = await dead.claim_ready(1, 3.0)
            await dead.intend(claim, Kind.POST, "f")
            assert await other.claim_ready(1, 30) == []
            async with asyncio.timeout(30):
                (again,) = await soon(lambda: other.claim_ready(1, 30))
            assert again.entry.state is State.UNKNOWN
            for late in (dead.settle(claim, delivered()), dead.intend(claim, Kind.POST, "f"), dead.extend(claim, 9)):
                with pytest.raises(StaleToken):
                    await late
            await other.settle(again, delivered())

    asyncio.run(main())


def test_a_process_that_stood_still_does_not_send(postgres_server: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen between the commit of its intent and the request: nobody told it, but its own clock does."""

    async def main() -> None:
        async with bridges(postgres_server, 1) as (spool,):
            await ready(spool, lane(1))
            (claim,) = await spool.claim_ready(1, 30)
            monkeypatch.setattr("bridge.spool.ledger._elapsed", lambda: 1e10)
            with pytest.raises(StaleToken, match="stood still"):
                await spool.intend(claim, Kind.POST, "f")

    asyncio.run(main())


def test_a_change_wakes_the_other_bridge(postgres_server: Database) -> None:
    async def main() -> None:
        async with bridges(postgres_server, 2) as (one, other):
            await other.wait(0)
            heard = asyncio.create_task(other.wait(30))
            await asyncio.sleep(0)
            started = asyncio.get_running_loop().time()
            await one.accept(mail())
            await heard
            assert asyncio.get_running_loop().time() - started < 0.9

    asyncio.run(main())


@pytest.mark.system
def test_a_slow_server_is_given_up_in_time_and_used_again(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "DEADLINE_S", 0.7)
    monkeypatch.setattr("bridge.spool.postgres.accepting.DEADLINE_S", 0.7)
    monkeypatch.setattr(server, "CONNECT_S", 0.5)

    async def main() -> None:
        async with bridges(own_server, 1) as (spool,):
            await spool.accept(mail())
            own_server.signal(signal.SIGSTOP)
            try:
                for call in (spool.accept(mail()), spool.accept(mail(raw=b"x" * 300_000)), spool.counts()):
                    started = asyncio.get_running_loop().time()
                    with pytest.raises(SpoolBusy):
                        await call
                    assert asyncio.get_running_loop().time() - started < 5
            finally:
                own_server.signal(signal.SIGCONT)
            await again(spool)

    asyncio.run(main())


async def again(spool: Spool) -> None:
    """It works again by itself."""
    async with asyncio.timeout(20):
        while True:
            try:
                (made,) = await spool.accept(mail())
                there = await spool.list(Filter(ids=(made,)))
            except (SpoolBusy, SpoolFull):
                await asyncio.sleep(0.1)
            else:
                assert [entry.id for entry in there] == [made]
                return


@pytest.mark.system
def test_connections_that_are_ended_come_back(own_server: Server) -> None:
    async def main() -> None:
        async with bridges(own_server, 2) as (spool, other):
            await spool.accept(mail())
            admin = await asyncpg.connect(own_server.url)
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ticket-bridge'"
            await admin.execute(ended)
            await again(spool)
            await asyncio.sleep(1.3)
            await other.wait(0)
            heard = asyncio.create_task(other.wait(30))
            await asyncio.sleep(0)
            await spool.accept(mail())
            await heard
            await admin.close()

    asyncio.run(main())


def test_a_client_that_stops_within_a_transaction_is_ended_by_the_server(postgres_server: Database) -> None:
    async def main() -> None:
        connection = await server.connect(
            server.address(new_schema(postgres_server)), idle_in_transaction_session_timeout="200ms"
        )
        await connection.execute("BEGIN")
        await asyncio.sleep(0.6)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await connection.execute("SELECT 1")

    asyncio.run(main())
