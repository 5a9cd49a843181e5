"""The schema and its migrations: numbered SQL files, applied in order, forward only, by one process at a time.

A migration says in its first line the oldest schema whose bridges may go on running beside it (``-- oldest: N``): one
version back, so that bridges are replaced one after another, after ``ticket-bridge spool migrate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncpg

from bridge.errors import SpoolBroken
from bridge.spool.postgres import server


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; its number is its place."""

    oldest: int
    script: str


def migrations() -> Sequence[Migration]:
    """All steps, oldest first."""
    folder = resources.files("bridge.spool.postgres").joinpath("migrations")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(parse(item.read_text("utf-8")) for item in files)


def parse(script: str) -> Migration:
    """A migration's text."""
    first = script.partition("\n")[0]
    return Migration(int(first.removeprefix("-- oldest:")), script)


async def migrate(at: server.Address, steps: Sequence[Migration]) -> tuple[int, int]:
    """Bring the schema to the newest version; the versions before and after. Raises ``SpoolError``."""
    connection = await server.connect(at, lock_timeout="60s")
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"migrate {at.schema}")
            version = await _version(connection) or (0, 0)
            if version[0] > len(steps):
                return version[0], version[0]
            if not version[0]:
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {at.schema}")
                await connection.execute("CREATE TABLE schema_version (version int NOT NULL, oldest int NOT NULL)")
            for step in steps[version[0] :]:
                await connection.execute(step.script)
            if steps[version[0] :]:
                await connection.execute("DELETE FROM schema_version")
                await connection.execute("INSERT INTO schema_version VALUES ($1, $2)", len(steps), steps[-1].oldest)
            return version[0], len(steps)
    except asyncpg.InsufficientPrivilegeError:
        raise SpoolBroken(
            f"{at.name}: the user may not make the schema {at.schema}: "
            f"`GRANT CREATE ON DATABASE …` or `CREATE SCHEMA {at.schema} AUTHORIZATION …` as the database's owner"
        ) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise server.translate(error) from None
    finally:
        await connection.close(timeout=server.CONNECT_S)


async def check(connection: asyncpg.Connection[Any], at: server.Address, known: int) -> None:
    """Raises ``SpoolBroken`` unless a bridge that knows ``known`` migrations may work with this schema."""
    try:
        found = await _version(connection)
    except asyncpg.PostgresError as error:
        raise server.translate(error) from None
    if found is None:
        await _may_use(connection, at)
        raise SpoolBroken(f"{at.name} holds no spool (schema {at.schema}): run `ticket-bridge spool migrate`")
    version, oldest = found
    if version < known:
        raise SpoolBroken(f"{at.name} has the older schema {version}: run `ticket-bridge spool migrate`")
    if version > known and oldest > known:
        raise SpoolBroken(f"{at.name} was migrated by a newer bridge (schema {version}): install that one")


async def _may_use(connection: asyncpg.Connection[Any], at: server.Address) -> None:
    """Raises ``SpoolBroken`` when the schema is there, but not for this user."""
    allowed = await connection.fetchval(
        "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1", at.schema
    )
    if allowed is False:
        raise SpoolBroken(f"{at.name}: the user may not use the schema {at.schema}: make it the schema's owner")


async def _version(connection: asyncpg.Connection[Any]) -> tuple[int, int] | None:
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return None
    found = await connection.fetchrow("SELECT version, oldest FROM schema_version")
    return None if found is None else (found["version"], found["oldest"])
