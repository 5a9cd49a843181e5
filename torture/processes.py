"""Processes that are killed, frozen, or told another time."""

from __future__ import annotations

import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torture.world import Criterion, balanced, world

RESTART_S = 5.0
LIBRARIES = Path("/usr/lib")


def kills(scale: float) -> Iterator[Criterion]:
    """``kill -9`` at random times under load, then a restart."""
    rounds, chance, slowest = max(10, round(500 * scale)), random.Random(1), 0.0
    with world(tickets=16) as it:
        load = it.load()
        for _ in range(rounds):
            time.sleep(chance.uniform(0.0, 0.6))
            it.bridge.process.stop(signal.SIGKILL)
            began = time.monotonic()
            it.bridge.start()
            slowest = max(slowest, time.monotonic() - began)
        load.stop()
        load.join(60)
        yield balanced(f"{rounds} kills", it.balance(load.mails, 300))
    yield Criterion(f"running again within {RESTART_S:.0f} s", f"{slowest:.1f} s at most", slowest <= RESTART_S)


def freezes(scale: float) -> Iterator[Criterion]:
    """The bridge, then the API, is stopped (SIGSTOP) for a while and goes on."""
    rounds, chance = max(4, round(40 * scale)), random.Random(2)
    with world(tickets=16, BRIDGE_API_TIMEOUT_SECONDS="3") as it:
        load = it.load(pause_s=0.02)
        for turn in range(rounds):
            frozen = it.api.process.child if turn % 2 else it.bridge.process.child
            frozen.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0.2, 5.0))
            frozen.send_signal(signal.SIGCONT)
            time.sleep(chance.uniform(0.5, 2.0))
        load.stop()
        load.join(60)
        yield balanced(f"{rounds} freezes of bridge and API", it.balance(load.mails, 400))


JUMPS = ("+3600", "-3600", "+86400", "-86400", "-7", "+7", "+300000", "+0")
"""Offsets of the wall clock, one after another, seconds; none so long that mail is rightly held as too old."""


@contextmanager
def _clock() -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A file whose content is the wall clock's offset, and the environment that makes a process look at it."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "offset")
        file.write_text("+0\n")
        yield (
            file,
            {
                "LD_PRELOAD": str(next(LIBRARIES.glob("*/faketime/libfaketimeMT.so.1"))),
                "FAKETIME_TIMESTAMP_FILE": str(file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
        )


def clock_jumps(scale: float) -> Iterator[Criterion]:
    """The bridge's wall clock (libfaketime) jumps forth and back under load, with a kill between."""
    for turn in range(max(2, round(6 * scale))):
        with _clock() as (offset, environ), world(tickets=16, **environ) as it:
            load = it.load(160, pause_s=0.05)
            _jump(offset)
            if turn % 2:
                it.bridge.process.stop(signal.SIGKILL)
                it.bridge.start()
            load.join(120)
            yield balanced(f"{len(JUMPS)} clock jumps, round {turn + 1}", it.balance(load.mails, 150))


def _jump(offset: Path) -> None:
    for jump in JUMPS:
        fresh = offset.with_suffix(".new")
        fresh.write_text(jump + "\n")
        fresh.rename(offset)
        time.sleep(2.0)
