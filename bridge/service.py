"""The one composition root: settings become parts, signals a drain, and a broken part the end of the process.

Promises: nothing is accepted before the spool is open and what an earlier process left behind is taken over; at a stop
the listeners close first, then what is in flight ends within the grace period, then the spool closes. What did not end
by then is taken over at the next start. When the spool can no longer promise durability, the process ends at once with
exit code 74: what was not committed was not acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from structlog.typing import FilteringBoundLogger

from bridge import __version__, composition, sdnotify
from bridge.delivery import Delivery, Gate, Resolver, TicketApi
from bridge.delivery.reading import Reading, ReadingConfig
from bridge.errors import BridgeError, ConfigurationError
from bridge.intake import Intake
from bridge.isolation import Isolation
from bridge.ops import logs
from bridge.settings import Settings
from bridge.spool.api import Spool

EXIT_BROKEN = 74
HELD_DAYS = 90
"""Days that held mail keeps its body (design §5)."""
_DAY_S = 86_400.0
_HOUR_S = 3600.0


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    log = logs.configure(settings.log_format)
    return uvloop.run(_serve(settings, log))


async def _serve(settings: Settings, log: FilteringBoundLogger) -> int:
    service = Service(settings, log)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, service.reload)
    await service.start()
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopped, service.failed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    sdnotify.notify("STOPPING=1")
    if service.failed.done():
        log.critical("broken", error=type(service.failed.exception()).__name__, what=_say(service.failed.exception()))
        await service.abandon()
        return EXIT_BROKEN
    await service.stop()
    return 0


def _say(error: BaseException | None) -> str:
    return str(error) if isinstance(error, BridgeError) else ""


class Service:
    """All parts of one bridge, started and stopped together."""

    def __init__(self, settings: Settings, log: FilteringBoundLogger) -> None:
        """Nothing runs before ``start``."""
        self._settings = settings
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self.spool: Spool
        self.failed: asyncio.Future[None]
        """Done with an exception once a part broke in a way that it cannot go on."""

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports that were chosen."""
        return self._intake.addresses

    async def start(self) -> None:
        """Open the spool, take over what an earlier process left, then listen. Raises ``BridgeError``."""
