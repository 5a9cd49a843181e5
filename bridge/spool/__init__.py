"""The spool: one interface (``api``), stores behind it, chosen by URL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from bridge.errors import SpoolBroken
from bridge.spool.api import Spool
from bridge.spool.cipher import Cipher, SpoolKey, parse_keys
from bridge.spool.files import Database
from bridge.spool.sqlite import SqliteSpool

__all__ = ["Spool", "SpoolKey", "open_spool", "parse_keys", "path_of"]


def path_of(url: str) -> Path:
    """The file of ``sqlite:///relative`` or ``sqlite:////absolute``. Raises ``SpoolBroken`` for another URL."""
    scheme, mark, path = url.partition(":///")
    if scheme != "sqlite" or not mark or not path:
        raise SpoolBroken("the spool's URL must be sqlite:/// and a path")
    return Path(path)


async def open_spool(
    url: str,
    *,
    owner: str,
    high_water_bytes: int,
    min_free_bytes: int,
    keys: tuple[SpoolKey, ...] = (),
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] | None = None,
    create: bool = True,
    exclusive: bool = True,
    on_fatal: Callable[[], None] = lambda: None,
) -> Spool:
    """Open the spool at ``url``.

    ``owner`` names who claims (one bridge keeps its name over restarts); ``exclusive`` is for the process that serves,
    without it the spool is opened beside that one. ``steady`` never jumps, so that a jump of ``clock`` is seen: the
    system's for the system's clock; any other ``clock`` counts as one that never jumps. ``on_fatal`` is called, in any
    thread, when nothing can be promised any more. Raises ``SpoolBroken``, or ``ConfigurationError`` for a wrong key,
    saying what to do.
    """

    def make() -> Spool:
        cipher = Cipher(keys)
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
            clock=clock,
            steady=steady or (time.monotonic if clock is time.time else clock),
            on_fatal=on_fatal,
        )

    return await asyncio.to_thread(make)
