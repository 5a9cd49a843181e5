"""The spool on PostgreSQL, measured: ``python -m benchmarks.postgres [--out FILE] [--rows 100000 1000000]``.

A real server from the test extra's wheel, on this machine, durable (``fsync`` and ``synchronous_commit`` are on).

- Grouped insert: 50 producers that each wait for their commit, beside as many that make one transaction a mail with
  asyncpg themselves; both in the same run, in turns, the best round counts.
- Claim and settle of 32, at two sizes of the ledger, with many lanes and with one lane that holds a tenth of it all.

Exits with 1 when a ratio misses its target.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from bridge.reasons import Reason
from bridge.spool import codec, migrate_postgres, open_spool
from bridge.spool.api import Settlement, State
from bridge.spool.ledger import Ledger
from bridge.spool.postgres import server as address
from tests.postgres.server import Server, new_schema, servers
from tests.spool.samples import decision, lane, mail

PRODUCERS, SECONDS, ROUNDS = 50, 3.0, 3
CLAIMS, REPEATS = 32, 15
GROUPED_TARGET, FLAT_TARGET = 2.0, 2.0
RAW = os.urandom(4_000)
_ONE = """WITH m AS (INSERT INTO mails (raw, size, digest) VALUES ($1, $2, $3) RETURNING id)
INSERT INTO entries (id, mail, state, reason, hint, envelope, sender, accepted_at, updated_at, next_at)
SELECT $4, m.id, 'received', 'waiting', '', $5, $6, $7, $7, $7 FROM m"""
_FILL_MAILS = """INSERT INTO mails (id, raw, size, digest)
SELECT n, NULL, 5000, repeat('0', 64) FROM generate_series($1::bigint, $2::bigint) AS n"""
_FILL = """INSERT INTO entries
(seq, id, mail, state, reason, lane, head, envelope, sender, message_id, decision, accepted_at, updated_at, next_at,
 erased)
SELECT n, lpad(n::text, 26, '0'), n, CASE WHEN n % 10 = 0 THEN 'ready' ELSE 'delivered' END,
  CASE WHEN n % 10 = 0 THEN 'waiting' ELSE 'delivered' END,
  CASE WHEN n % 10 = 0 AND n % 20 = 0 THEN $3::text ELSE 'tkt_' || lpad((n % 20000)::text, 26, '0') END, 0,
  $4::text, 'anna@example.org', 'm' || n, $5::bytea, 1000, 1000, 1000, CASE WHEN n % 10 = 0 THEN 0 ELSE 1 END
FROM generate_series($1::bigint, $2::bigint) AS n"""
_HEADS = """UPDATE entries SET head = 1 WHERE seq IN
(SELECT min(seq) FROM entries WHERE state = 'ready' GROUP BY lane)"""
HOT = lane(99)


async def opened(url: str) -> Ledger:
    return await open_spool(url, owner="bench", high_water_bytes=1 << 50, min_free_bytes=0)


async def rate(one: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Mails a second of all producers together."""
    done, until = 0, time.perf_counter() + SECONDS

    async def produce() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await one()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    return done / (time.perf_counter() - started)


async def accepting(running: Server) -> tuple[float, float]:
    """Grouped, and single transactions, mails a second."""
    url = new_schema(running)
    await migrate_postgres(url)
    spool = await opened(url)
    at = address.address(url)
    pool = await asyncpg.create_pool(
        at.dsn, min_size=PRODUCERS, max_size=PRODUCERS, server_settings={"search_path": at.schema}
    )
    new, ids = mail(raw=RAW), codec.Ids()
    envelope = codec.dump_envelope(new.envelopes[0])

    async def grouped() -> object:
        return await spool.accept(new)

    async def single() -> object:
        sealed, digest = b"\0" + RAW, "0" * 64
        async with pool.acquire() as connection, connection.transaction():
            return await connection.execute(
                _ONE, sealed, len(RAW), digest, ids.new(time.time()), envelope, "anna@example.org", time.time()
            )

    best_grouped = best_single = 0.0
    for _ in range(ROUNDS):
        best_single = max(best_single, await rate(single))
        best_grouped = max(best_grouped, await rate(grouped))
    await pool.close()
    await spool.close()
    return best_grouped, best_single


async def fill(url: str, start: int, rows: int, sealed: bytes) -> None:
    at = address.address(url)
    connection = await asyncpg.connect(at.dsn, server_settings={"search_path": at.schema})
    envelope = codec.dump_envelope(mail().envelopes[0])
    for first in range(start, rows, 50_000):
        last = min(first + 49_999, rows)
        await connection.execute(_FILL_MAILS, first, last)
        await connection.execute(_FILL, first, last, HOT, envelope, sealed)
    await connection.execute(_HEADS)
    await connection.execute("SELECT setval('mail_ids', $1), setval('entries_seq_seq', $1)", rows)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def claim_and_settle(spool: Ledger) -> float:
    """Median milliseconds of claiming 32 heads and settling them, one after another."""
    spans = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        claims = await spool.claim_ready(CLAIMS, 60)
        for claim in claims:
            await spool.settle(claim, Settlement(State.HELD, Reason.TOO_OLD))
        spans.append((time.perf_counter() - started) * 1000)
        assert len(claims) == CLAIMS, len(claims)
    return statistics.median(spans)


async def hot_ticket(running: Server, rows: int, sealed: bytes) -> float:
    """Median milliseconds of 32 times claim and settle, one after another, in one lane that holds ``rows`` / 10."""
    url = new_schema(running)
    await migrate_postgres(url)
    at = address.address(url)
    connection = await asyncpg.connect(at.dsn, server_settings={"search_path": at.schema})
    envelope = codec.dump_envelope(mail().envelopes[0])
    await connection.execute(_FILL_MAILS, 1, rows)
    everything_hot = _FILL.replace("CASE WHEN n % 10 = 0 AND n % 20 = 0 THEN", "CASE WHEN n % 10 = 0 THEN")
    await connection.execute(everything_hot, 1, rows, HOT, envelope, sealed)
    await connection.execute(_HEADS)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    spool = await opened(url)
    spans = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(CLAIMS):
            (claim,) = await spool.claim_ready(CLAIMS, 60)
            await spool.settle(claim, Settlement(State.HELD, Reason.TOO_OLD))
        spans.append((time.perf_counter() - started) * 1000)
    await spool.close()
    return statistics.median(spans)


async def flat(running: Server, sizes: Sequence[int]) -> list[tuple[float, float]]:
    """For each size: many lanes, one hot ticket; milliseconds."""
    sealed = b"\0" + codec.dump_decision(decision())
    found = []
    url = new_schema(running)
    await migrate_postgres(url)
    filled = 1
    for rows in sizes:
        await fill(url, filled, rows, sealed)
        filled = rows + 1
        spool = await opened(url)
        many = await claim_and_settle(spool)
        await spool.close()
        found.append((many, await hot_ticket(running, rows, sealed)))
    return found


def report(
    grouped: float, single: float, sizes: Sequence[int], spans: Sequence[tuple[float, float]]
) -> tuple[str, bool]:
    """The page, and whether every target is met."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL 18, all on one machine"
    lines = [
        "# The spool on PostgreSQL: accepting, claiming, settling",
        "",
        "Written by `make bench-postgres`; what was measured by other commands stands in `postgres.md`.",
        "",
        f"{machine}, load average {os.getloadavg()[0]:.1f}, `shared_buffers` 1 GB.",
        "",
        f"## Accepting, {PRODUCERS} producers, {len(RAW)} bytes a mail",
        "",
        "| way | mails/s |",
        "|---|---|",
        f"| grouped (the spool) | {grouped:.0f} |",
        f"| a transaction for each mail (asyncpg, {PRODUCERS} connections) | {single:.0f} |",
        f"| ratio (target ≥ {GROUPED_TARGET}) | {grouped / single:.1f} |",
        "",
        f"## Claim and settle of {CLAIMS}, median of {REPEATS}",
        "",
        "| entries | many lanes, ms | one hot ticket, ms |",
        "|---|---|---|",
        *(f"| {rows:,} | {many:.0f} | {hot:.0f} |" for rows, (many, hot) in zip(sizes, spans, strict=True)),
    ]
    ratios = [spans[-1][kind] / spans[0][kind] for kind in (0, 1)]
    lines += [f"| ratio (target ≤ {FLAT_TARGET}) | {ratios[0]:.2f} | {ratios[1]:.2f} |", ""]
    well = grouped / single >= GROUPED_TARGET and max(ratios) <= FLAT_TARGET
    return "\n".join(lines), well


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 1_000_000))
    wanted = parser.parse_args()
    with servers() as made:
        running = made.server(extra="max_wal_size = 4GB\nshared_buffers = 1GB\n")
        grouped, single = asyncio.run(accepting(running))
        spans = asyncio.run(flat(running, wanted.rows))
    text, well = report(grouped, single, wanted.rows, spans)
    print(text)
    if wanted.out:
        wanted.out.write_text(text)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
