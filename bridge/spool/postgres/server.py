"""The PostgreSQL server: where it is, connecting to it, and what its errors mean.

Every session commits durably (``synchronous_commit``), gives up waiting for locks, and is ended by the server when its
client has stopped in the middle of a transaction: a frozen bridge must not hold the others up.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from bridge.errors import BridgeError, ConfigurationError, SpoolBroken, SpoolBusy, SpoolError, SpoolFull

SCHEMA = "ticket_bridge"
"""The schema that holds the spool unless the URL's ``search_path`` names another."""
CONNECT_S = 5.0
CONNECTIONS = 10
"""Connections of one bridge, beside the one that listens."""
OLDEST = 140000
_SETTINGS = {
    "application_name": "ticket-bridge",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "jit": "off",
}
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectInUseError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A server's database and the schema in it."""

    dsn: str
    """As asyncpg takes it; holds the password."""
    schema: str
    name: str
    """For people: host, port and database, no password."""


def address(url: str) -> Address:
    """The address of ``postgresql://user:password@host:port/database?sslmode=verify-full&sslrootcert=/path``.

    Raises ``ConfigurationError``; never shows the URL.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigurationError("BRIDGE_SPOOL_URL: not a URL: postgresql://user@host:5432/database") from None
    schema = query.pop("search_path", SCHEMA)
    if parts.scheme not in ("postgresql", "postgres") or not _NAME.fullmatch(schema):
        raise ConfigurationError(
            "BRIDGE_SPOOL_URL: give postgresql://user@host:5432/database; its search_path is one name in lower case"
        )
    host = parts.netloc.rpartition("@")[2] or query.get("host", "the local socket")
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query, quote_via=quote), ""))
    return Address(dsn, schema, f"{host}{parts.path}")


async def connect(at: Address, **settings: str) -> asyncpg.Connection[Any]:
    """One connection. Raises ``ConfigurationError`` or ``SpoolError``."""
    try:
        connection = await asyncpg.connect(at.dsn, timeout=CONNECT_S, **_options(at, settings))
    except Exception as error:  # noqa: BLE001 - the driver raises all kinds; none may show the URL
        raise at_connecting(error, at) from None
    try:
        await _check(connection, at)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def pool(at: Address) -> asyncpg.Pool[Any]:
    """Connections that come back by themselves after the server does."""

    async def leave_as_it_is(_connection: Any) -> None:
        """Every transaction ends, or ends its connection: there is nothing that a round trip would reset."""

    return await asyncpg.create_pool(
        at.dsn,
        min_size=0,
        max_size=CONNECTIONS,
        timeout=CONNECT_S,
        reset=leave_as_it_is,
        max_inactive_connection_lifetime=60,
        **_options(at, {}),
    )


def _options(at: Address, settings: dict[str, str]) -> dict[str, Any]:
    return {
        "server_settings": {**_SETTINGS, "search_path": at.schema, **settings},
        "target_session_attrs": "primary",
        "max_cacheable_statement_size": 0,
    }


async def _check(connection: asyncpg.Connection[Any], at: Address) -> None:
    """A server that would lose what it acknowledged, or is too old, is refused. Raises ``SpoolBroken``."""
    found = await connection.fetchrow(
        "SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync"
    )
    if found["version"] < OLDEST:
        raise SpoolBroken(f"{at.name}: PostgreSQL 14 or newer is needed, the server is {found['version'] // 10000}")
    if found["fsync"] != "on":
        raise SpoolBroken(f"{at.name}: the server runs with fsync=off and would lose acknowledged mail: turn it on")


def at_connecting(error: BaseException, at: Address) -> BridgeError:
    """An error at connecting as ours: what the URL says wrong is a configuration error."""
    if isinstance(error, ssl.SSLError | FileNotFoundError | ssl.CertificateError):
        what = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or "no TLS connection"
        return ConfigurationError(f"BRIDGE_SPOOL_URL: TLS to {at.name} failed: {what}; see sslmode and sslrootcert")
    if isinstance(error, ConnectionError) and "rejected SSL" in str(error):
        return ConfigurationError(f"BRIDGE_SPOOL_URL: {at.name} does not speak TLS, which its sslmode asks for")
    if isinstance(error, _REFUSED):
        return ConfigurationError(
            f"BRIDGE_SPOOL_URL: {at.name} refuses the user, the password or the database ({error.sqlstate})"
        )
    if isinstance(error, asyncpg.ClientConfigurationError | ValueError):
        return ConfigurationError(
            "BRIDGE_SPOOL_URL: not an address of PostgreSQL: postgresql://user@host:5432/database"
        )
    if isinstance(error, TimeoutError):
        return SpoolBusy(f"the spool's server {at.name} does not answer within {CONNECT_S:.0f} seconds")
    if isinstance(error, OSError):
        return SpoolBusy(f"the spool's server {at.name} cannot be reached: {error.strerror or type(error).__name__}")
    return translate(error)


def translate(error: BaseException) -> SpoolError:
    """An error of the driver as ours. The text names the kind, never data or the address."""
    if isinstance(error, SpoolError):
        return error
    state = getattr(error, "sqlstate", None) or type(error).__name__
    if isinstance(error, asyncpg.DiskFullError):
        return SpoolFull("the disk of the spool's server is full")
    if isinstance(error, asyncpg.QueryCanceledError | TimeoutError | asyncio.TimeoutError):
        return SpoolBusy("the spool's server is too slow")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return SpoolBroken("the spool's user may not do this: make it the owner of the spool's schema")
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
        return SpoolBroken("the spool's schema is not there: run `ticket-bridge spool migrate`")
    if isinstance(error, _GONE):
        return SpoolBusy(f"the spool's server is away or overloaded ({state})")
    return SpoolBroken(f"the spool's server refused a statement ({state})")
