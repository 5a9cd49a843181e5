"""Disks that are full, or fail."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.main_job.running import eventually
from torture.load import Load
from torture.world import Criterion, World, balanced, world

EXIT_BROKEN = 74


@contextmanager
def _small_disk(megabytes: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="torture-disk-") as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory], check=True)
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)


def disk_full(scale: float) -> Iterator[Criterion]:
    """The spool's disk (a small tmpfs) fills to the last byte while the API is away, and is enlarged."""
    for turn in range(max(1, round(5 * scale))):
        with _small_disk(12) as disk, world(directory=disk) as it:
            it.api.fault(fault="status", status=503, count=100_000)
            load = it.load(size=20_000)
            full = eventually(partial(_deferred, load), 120)
            load.stop()
            load.join(30)
            subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
            it.api.well()
            yield Criterion(
                f"disk full, round {turn + 1}: the relay is told to wait", "yes" if full else "no", bool(full)
            )
            yield balanced(f"disk full, round {turn + 1}", it.balance(load.mails, 300))


def _deferred(load: Load) -> bool:
    return sum(mail.deferred for mail in load.mails) > 50


FAULTS = (
    ("fdatasync,fsync", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fdatasync,fsync", "ENOSPC"),
)


def write_errors(scale: float) -> Iterator[Criterion]:
    """strace makes one sync or write of the running bridge fail; it is started again when it ended itself."""
    rounds, chance = max(4, round(60 * scale)), random.Random(3)
    ended = alive = other = 0
    with world(tickets=16) as it:
        load = it.load(pause_s=0.01)
        for turn in range(rounds):
            calls, error = FAULTS[turn % len(FAULTS)]
            _inject(it, calls, error, chance.randrange(1, 60))
            code = it.bridge.process.child.poll()
            if code is None:
                alive += 1
                continue
            ended, other = ended + (code == EXIT_BROKEN), other + (code != EXIT_BROKEN)
            it.bridge.process.kill()
            it.bridge.start()
        load.stop()
        load.join(60)
        yield balanced(f"{rounds} failing writes and syncs", it.balance(load.mails, 300))
    figure = f"{ended} exits with {EXIT_BROKEN}, {alive} went on after 4xx, {other} other exits"
    yield Criterion("a disk that fails ends the process with 74 or is answered 4xx", figure, other == 0 and ended > 0)


def _inject(it: World, calls: str, error: str, when: int) -> None:
    """One failure of the ``when``-th such call of a thread, within two seconds."""
    arguments = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    arguments += ["-e", f"inject={calls}:error={error}:when={when}", "-p", str(it.bridge.process.child.pid)]
    tracer = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline and it.bridge.process.child.poll() is None:
        time.sleep(0.05)
    tracer.terminate()
    tracer.wait(10)
