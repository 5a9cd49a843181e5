"""Looking after a spool on SQLite: is all of it there and readable, of the present schema, and no larger than needed.

Promises: ``verify`` changes nothing and runs beside a bridge. ``compact`` re-seals in small steps, beside a bridge too,
and gives the room back to the disk only when none serves. ``migrate`` needs the spool for itself. None of them reads
a customer's words into its findings.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bridge.errors import SpoolBusy
from bridge.spool import files, keyring, schema, soundness
from bridge.spool.cipher import Cipher
from bridge.spool.writer import carry_out, translate

STEP = 50
"""Values re-sealed in one transaction: the bridge's own writes wait no longer than that takes."""
MOST_FAULTS = 1000
Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What ``verify`` looked at, and what is wrong; at most ``MOST_FAULTS``."""

    entries: int
    mails: int
    """Whose bodies are still there."""
    bytes: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compacted:
    """What ``compact`` did; sizes of the file in bytes."""

    resealed: int
    size_before: int
    size_after: int
    shrunk: bool
    """False while a bridge serves: the file then keeps its size, and free pages are used again."""


def verify(path: Path, cipher: Cipher, progress: Progress) -> Verified:
    """Integrity of the file, of its references and counters; every body opens and is what was stored."""
    with _open(path) as db:
        schema.prepare(db, str(path), migrate=False)
        carry_out(db, keyring.check_only(cipher))
        db.execute("BEGIN")
        totals = carry_out(db, soundness.totals())
        faults = list(islice(_faults(db, cipher, lambda done: progress(done, totals.entries)), MOST_FAULTS))
    return Verified(totals.entries, totals.mails, totals.bytes, tuple(faults))


def _faults(db: sqlite3.Connection, cipher: Cipher, progress: Callable[[int], None]) -> Iterator[str]:
    for row in db.execute("PRAGMA integrity_check(100)"):
        if row[0] != "ok":
            yield f"file: {row[0]}"
    for row in db.execute("PRAGMA foreign_key_check"):
        yield f"file: {row['table']} {row['rowid']} points at a {row['parent']} that is not there"
    yield from carry_out(db, soundness.counters())
    done = after = 0
    looked = soundness.PAGE
    while looked == soundness.PAGE:
        faults, looked, after = carry_out(db, soundness.page(cipher, after))
        yield from faults
        done += looked
        progress(done)
    yield from carry_out(db, soundness.texts(cipher))


def migrate(path: Path) -> tuple[int, int]:
    """Bring the file to the present schema; the version that it had, and the one it has. ``SpoolBusy`` while served."""
    with _open(path) as db, _alone(path):
        before = schema.prepare(db, str(path), migrate=True)
    return before, len(schema.scripts())


def compact(path: Path, cipher: Cipher, progress: Progress) -> Compacted:
    """Seal everything with the first key, and give free pages back to the disk."""
    with _open(path) as db:
        before = path.stat().st_size
        schema.prepare(db, str(path), migrate=False)
        carry_out(db, keyring.check(cipher))
        total, done = carry_out(db, keyring.to_reseal(cipher)), 0
        for place in keyring.SEALED:
            after, step = 0, STEP
            while step == STEP:
                step, after = _reseal(db, cipher, place, after)
                done += step
                progress(done, max(done, total))
        try:
            with _alone(path):
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                shrunk = True
        except SpoolBusy:
            shrunk = False
    return Compacted(done, before, path.stat().st_size, shrunk)


def _reseal(db: sqlite3.Connection, cipher: Cipher, place: tuple[str, str, str], after: int) -> tuple[int, int]:
    db.execute("BEGIN IMMEDIATE")
    try:
        step = carry_out(db, keyring.reseal(cipher, place, after, STEP))
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return step


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        files.make(path, allowed=False)
    try:
        with closing(files.connect(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise translate(error) from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = files.lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
