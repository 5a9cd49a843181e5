"""The one thread that writes: it commits whatever waits as one transaction, a savepoint for each operation.

Promises: an operation's result is given out only after the transaction that holds it is on disk
(``synchronous=FULL``); an operation that raises leaves nothing behind and harms no other of its group. Fails closed: a
write or sync error makes the store fatal, and nothing is acknowledged after it (a failed fsync may have dropped pages).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.errors import SpoolBroken, SpoolBusy, SpoolError, SpoolFull
from bridge.spool.cipher import Pieces
from bridge.spool.steps import Ask, Row, Steps

GROUP = 500
"""Operations in one transaction at most."""
IDLE_S = 0.5
_OF_ONE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors about one operation's values; any other of SQLite's says that the transaction or the file is in trouble."""
T = TypeVar("T")


@dataclass(slots=True)
class _Operation:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


def translate(error: sqlite3.Error) -> SpoolError:
    """A SQLite error as ours. The text names the kind, never data."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code == sqlite3.SQLITE_FULL:
        return SpoolFull("the spool's disk is full")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SpoolBusy("another process has held the spool's lock for too long")
    return SpoolBroken(f"the spool cannot be used ({name})")


def is_fatal(error: sqlite3.Error) -> bool:
    """True when what SQLite holds of the file can no longer be trusted: I/O errors and corruption."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Writer:
    """Owns the writing connection."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], on_group: Callable[[sqlite3.Connection], None]
    ) -> None:
        """``on_group`` is called in the thread after each group and when idle (usage, checkpoints)."""
        self._connect = connect
        self._on_group = on_group
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._closed = False
        self.fatal: SpoolBroken | None = None
        self.on_fatal: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Open the connection in the thread; raises what opening raised."""
        self._thread.start()
        error = self._opened.get()
        if error is not None:
            self._thread.join()
            raise error

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction; returns once it is durable. Raises ``SpoolError`` and what ``work`` raised."""
        if self._closed:
            raise SpoolBroken("the spool is closed")
        loop = asyncio.get_running_loop()
        operation = _Operation(work, loop.create_future(), loop)
        self._queue.put(operation)
        result: T = await operation.future
        return result

    def close(self) -> None:
        """Finish what waits, then end the thread. Blocks."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._opened.put(error)
            return
        self._opened.put(None)
        open_ = True
        while open_:
            group, open_ = self._next_group()
            if group:
                self._commit(connection, group)
            if self.fatal is None:
                self._look_after(connection)
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    def _look_after(self, connection: sqlite3.Connection) -> None:
        try:
            self._on_group(connection)
        except sqlite3.Error as error:
            self._failed(error)

    def _next_group(self) -> tuple[list[_Operation], bool]:
        group: list[_Operation] = []
        try:
            item = self._queue.get(timeout=IDLE_S)
            while item is not None:
                group.append(item)
                if len(group) >= GROUP:
                    return group, True
                item = self._queue.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _commit(self, connection: sqlite3.Connection, group: list[_Operation]) -> None:
        try:
            self._transact(connection, group)
        except sqlite3.Error as error:
            self._fail_all(group, self._failed(error))
            if connection.in_transaction:
                try:
                    connection.execute("ROLLBACK")
                except sqlite3.Error as again:
                    self._failed(again)
        except SpoolBroken as error:
            self._fail_all(group, error)
        by_loop: dict[asyncio.AbstractEventLoop, list[_Operation]] = {}
        for operation in group:
            by_loop.setdefault(operation.loop, []).append(operation)
        for loop, operations in by_loop.items():
            # A loop that was closed meanwhile has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_deliver, operations)

    def _transact(self, connection: sqlite3.Connection, group: list[_Operation]) -> None:
        if self.fatal:
            raise self.fatal
        connection.execute("BEGIN IMMEDIATE")
        for operation in group:
            self._one(connection, operation)
        connection.execute("COMMIT")

    @staticmethod
    def _fail_all(group: list[_Operation], failure: SpoolError) -> None:
        for operation in group:
            operation.error = type(failure)(*failure.args)

    def _one(self, connection: sqlite3.Connection, operation: _Operation) -> None:
        connection.execute("SAVEPOINT operation")
        try:
            operation.result = operation.work(connection)
        except _OF_ONE as error:
            operation.error = translate(error)
            connection.execute("ROLLBACK TO operation")
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - belongs to the one who asked
            operation.error = error
            connection.execute("ROLLBACK TO operation")
        connection.execute("RELEASE operation")

    def fail(self, error: sqlite3.Error) -> None:
        """Another thread met this error at the same file; when it is fatal, nothing is promised from here on."""
        self._failed(error)

    def _failed(self, error: sqlite3.Error) -> SpoolError:
        failure = translate(error)
        if isinstance(failure, SpoolFull):
            self.on_full()
        if is_fatal(error) and self.fatal is None:
            self.fatal = failure if isinstance(failure, SpoolBroken) else SpoolBroken(str(failure))
            self.on_fatal()
        return failure


def carry_out(db: sqlite3.Connection, steps: Steps[T]) -> T:
    """Ask what the steps ask, inside the transaction that is open; there is nobody to lock against in it."""
    try:
        step = next(steps)
        while True:
            step = steps.send(_rows(db, step) if isinstance(step, Ask) else ())
    except StopIteration as done:
        result: T = done.value
        return result


def _rows(db: sqlite3.Connection, step: Ask) -> Sequence[Row]:
    if step.values and isinstance(step.values[0], Pieces):
        return _insert_in_place(db, step, step.values[0])
    return db.execute(step.sql, step.values).fetchall()


def _insert_in_place(db: sqlite3.Connection, step: Ask, raw: Pieces) -> Sequence[Row]:
    """Written into the row itself: a statement keeps its values until it is used again, a large mail's for hours."""
    sql = step.sql.replace("VALUES (?,", "VALUES (zeroblob(?),", 1)
    rows = db.execute(sql, (len(raw), *step.values[1:])).fetchall()
    with db.blobopen("mails", "raw", rows[0][0]) as blob:
        blob.write(raw.head)
        blob.write(raw.content)
    return rows


def _deliver(operations: list[_Operation]) -> None:
    for operation in operations:
        if operation.future.done():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
        else:
            operation.future.set_result(operation.result)
