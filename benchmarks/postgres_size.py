"""What an entry takes on PostgreSQL beside its mail: ``python -m benchmarks.postgres_size [--entries 3000]``.

Each entry goes its whole way: accepted, decided, one request, delivered. Then the tables and their indexes are
measured, without the mails, as they are (with dead rows that autovacuum had not reached) and after ``VACUUM FULL``.
"""

from __future__ import annotations

import argparse
import asyncio

import asyncpg

from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Kind, State
from bridge.spool.ledger import Ledger
from bridge.spool.postgres import server as address
from tests.postgres.server import new_schema, servers
from tests.spool.samples import decision, delivered, lane, mail

TOGETHER = 32
_SIZE = """SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'mails'"""


async def deliver(spool: Ledger, entries: int) -> None:
    for start in range(0, entries, TOGETHER):
        await asyncio.gather(*(spool.accept(mail(raw=b"x")) for _ in range(TOGETHER)))
        for number, claim in enumerate(await spool.claim_received(TOGETHER, 600)):
            ticket = lane(start + number)
            await spool.decided(claim, decision(), state=State.READY, lane=ticket, body_digest="0" * 64)
        for claim in await spool.claim_ready(TOGETHER, 600):
            attempt = await spool.intend(claim, Kind.POST, "0" * 64)
            settled = delivered(attempt.number, dedupe=claim.entry.id, message=f"tmsg_{claim.entry.id}")
            await spool.settle(claim, settled)


async def measure(url: str, entries: int) -> tuple[float, float]:
    """Bytes an entry, as it is and packed."""
    await migrate_postgres(url)
    at = address.address(url)
    connection = await asyncpg.connect(at.dsn, server_settings={"search_path": at.schema})
    empty = await connection.fetchval(_SIZE)
    spool = await open_spool(url, owner="bench", high_water_bytes=1 << 50, min_free_bytes=0)
    await deliver(spool, entries)
    await spool.close()
    made = await connection.fetchval("SELECT count(*) FROM entries WHERE state = 'delivered'")
    sizes = [await connection.fetchval(_SIZE)]
    await connection.execute("VACUUM FULL")
    sizes.append(await connection.fetchval(_SIZE))
    await connection.close()
    return (sizes[0] - empty) / made, (sizes[1] - empty) / made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=3000)
    wanted = parser.parse_args()
    with servers() as made:
        loose, packed = asyncio.run(measure(new_schema(made.server()), wanted.entries))
    print(f"{wanted.entries} entries: {loose:.0f} bytes each, {packed:.0f} packed")


if __name__ == "__main__":
    main()
