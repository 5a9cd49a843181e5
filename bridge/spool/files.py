"""The SQLite file: making, locking, opening and measuring it; its readers' threads.

The process that serves holds a lock on a file beside it; another one is refused. Command-line tools open the spool
without that lock and rely on SQLite's own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bridge.errors import SpoolBroken, SpoolBusy
from bridge.spool import keyring, schema
from bridge.spool.api import Usage
from bridge.spool.cipher import Cipher
from bridge.spool.writer import carry_out, translate

SYNCHRONOUS = "FULL"
"""With NORMAL, commits of the last seconds before a power cut are lost (`make bench-powercut` shows it)."""
LOG_BYTES = 4 * 1024 * 1024
"""Size of the write-ahead log from which it is copied into the file; it is cut to this size when it starts over."""
REFRESH_S = 0.25
SHORT_S = 5.0
"""How long nothing is accepted after the disk was full, whatever its free space says (quotas do not show there)."""
BUSY_S = 10.0
_READERS = 2
T = TypeVar("T")


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are synced, and that never copies the log by itself."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    try:
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {SYNCHRONOUS}",
            "foreign_keys = ON",
            "secure_delete = ON",
            "wal_autocheckpoint = 0",
            f"journal_size_limit = {LOG_BYTES}",
            "cache_size = -4096",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def make(path: Path, *, allowed: bool) -> None:
    """An empty file of mode 0600 in a directory of mode 0700, and the way to it, synced to disk.

    Raises ``SpoolBroken`` unless ``allowed``.
    """
    if not allowed:
        raise SpoolBroken(f"there is no spool at {path}: start the bridge first, or mend BRIDGE_SPOOL_URL")
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(folder.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was made or renamed in a directory is on disk only after this."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(path: Path) -> int:
    """The lock of the process that serves, as an open descriptor. Raises ``SpoolBusy`` when another one has it."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise SpoolBusy(
            f"another bridge (process {holder}) serves the spool {path}: stop it, or give this one its own"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class Database:
    """One open spool file."""

    def __init__(
        self,
        path: Path,
        *,
        cipher: Cipher,
        high_water_bytes: int,
        min_free_bytes: int,
        create: bool = True,
        exclusive: bool = True,
    ) -> None:
        """Open, or make when ``create``. Raises ``SpoolBroken`` saying what to do."""
        self.path = path
        self.exclusive = exclusive
        self._high_water, self._min_free = high_water_bytes, min_free_bytes
        self._refreshed = self._short_until = 0.0
        self._lock = -1
        try:
            if not path.exists():
                make(path, allowed=create)
            if exclusive:
                self._lock = lock(path)
            self._prepare(cipher)
        except OSError as error:
            self._unlock()
            raise SpoolBroken(f"the spool {path} cannot be used: {error.strerror}") from None
        except sqlite3.Error as error:
            self._unlock()
            raise SpoolBroken(f"{path}: {translate(error)}") from None
        except BaseException:
            self._unlock()
            raise
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_READERS, "spool-reader")
        self._closed = False

    def _prepare(self, cipher: Cipher) -> None:
        connection = self.connect()
        try:
            schema.prepare(connection, str(self.path), migrate=self.exclusive)
            sync_directory(self.path.parent)
            carry_out(connection, keyring.check(cipher))
            newest = connection.execute("SELECT id FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            self.newest_id: str = newest["id"] if newest else ""
            self.usage = self._measure(connection)
        finally:
            connection.close()

    def connect(self) -> sqlite3.Connection:
        """A connection for writing."""
        return connect(self.path)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread, often: measure now and then."""
        now = time.monotonic()
        if now - self._refreshed >= REFRESH_S:
            self._refreshed = now
            self.usage = self._measure(connection)

    def full(self) -> None:
        """A write met a full disk: nothing is accepted for a while."""
        self._short_until = time.monotonic() + SHORT_S
        self.usage = replace(self.usage, accepting=False)

    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def _measure(self, connection: sqlite3.Connection) -> Usage:
        page, count, free_pages = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        used = page * (count - free_pages) + self.log_bytes()
        try:
            disk = os.statvfs(self.path.parent)
            free = disk.f_bavail * disk.f_frsize
        except OSError:
            free = 0
        well = used < self._high_water and free >= self._min_free and time.monotonic() >= self._short_until
        return Usage(used, free, self._high_water, well)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` with a reading connection, in a thread. Raises ``SpoolError``."""
        if self._closed:
            raise SpoolBroken("the spool is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self.connect()
                connection.execute("PRAGMA query_only = ON")
                self._local.connection = connection
                self._readers.append(connection)
            return work(connection)
        except sqlite3.Error as error:
            raise translate(error) from None

    def close(self) -> None:
        """Close every reading connection; release the lock. Blocks."""
        self._closed = True
        self._pool.shutdown()
        for connection in self._readers:
            connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
