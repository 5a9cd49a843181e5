"""One server for all processes of a test run: the first that needs it starts it, the last one ends it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.postgres.server import Database, Servers

STOP_S = 20.0
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 << 30


@contextmanager
def one_for_all(directory: Path) -> Iterator[Database]:
    """The server that everybody with this ``directory`` uses.

    Each holds a shared lock while it needs the server; the kernel gives up the lock of one that was killed.
    """
    about = directory / "postgres.json"
    with (directory / "postgres.turn").open("a") as turn, (directory / "postgres.users").open("a") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not about.exists():
            _start(about)
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield Database(json.loads(about.read_text())["port"])
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(about)


def _start(about: Path) -> None:
    made = Servers()
    server = made.server(apart=_room(made))
    about.write_text(json.dumps({"port": server.port, "data": str(server.data), "root": str(made.root)}))


def _room(made: Servers) -> Path:
    """In memory where there is room: nothing here is about a loss of power, and syncing takes most of the time."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        return made.directory("a")
    data = Path(tempfile.mkdtemp(prefix="tb-pg-", dir=MEMORY))
    made.own(data)
    return data


def _stop(about: Path) -> None:
    known = json.loads(about.read_text())
    about.unlink()
    lock = Path(known["data"]) / "postmaster.pid"
    with suppress(FileNotFoundError):
        os.kill(int(lock.read_text().splitlines()[0]), signal.SIGQUIT)
    deadline = time.monotonic() + STOP_S
    while lock.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for made in ("data", "root"):
        shutil.rmtree(known[made], ignore_errors=True)
