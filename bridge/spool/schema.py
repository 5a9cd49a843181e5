"""The schema and its migrations: numbered SQL files, applied in order, forward only.

A file of a newer schema is refused, because what this program would write there could be wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources

from bridge.errors import SpoolBroken

APPLICATION_ID = 0x74626467  # "tbdg": tells our file from any other SQLite file


def scripts() -> Sequence[str]:
    """The migrations, oldest first; applying all of them makes the present schema."""
    folder = resources.files("bridge.spool").joinpath("migrations")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(item.read_text("utf-8") for item in files)


def statements(script: str) -> Iterator[str]:
    """The statements of a script; a trigger's inner ones stay together."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def prepare(connection: sqlite3.Connection, name: str, *, migrate: bool) -> int:
    """Bring the file to the present schema, in one transaction; the version that it had.

    Without ``migrate`` an older file is refused. Raises ``SpoolBroken``.
    """
    connection.execute("BEGIN IMMEDIATE" if migrate else "BEGIN")
    try:
        version = _version(connection, name)
        _apply(connection, name, version, migrate=migrate)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return version


def _apply(connection: sqlite3.Connection, name: str, version: int, *, migrate: bool) -> None:
    steps = scripts()
    if version > len(steps):
        raise SpoolBroken(f"{name} was written by a newer bridge (schema {version}): install that one")
    if version == len(steps):
        return
    if version and not migrate:
        raise SpoolBroken(f"{name} has the older schema {version}: run `ticket-bridge spool migrate`")
    for step in steps[version:]:
        for statement in statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(steps)}")


def _version(connection: sqlite3.Connection, name: str) -> int:
    """0 for an empty file. Raises ``SpoolBroken`` for somebody else's."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise SpoolBroken(f"{name} is not a spool of this bridge")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
