"""Claims what is due and sends it: several lanes at once, one entry of a lane at a time.

Promises: nothing that one entry does to its sender stops the others. Fails with ``SpoolError`` when the spool broke.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from bridge.delivery.gate import Gate
from bridge.delivery.giving_back import BUSY_S, give_back
from bridge.delivery.lease import LEASE_S, kept
from bridge.delivery.sending import Sending
from bridge.errors import SpoolError, StaleToken
from bridge.spool.api import Claim, Spool


class Delivery:
    """The dispatcher."""

    def __init__(
        self,
        spool: Spool,
        sending: Sending,
        gate: Gate,
        *,
        concurrency: int,
        idle_s: float,
        log: FilteringBoundLogger,
    ) -> None:
        """``concurrency`` is how many entries are in hand when all is well."""
        self._spool = spool
        self._sending = sending
        self._gate = gate
        self._log = log
        self._concurrency = concurrency
        self._idle_s = idle_s
        self._busy = 0
        self._freed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Until ``stop``; ends after the entries in hand are settled. Raises ``SpoolError`` when the spool broke."""
        async with asyncio.TaskGroup() as group:
            while await self._may_go_on():
                free = min(self._concurrency, self._gate.capacity()) - self._busy
                if free <= 0:
                    await self._some_freed()
                    continue
                claims = await self._claim(free)
                for claim in claims:
                    self._busy += 1
                    group.create_task(self._one(claim))
                if not claims:
                    await self._spool.wait(self._idle_s)

    async def _some_freed(self) -> None:
        """Wait for an entry in hand to end, or a moment: the rate limit and the circuit give way without one."""
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._idle_s):
                await self._freed.wait()

    async def _may_go_on(self) -> bool:
        """Wait for the gate; False once it is time to stop."""
        while not self._stopping and not self._gate.state().open:
            try:
                async with asyncio.timeout(0.5):
                    await self._gate.passed()
            except TimeoutError:
                continue
        return not self._stopping

    async def _claim(self, free: int) -> Sequence[Claim]:
        try:
            return await self._spool.claim_ready(free, LEASE_S)
        except SpoolError as error:
            if not error.temporary:
                raise
            self._log.warning("spool_busy", stage="delivery")
            await asyncio.sleep(BUSY_S)
            return ()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._freed.set()

    async def _one(self, claim: Claim) -> None:
        try:
            async with kept(self._spool, claim):
                await self._send(claim)
        except StaleToken:
            self._log.warning("claim_lost", entry=claim.entry.id, stage="delivery")
        except SpoolError as error:
            if not error.temporary:
                raise
            self._log.warning("spool_busy", entry=claim.entry.id, stage="delivery")
            await give_back(self._spool, claim)
        finally:
            self._busy -= 1
            self._freed.set()

    async def _send(self, claim: Claim) -> None:
        try:
            await self._sending.send(claim)
        except SpoolError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one mail must not stop all others
            self._log.critical("internal_error", entry=claim.entry.id, stage="delivery", exc_info=error)
            await self._sending.broken(claim)
