"""The spool: one interface (``api``), stores behind it, chosen by URL."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from bridge.errors import ConfigurationError, SpoolBroken
from bridge.spool.api import Spool
from bridge.spool.cipher import Cipher, SpoolKey, parse_keys
from bridge.spool.files import Database
from bridge.spool.ledger import Ledger
from bridge.spool.sqlite import SqliteSpool

__all__ = ["Spool", "SpoolKey", "is_postgres", "migrate_postgres", "open_spool", "parse_keys", "path_of"]


def path_of(url: str) -> Path:
    """The file of ``sqlite:///relative`` or ``sqlite:////absolute``. Raises ``SpoolBroken`` for another URL."""
    scheme, mark, path = url.partition(":///")
    if scheme != "sqlite" or not mark or not path:
        raise SpoolBroken("the spool's URL must be sqlite:/// and a path")
    return Path(path)


def is_postgres(url: str) -> bool:
    """Whether ``url`` is one of PostgreSQL."""
    return url.startswith(("postgresql:", "postgres:"))


def _postgres() -> ModuleType:
    """The store on PostgreSQL. Raises ``ConfigurationError`` when its driver is not installed."""
    try:
        return importlib.import_module("bridge.spool.postgres")
    except ModuleNotFoundError:
        raise ConfigurationError(
            "BRIDGE_SPOOL_URL: a spool on PostgreSQL needs the extra `postgres`: pip install 'ticket-bridge[postgres]'"
        ) from None


async def migrate_postgres(url: str) -> tuple[int, int]:
    """Bring a spool on PostgreSQL to the present schema; the versions before and after. Raises ``BridgeError``."""
    versions: tuple[int, int] = await _postgres().migrate(url)
    return versions


async def open_spool(
    url: str,
    *,
    owner: str,
    high_water_bytes: int,
    min_free_bytes: int,
    keys: tuple[SpoolKey, ...] = (),
    clock: Callable[[], float] | None = None,
    steady: Callable[[], float] | None = None,
    create: bool = True,
    exclusive: bool = True,
    on_fatal: Callable[[], None] = lambda: None,
) -> Ledger:
    """Open the spool at ``url``.

    ``owner`` names who claims (one bridge keeps its name over restarts); ``exclusive`` is for the process that serves,
    without it the spool is opened beside that one. ``clock`` replaces the time that counts for the store, this
    machine's or the server's; ``steady`` never jumps, so that a jump of this machine's is seen: any other ``clock``
    counts as one that never jumps. ``on_fatal`` is called, in any thread, when nothing can be promised any more.
    Raises ``SpoolBroken``, or ``ConfigurationError`` for a wrong key or address, saying what to do.
    """

    cipher = Cipher(keys)
    if is_postgres(url):
        spool: Ledger = await _postgres().open_postgres(
            url, owner=owner, high_water_bytes=high_water_bytes, cipher=cipher, clock=clock
        )
        return spool

    def make() -> Ledger:
        database = Database(
            path_of(url),
            cipher=cipher,
            high_water_bytes=high_water_bytes,
            min_free_bytes=min_free_bytes,
            create=create,
            exclusive=exclusive,
        )
        return SqliteSpool(
            database,
            owner=owner,
            cipher=cipher,
            clock=clock or time.time,
            steady=steady or clock or time.monotonic,
            on_fatal=on_fatal,
        )

    return await asyncio.to_thread(make)
