"""Copying the write-ahead log into the file, off the way of those who wait for a commit.

A thread with a connection of its own copies the bulk; the writer, between two groups, copies the little that came in
meanwhile, after which SQLite starts the log over. An error here is the writer's error: after a failed sync the kernel
may take for clean what never reached the disk, so that trying again would prove nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"
_TRUNCATE = "PRAGMA wal_checkpoint(TRUNCATE)"


class Checkpointer:
    """The thread that copies the log."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        log_bytes: Callable[[], int],
        limit: int,
        on_error: Callable[[sqlite3.Error], None],
    ) -> None:
        """``limit`` is the size of the log from which it is copied; ``on_error`` is called in the thread."""
        self._connect, self._log_bytes, self._limit = connect, log_bytes, limit
        self._on_error = on_error
        self._wanted, self._nearly = threading.Event(), threading.Event()
        self._closing = self._erased = False
        self._thread = threading.Thread(target=self._run, name="spool-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread. Blocks."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def between_groups(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread: finish a copy that is nearly done, or ask for one when the log has grown."""
        if self._nearly.is_set():
            self._nearly.clear()
            connection.execute(_PASSIVE).fetchall()
        elif self._log_bytes() > self._limit:
            self._wanted.set()

    def erased(self) -> None:
        """Bodies were erased: the log still holds them, and is emptied soon."""
        self._erased = True
        self._wanted.set()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            self._on_error(error)
            return
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            how, self._erased = (_TRUNCATE if self._erased else _PASSIVE), False
            try:
                busy = connection.execute(how).fetchone()[0]
                # A long read keeps the log from being emptied; the next round tries again.
                self._erased |= bool(busy) and how == _TRUNCATE
            except sqlite3.Error as error:
                self._on_error(error)
            self._nearly.set()
        connection.close()
