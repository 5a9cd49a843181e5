"""Erases bodies past their retention, every hour (design §5).

Not in an hour in which the clock jumped, nor before one has passed since the start: a clock that is wrong must not end
the time that held mail is kept for.
"""

from __future__ import annotations

import asyncio
import time

from structlog.typing import FilteringBoundLogger

from bridge.errors import SpoolError
from bridge.spool.api import Spool
from bridge.spool.jumps import JumpWatch

HELD_DAYS = 90
"""Days that held mail keeps its body (design §5)."""
_DAY_S = 86_400.0
EVERY_S = 3600.0
CLOCK_IS_SURE_S = 60.0
"""An hour's adjustment of a clock that is right stays far below."""


async def keep(spool: Spool, retention_days: int, log: FilteringBoundLogger, every_s: float = EVERY_S) -> None:
    """Until cancelled. Raises ``SpoolError`` when the spool broke."""
    watch = JumpWatch(time.time, time.monotonic)
    while True:
        await asyncio.sleep(every_s)
        if abs(watch.jump()) <= CLOCK_IS_SURE_S:
            await _erase(spool, retention_days, log)


async def _erase(spool: Spool, retention_days: int, log: FilteringBoundLogger) -> None:
    now = time.time()
    try:
        erased = await spool.erase(ended_before=now - retention_days * _DAY_S, held_before=now - HELD_DAYS * _DAY_S)
    except SpoolError as error:
        if not error.temporary:
            raise
        return
    if erased:
        log.info("erased", entries=erased)
