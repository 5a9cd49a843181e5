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
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

import uvloop
from structlog.typing import FilteringBoundLogger

from bridge import __version__, allocator, composition, sdnotify
from bridge.delivery import (
    Checkpoint,
    Delivery,
    Gate,
    Ledger,
    Pace,
    Point,
    Reading,
    ReadingConfig,
    Resolver,
    Sending,
    Sharing,
    nothing,
)
from bridge.errors import BridgeError, ConfigurationError, SpoolBroken
from bridge.intake import Intake, Listen, activated, parse_listen
from bridge.isolation import Isolation
from bridge.ops import logs, retention
from bridge.ops.heartbeat import BEAT_S, Heartbeat
from bridge.ops.meter import Meter
from bridge.ops.notices import EVERY_S, Notices, look
from bridge.ops.status import RULES_FAULT, Monitor
from bridge.pipeline import Policy
from bridge.settings import Settings
from bridge.spool.api import NewMail, Spool
from bridge.spool.moving import refuse_half

if TYPE_CHECKING:
    from bridge.ops.page import PageServer

EXIT_BROKEN = 74


def serve(settings: Settings, *, pace: Pace | None = None, checkpoint: Checkpoint = nothing) -> int:
    """Run until SIGTERM or SIGINT; the exit code. ``pace`` and ``checkpoint`` are for tests."""
    meter = Meter()
    log = logs.configure(settings.log_format, meter)
    allocator.return_large_blocks()
    return uvloop.run(_serve(Service(settings, log, meter, pace=pace, checkpoint=checkpoint), log))


async def _serve(service: Service, log: FilteringBoundLogger) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, service.reload)
    await service.start()
    sdnotify.notify("READY=1")
    service.on_failure(stop.set)
    await stop.wait()
    sdnotify.notify("STOPPING=1")
    if service.failed.done():
        error = service.failed.exception()
        log.critical("broken", error=type(error).__name__, what=str(error) if isinstance(error, BridgeError) else "")
        # Nothing that is still open can be promised any more: no drain, no clean close (design §5).
        os._exit(EXIT_BROKEN)
    await service.stop()
    return 0


class _Reception:
    """The spool, as intake sees it."""

    def __init__(self, spool: Spool, checkpoint: Checkpoint) -> None:
        self._spool = spool
        self._checkpoint = checkpoint

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        self._checkpoint(Point.ACCEPTING)
        made = await self._spool.accept(mail)
        self._checkpoint(Point.ACCEPTED)
        return made

    def accepting(self) -> bool:
        return self._spool.usage().accepting


class Service:
    """All parts of one bridge, started and stopped together."""

    spool: Spool
    failed: asyncio.Future[None]
    """Done, with an exception, once a part broke so that the bridge cannot go on."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        meter: Meter | None = None,
        *,
        pace: Pace | None = None,
        checkpoint: Checkpoint = nothing,
    ) -> None:
        """Nothing runs before ``start``. ``meter`` counts what ``log`` is told."""
        self._pace = pace or Pace()
        self._checkpoint = checkpoint
        self._settings = settings
        self._log = log
        self._meter = meter or Meter()
        self._page: PageServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._housekeeping: list[asyncio.Task[None]] = []
        self._isolation = Isolation()
        self._one_reload = asyncio.Lock()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports that were taken."""
        return self._intake.addresses

    async def start(self) -> None:
        """Open the spool, take over what an earlier process left, then listen. Raises ``BridgeError``."""
        settings, log = self._settings, self._log
        loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        policy, isolation = composition.policy(settings), self._isolation
        await isolation.check_rules(policy.rules, composition.rules_name(settings))
        listen = [parse_listen(text) for text in settings.listen]
        self.spool = await composition.open_spool(settings, on_fatal=self._broken_in_thread(loop))
        await refuse_half(self.spool)
        taken_over = await self.spool.recover()
        await self.spool.put_meta(RULES_FAULT, "")
        self._set_delivery_up(isolation, policy)
        self._intake = Intake(composition.intake(settings), _Reception(self.spool, self._checkpoint), log)
        await self._intake.start([*listen, *_activated()])
        await self._serve_page(isolation)
        self._run(self._reading.run())
        self._run(self._delivery.run())
        self._heartbeat = Heartbeat(
            self.spool,
            self._gate,
            time.time,
            log,
            alive=lambda: sdnotify.notify("WATCHDOG=1"),
            every_s=sdnotify.watchdog_s() or BEAT_S,
        )
        house = retention.keep(self.spool, self._settings.retention_days, log)
        for part in (self._heartbeat.run(), house, self._keep_notices(), allocator.keep_trimmed()):
            self._beside(part)
        if composition.is_shared(settings):
            self._beside(Sharing(self.spool, self._gate, composition.ME, time.time).run())
        self._say(taken_over)

    def _set_delivery_up(self, isolation: Isolation, policy: Policy) -> None:
        settings, log, pace = self._settings, self._log, self._pace
        chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        limit = settings.api_concurrency
        self._api = composition.ticket_api(settings)
        self._gate = Gate(self._api, self.spool, limit=limit, clock=time.time, log=log, chance=chance, pace=pace)
        ledger = Ledger(self.spool, time.time, chance, pace, log, self._checkpoint)
        sending = Sending(ledger, self._api, self._gate, composition.sending(settings), isolation.attachment)
        self._delivery = Delivery(self.spool, sending, self._gate, concurrency=limit, idle_s=pace.idle_s, log=log)
        self._reading = Reading(
            self.spool,
            isolation,
            Resolver(self._api, self._gate, self.spool),
            ReadingConfig(policy, shadow=settings.mode == "shadow", idle_s=pace.idle_s),
            composition.addresser(settings),
            clock=time.time,
            log=log,
            checkpoint=self._checkpoint,
        )

    async def _serve_page(self, isolation: Isolation) -> None:
        settings = self._settings
        if not settings.ops_bind:
            return
        from bridge.ops.cases import Cases
        from bridge.ops.page import PageServer
        from bridge.ops.page.app import Page

        directory = composition.data_directory(settings) / "cases"
        monitor = Monitor(self.spool, self._gate, self._meter, settings.tls_cert_file, time.time)
        page = Page(
            self.spool,
            monitor,
            settings.ops_token.get_secret_value(),
            cases=Cases(self.spool, directory, isolation.read, time.time),
            rejects=bool(settings.notice_smarthost),
        )
        host, _, port = settings.ops_bind.rpartition(":")
        self._page = PageServer(page.app, host.strip("[]"), int(port))
        host, taken = await self._page.start()
        self._log.info("page", url=f"http://{host}:{taken}/", login=bool(settings.ops_token.get_secret_value()))

    def _say(self, taken_over: int) -> None:
        for host, port in self.addresses:
            self._log.info("listening", host=host, port=port)
        if self._settings.effective_number_policy == "accept":
            self._log.warning(
                "number_policy",
                risk="whoever guesses a ticket's number can answer it; BRIDGE_AUTHSERV_ID closes this",
            )
        self._log.info("started", version=__version__, mode=self._settings.mode, taken_over=taken_over)

    def _run(self, part: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(part)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _beside(self, part: Coroutine[None, None, None]) -> None:
        """Run what mail can do without: its failure is said, and ends nothing."""
        task = asyncio.create_task(part)
        task.add_done_callback(self._failed)
        self._housekeeping.append(task)

    def _failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.critical("part_failed", exc_info=task.exception())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self._log.critical("part_failed", exc_info=error)
            self._broken(error)

    def on_failure(self, call: Callable[[], None]) -> None:
        """Call once when a part has broken."""
        self.failed.add_done_callback(lambda _: call())

    def _broken_in_thread(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        def broken() -> None:
            loop.call_soon_threadsafe(self._broken)

        return broken

    def _broken(self, error: BaseException | None = None) -> None:
        if not self.failed.done():
            self.failed.set_exception(error or SpoolBroken("the spool's file can no longer be trusted"))

    async def _keep_notices(self) -> None:
        config = composition.notices(self._settings)
        if config is None:
            return
        notices = Notices(self.spool, config, time.time, self._log)
        while True:
            await look(notices, self._log)
            await asyncio.sleep(EVERY_S)

    def reload(self) -> None:
        """Read the TLS certificate and the sensitivity rules anew (SIGHUP). What is bad is told, and the old stays."""
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        async with self._one_reload:
            try:
                self._intake.reload_tls()
            except ConfigurationError as error:
                self._log.error("reload_failed", what=str(error), kept="the certificate in use")
            else:
                self._log.info("reloaded", what="certificate")
            try:
                policy = composition.policy(self._settings)
                await self._isolation.check_rules(policy.rules, composition.rules_name(self._settings))
            except ConfigurationError as error:
                self._log.error("reload_failed", what=str(error), kept="the last good sensitivity rules")
                await self.spool.put_meta(RULES_FAULT, str(error))
            else:
                self._reading.adopt(policy)
                self._log.info("reloaded", what="sensitivity rules")
                await self.spool.put_meta(RULES_FAULT, "")

    async def stop(self) -> None:
        """Listeners first, then what is in flight within the grace period, then the spool."""
        deadline = time.monotonic() + self._settings.grace_seconds
        for task in self._housekeeping:
            task.cancel()
        self._reading.stop()
        self._delivery.stop()
        await self._intake.drain(self._settings.grace_seconds)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=max(0.0, deadline - time.monotonic()))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._page is not None:
            await self._page.stop()
        await self._gate.close()
        await self._heartbeat.stopped()
        await self._api.close()
        await self.spool.close()
        self._log.info("stopped")


def _activated() -> tuple[Listen, ...]:
    """Sockets that systemd opened for this process (sd_listen_fds(3))."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return ()
    return activated(int(count), os.environ.get("LISTEN_FDNAMES", ""))
