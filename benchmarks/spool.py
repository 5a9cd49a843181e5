"""How fast the SQLite spool is, against this disk's own syncs: ``python -m benchmarks.spool`` (``make bench-intake``).

Exits with 1 when a target is missed. The slow disk is a preloaded shim (``tests/powercut/recorder.c``, gcc) that makes
every sync wait 5 ms longer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.intake import Checks
from benchmarks.servers import syncs
from bridge.spool import codec, open_spool
from bridge.spool.api import Kind
from bridge.spool.cipher import Cipher
from tests.powercut.replay import build
from tests.spool.samples import decision, delivered, lane, mail

PRODUCERS = 50
SIZE = 5_120
DELAY_S = 0.005
BATCH = 32
LANES = 2_000


async def stored(directory: str | Path, seconds: float) -> float:
    """Mails of 5 KB that 50 producers store in a second, in the spool of this directory."""
    spool = await open_spool(f"sqlite:///{directory}/spool.db", owner="b", high_water_bytes=1 << 40, min_free_bytes=0)
    raw, made = os.urandom(SIZE), 0
    stop = time.perf_counter() + seconds

    async def one(number: int) -> None:
        nonlocal made
        while time.perf_counter() < stop:
            await spool.accept(mail(raw=raw, hints=(lane(number),)))
            made += 1

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(PRODUCERS)))
    took = time.perf_counter() - began
    await spool.close()
    return made / took


def produce(seconds: float) -> float:
    """Mails of 5 KB that 50 producers store in a second."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        return asyncio.run(stored(directory, seconds))


def _slowed(library: Path, what: str, *arguments: str) -> float:
    environ = {**os.environ, "LD_PRELOAD": str(library), "SYNC_DELAY_US": str(int(DELAY_S * 1e6))}
    command = [sys.executable, "-m", "benchmarks.spool", what, *arguments]
    return float(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)


def rates(seconds: float, rounds: int, checks: Checks) -> None:
    """The spool against this disk, as it is and slowed; rounds alternate and the best of each counts."""
    disk = spool = slow = 0.0
    with tempfile.TemporaryDirectory() as directory:
        library = build(Path(directory))
        for _ in range(rounds):
            disk = max(disk, 1000 / statistics.fmean(syncs(1_000)))
            spool = max(spool, produce(seconds))
            slow = max(slow, _slowed(library, "--produce", str(seconds)))
    limit = 1 / DELAY_S
    checks.say(
        f"- {PRODUCERS} producers of 5 KB: {spool:.0f}/s; this disk, append of 4 KB and fdatasync one after the other: "
        f"{disk:.0f}/s; ratio {spool / disk:.1f} (≥ 2){checks.expect(spool >= 2 * disk)}"
    )
    checks.say(
        f"- With 5 ms added to every sync: {slow:.0f}/s, {slow / limit:.1f} times the {limit:.0f}/s of single syncs "
        f"(≥ 15){checks.expect(slow >= 15 * limit)}"
    )


def fill(path: Path, number: int, *, hot: bool) -> None:
    """A spool of so many entries that are ready, over ``LANES`` tickets; with ``hot``, one of them has half."""
    asyncio.run(_make(path))
    blob = Cipher().seal(codec.dump_decision(decision()))
    envelope = codec.dump_envelope(mail().envelopes[0])
    now = 1_700_000_000.0

    def ticket(seq: int) -> str:
        return lane(0) if hot and seq % 2 else lane(1 + seq % LANES)

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute("INSERT INTO mails (id, raw, size, digest) VALUES (1, x'00', 0, '')")
        rows = (
            (seq, f"{seq:026d}", ticket(seq), envelope, blob, f"m{seq}@example.org", now, now, now)
            for seq in range(1, number + 1)
        )
        db.executemany(
            "INSERT INTO entries (seq, id, mail, state, reason, lane, envelope, decision, message_id, sender, "
            "accepted_at, updated_at, next_at) VALUES (?, ?, 1, 'ready', 'waiting', ?, ?, ?, ?, 'a@b', ?, ?, ?)",
            rows,
        )
        db.execute("UPDATE entries SET head = 1 WHERE seq IN (SELECT min(seq) FROM entries GROUP BY lane)")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _make(path: Path) -> None:
    await (await open_spool(f"sqlite:///{path}", owner="b", high_water_bytes=1 << 40, min_free_bytes=0)).close()


async def _cycles(path: Path, cycles: int) -> Sequence[float]:
    """Milliseconds of each claim of 32, with an intent and a settlement for each of them."""
    spool = await open_spool(f"sqlite:///{path}", owner="b", high_water_bytes=1 << 40, min_free_bytes=0)
    took = []
    for _ in range(cycles):
        began = time.perf_counter()
        claims = await spool.claim_ready(BATCH, 60)
        assert len(claims) == BATCH
        attempts = await asyncio.gather(*(spool.intend(claim, Kind.POST, "f") for claim in claims))
        await asyncio.gather(
            *(spool.settle(claim, delivered(made.number)) for claim, made in zip(claims, attempts, strict=True))
        )
        took.append((time.perf_counter() - began) * 1000)
    await spool.close()
    return took


@contextmanager
def filled(sizes: Sequence[int], *, hot: bool = False) -> Iterator[dict[int, Path]]:
    """Spools of so many entries that are ready."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        paths = {number: Path(directory, str(number), "spool.db") for number in sizes}
        for number, path in paths.items():
            path.parent.mkdir()
            fill(path, number, hot=hot)
        yield paths


def medians(paths: dict[int, Path], cycles: int) -> dict[int, float]:
    """Median milliseconds of a claim and settlement of ``BATCH`` in each spool; they alternate."""
    took: dict[int, list[float]] = {number: [] for number in paths}
    for _ in range(4):
        for number, path in paths.items():
            took[number] += asyncio.run(_cycles(path, cycles // 4))
    return {number: statistics.median(values) for number, values in took.items()}


def claims(small: int, large: int, cycles: int, checks: Checks) -> None:
    """A claim and settlement of 32 at both sizes; the sizes alternate, and the medians are compared."""
    for hot in (False, True):
        with filled((small, large), hot=hot) as paths:
            at = medians(paths, cycles)
        where = ", one ticket holding half" if hot else ""
        ratio = at[large] / at[small]
        checks.say(
            f"- Claim, intent and settlement of {BATCH} at {small:,} rows{where}: {at[small]:.1f} ms; at {large:,}: "
            f"{at[large]:.1f} ms; ratio {ratio:.2f} (≤ 2){checks.expect(ratio <= 2)}"
        )


def main() -> int:
    """Run, print, write, and say whether the targets are met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--produce", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.produce:
        print(produce(options.produce))
        return 0
    checks = Checks()
    rates(options.seconds, options.rounds, checks)
    claims(options.small, options.large, options.cycles, checks)
    if options.out:
        options.out.write_text(HEADING + "\n".join(checks.lines) + "\n")
    return 0 if checks.met else 1


HEADING = """# The spool

Written by `make bench-intake` (`python -m benchmarks.spool`): the SQLite spool on this disk, every change synced. The
disk's own rate is taken in the same run, in alternating rounds.

"""

if __name__ == "__main__":
    sys.exit(main())
