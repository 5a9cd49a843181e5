"""The SQLite file: making, opening, locking, measuring and checkpointing it.

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
from importlib import resources
from pathlib import Path
from typing import TypeVar

from bridge.errors import SpoolBroken
from bridge.spool.api import Usage
from bridge.spool.writer import translate

VERSION = 1
APPLICATION_ID = 0x74626467  # "tbdg": tells our file from any other SQLite file
CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Size of the write-ahead log from which it is copied into the file, in a thread of its own."""
TRUNCATE_BYTES = 64 * 1024 * 1024
"""Size of the log from which the writer waits for that."""
REFRESH_S = 0.25
_READERS = 2
T = TypeVar("T")


class Database:
    """One open spool file."""

    def __init__(
        self, path: Path, *, high_water_bytes: int, min_free_bytes: int, create: bool, exclusive: bool
    ) -> None:
        """Open, or make when ``create``. Raises ``SpoolBroken`` saying what to do."""
        self._path = path
        self._high_water, self._min_free = high_water_bytes, min_free_bytes
        self._refreshed = 0.0
        self._wanted, self._closing = threading.Event(), False
        self._lock = -1
        try:
            if not path.exists():
                if not create:
                    raise SpoolBroken(f"there is no spool at {path}: start the bridge first, or mend BRIDGE_SPOOL_URL")
                self._make()
            if exclusive:
                self._take_lock()
            connection = self.connect()
            try:
                self._prepare(connection)
                self.usage = self._measure(connection)
            finally:
                connection.close()
        except OSError as error:
            raise SpoolBroken(f"the spool {path} cannot be used: {error.strerror}") from None
        except sqlite3.Error as error:
            raise SpoolBroken(f"{path}: {translate(error)}") from None
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_READERS, "spool-reader")
        self._checkpointer = threading.Thread(target=self._checkpoint, name="spool-checkpoint", daemon=True)
        self._checkpointer.start()

    def _make(self) -> None:
        """An empty file of mode 0600 in a directory of mode 0700, both synced to disk."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _take_lock(self) -> None:
        path = self._path.with_name(self._path.name + ".lock")
        self._lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            self._lock = -1
            raise SpoolBroken(
                f"another bridge (process {holder}) serves the spool {self._path}: stop it, or give this one its own"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode("ascii"))

    def connect(self) -> sqlite3.Connection:
        """A connection for writing; commits are synced, the log is not copied by it."""
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "wal_autocheckpoint = 0",
            f"journal_size_limit = {CHECKPOINT_BYTES}",
            "cache_size = -16384",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the schema in an empty file; refuse a foreign or newer one."""
        connection.execute("BEGIN IMMEDIATE")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0:
            schema = resources.files("bridge.spool").joinpath("schema.sql").read_text("utf-8")
            connection.execute("COMMIT")
            connection.executescript(
                f"BEGIN IMMEDIATE; {schema} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {VERSION}; COMMIT;"
            )
            self._sync_directory()
            return
        connection.execute("COMMIT")
        if application != APPLICATION_ID:
            raise SpoolBroken(f"{self._path} is not a spool of this bridge")
        if version > VERSION:
            raise SpoolBroken(f"{self._path} was written by a newer bridge (schema {version}): install that one")

    def refresh(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread after each group: measure now and then, and start a checkpoint when one is due."""
        size = self._log_bytes()
        if size > TRUNCATE_BYTES:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        elif size > CHECKPOINT_BYTES:
            self._wanted.set()
        now = time.monotonic()
        if now - self._refreshed >= REFRESH_S:
            self._refreshed = now
            self.usage = self._measure(connection)

    def _log_bytes(self) -> int:
        try:
            return self._path.with_name(self._path.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _measure(self, connection: sqlite3.Connection) -> Usage:
        page, count, free_pages = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        used = page * (count - free_pages) + self._log_bytes()
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail * disk.f_frsize
        return Usage(used, free, self._high_water, used < self._high_water and free >= self._min_free)

    def _checkpoint(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
        try:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._closing:
                    return
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except sqlite3.Error:
                    # The writer meets the same disk at its next commit and says so.
                    time.sleep(0.1)
        finally:
            connection.close()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` with a reading connection, in a thread. Raises ``SpoolError``."""
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
        """Close every connection; release the lock. Blocks."""
        self._closing = True
        self._wanted.set()
        self._checkpointer.join()
        self._pool.shutdown()
        for connection in self._readers:
            connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
