"""Large bytes lent to a worker: a file in memory that it opens by its number (memfd_create(2), proc_pid_fd(5)).

Promises: nothing has a name or touches a disk, and all is gone with the last process that holds it. A worker opens what
was lent or nothing: a number may stand for another file by the time that it looks. Neither side maps the file, so that
the other can cut it short and break nothing. Where a process may not look into its parent (PR_SET_DUMPABLE, prctl(2)),
nothing is lent, and bytes go through the pipe, which costs several times their size in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SMALL_BYTES = 256 * 1024
"""Up to this size the pipe is as good."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What a worker is told: where the file is, and which one it must be."""

    path: str
    device: int
    inode: int
    size: int

    def __len__(self) -> int:
        return self.size

    def taken(self) -> bytes:
        """In the worker: the bytes. Raises ``OSError``."""
        with self._open() as file:
            return file.read()

    def fill(self, data: bytes) -> None:
        """In the worker: make ``data`` the whole of the file. Raises ``OSError``."""
        with self._open() as file:
            file.truncate(0)
            _write(file, data)

    def _open(self) -> BinaryIO:
        # Not truncated by opening it: it may not be ours.
        file = open(self.path, "r+b", buffering=0)  # noqa: SIM115, PTH123 - the caller closes it
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            file.close()
            raise FileNotFoundError("what was lent was taken back")
        return file


def blank() -> BinaryIO | None:
    """An empty file to lend; None where a worker could not open it."""
    with suppress(OSError):
        if Path("/proc/self/fd").stat().st_uid == os.geteuid():
            return open(os.memfd_create("lent"), "w+b", buffering=0)  # noqa: PTH123 - the caller closes it
    return None


def loan(file: BinaryIO, size: int = 0) -> Loan:
    """What to tell a worker of ``file``; it lasts until the file is closed."""
    found = os.fstat(file.fileno())
    return Loan(f"/proc/{os.getpid()}/fd/{file.fileno()}", found.st_dev, found.st_ino, size)


@asynccontextmanager
async def lent(data: bytes) -> AsyncIterator[Loan | bytes]:
    """``data`` as a worker is best given it."""
    file = blank() if len(data) > SMALL_BYTES else None
    if file is None:
        yield data
        return
    with file:
        known = loan(file, len(data))
        await asyncio.to_thread(_write, file, data)
        yield known


def taken(given: Loan | bytes) -> bytes:
    """In the worker: what ``lent`` gave. Raises ``OSError``."""
    return given.taken() if isinstance(given, Loan) else given


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
