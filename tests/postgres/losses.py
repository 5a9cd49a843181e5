"""Servers that die under load, and what of the acknowledged mail is there afterwards.

``python -m tests.postgres.losses --kills 50 --promotions 20 --asynchronous 10`` runs it at full scale.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from contextlib import suppress
from dataclasses import dataclass

from bridge.errors import BridgeError
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Spool
from bridge.spool.ledger import Ledger
from tests.postgres.server import Server, Servers, new_schema
from tests.postgres.server import servers as all_servers
from tests.spool.samples import mail

PRODUCERS = 20
BRIDGES = 2


@dataclass(frozen=True)
class Result:
    """Entries that were acknowledged, and those of them that are not there."""

    acknowledged: int
    lost: int
    rounds_with_loss: int = 0


def judge(acknowledged: set[str], there: set[str]) -> Result:
    return Result(len(acknowledged), len(acknowledged - there))


async def produce(spool: Spool, acknowledged: set[str], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            acknowledged.update(await spool.accept(mail(raw=b"x" * 2000)))
        except BridgeError:
            await asyncio.sleep(0.05)


async def ids(url: str, within_s: float = 60.0) -> set[str]:
    """All there is, as soon as the server answers."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                spool = await opened(url, "judge")
            except BridgeError:
                await asyncio.sleep(0.1)
                continue
            try:
                found = await spool.carry(lambda _: _ids())
            finally:
                await spool.close()
            return found


def _ids():  # type: ignore[no-untyped-def]  # steps of a test
    from bridge.spool.steps import ask

    return {row["id"] for row in (yield from ask("SELECT id FROM entries"))}


async def opened(url: str, owner: str) -> Ledger:
    return await open_spool(url, owner=owner, high_water_bytes=1 << 40, min_free_bytes=0)


async def under_load(url: str, acknowledged: set[str], seconds: float, strike) -> None:  # type: ignore[no-untyped-def]
    """Two bridges take mail from many at once until after ``strike``."""
    bridges = [await opened(url, f"bridge-{number}") for number in range(BRIDGES)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(produce(bridges[n % BRIDGES], acknowledged, stop)) for n in range(PRODUCERS)]
    await asyncio.sleep(seconds)
    await asyncio.to_thread(strike)
    stop.set()
    await asyncio.gather(*tasks)
    for bridge in bridges:
        with suppress(BridgeError):
            await bridge.close()


async def kills(server: Server, *, rounds: int, seed: int) -> Result:
    """``kill -9`` of the server and all its processes, and a start, again and again."""
    url, chance, acknowledged = new_schema(server), random.Random(seed), set[str]()
    await migrate_postgres(url)
    for _ in range(rounds):
        await under_load(url, acknowledged, chance.uniform(0.3, 1.5), server.kill)
        await asyncio.to_thread(server.start)
    return judge(acknowledged, await ids(url))


async def promotions(made: Servers, *, rounds: int, seed: int, synchronous: bool) -> Result:
    """A primary and its standby; the primary dies under load, the standby becomes the primary."""
    chance, total, lost, rounds_with_loss = random.Random(seed), 0, 0, 0
    for number in range(rounds):
        primary = made.server(f"p{int(synchronous)}{number}")
        standby = made.standby(primary, f"s{int(synchronous)}{number}")
        if synchronous:
            primary.configure(synchronous_standby_names="*")
            await asyncio.sleep(1.0)
        url, acknowledged = new_schema(primary), set[str]()
        await migrate_postgres(url)
        await under_load(url, acknowledged, chance.uniform(0.5, 2.0), primary.kill)
        await asyncio.to_thread(standby.promote)
        result = judge(acknowledged, await ids(url.replace(str(primary.port), str(standby.port))))
        await asyncio.to_thread(standby.kill)
        for server in (primary, standby):
            await asyncio.to_thread(server.remove)
        total, lost = total + result.acknowledged, lost + result.lost
        rounds_with_loss += bool(result.lost)
    return Result(total, lost, rounds_with_loss)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, default in (("kills", 50), ("promotions", 20), ("asynchronous", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    wanted = parser.parse_args()
    lost = 0
    with all_servers() as made:
        if wanted.kills:
            result = asyncio.run(kills(made.server("k"), rounds=wanted.kills, seed=50))
            print("kills", wanted.kills, result, flush=True)
            lost += result.lost
        if wanted.promotions:
            result = asyncio.run(promotions(made, rounds=wanted.promotions, seed=20, synchronous=True))
            print("synchronous promotions", wanted.promotions, result, flush=True)
            lost += result.lost
        if wanted.asynchronous:
            result = asyncio.run(promotions(made, rounds=wanted.asynchronous, seed=10, synchronous=False))
            print("asynchronous promotions", wanted.asynchronous, result, flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
