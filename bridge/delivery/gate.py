"""The gate that all delivery goes through: shut while the key, the certificate, the address or the API is bad, or while
the API asks for time (design §6).

Nothing is lost or expires behind a shut gate: paused time is added to every waiting entry. Shut for a reason that only
a probe can lift, it probes by itself and opens when the probe goes well.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from bridge.delivery import schedule
from bridge.delivery.client import Answer, TicketApi
from bridge.delivery.outcome import Outcome, classify
from bridge.errors import ApiError, Problem
from bridge.spool.api import Spool


@dataclass(frozen=True, slots=True)
class GateState:
    """What health, metrics and people see."""

    open: bool
    reason: str = ""
    """``key``, ``certificate``, ``wrong_url``, ``rate_limit`` or ``circuit``."""
    since: float = 0.0
    until: float | None = None


_PROBED = {
    Outcome.KEY_REFUSED: "key",
    Outcome.CERTIFICATE: "certificate",
    Outcome.WRONG_URL: "wrong_url",
}


class Gate:
    """Open, or shut for one reason at a time."""

    def __init__(
        self,
        api: TicketApi,
        spool: Spool,
        *,
        limit: int,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
        chance: random.Random,
    ) -> None:
        """``limit`` is how many requests are in flight when all is well."""
        self._api = api
        self._spool = spool
        self._clock = clock
        self._log = log
        self._chance = chance
        self._state = GateState(open=True)
        self._opened = asyncio.Event()
        self._opened.set()
        self._keeper: asyncio.Task[None] | None = None
        self._not_found: list[tuple[float, str]] = []
        self.circuit = schedule.Circuit(limit)

    def state(self) -> GateState:
        """The present state."""
        return self._state

    async def passed(self) -> None:
        """Wait until the gate is open."""
        await self._opened.wait()

    async def close(self) -> None:
        """Stop probing."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def answered(self, answer: Answer) -> None:
        """After a success: respects a rate limit that is used up before the 429 comes."""
        self.circuit = self.circuit.success()
        if answer.remaining == 0 and answer.reset_s:
            self._shut("rate_limit", min(answer.reset_s, schedule.RATE_LIMIT_CAP_S))

    def failed(self, error: ApiError, ticket: str) -> Outcome:
        """After a failure: shuts when it concerns everybody. The outcome."""
        outcome = classify(error)
        if outcome in _PROBED:
            self._shut(_PROBED[outcome], None)
        elif outcome is Outcome.RATE_LIMITED:
            retry_after_s = error.retry_after_s if isinstance(error, Problem) else None
            self._shut("rate_limit", schedule.rate_limit_pause(retry_after_s, self._chance.random()))
        elif outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
            self.circuit = self.circuit.failure(ticket)
            if self.circuit.is_open:
                self._shut("circuit", None)
        elif outcome is Outcome.NOT_FOUND:
            now = self._clock()
            self._not_found = [*self._not_found[-50:], (now, ticket)]
            if schedule.looks_like_wrong_url(self._not_found, now):
                self._not_found.clear()
                self._shut("wrong_url", None)
        return outcome

    def shut_for_key(self) -> None:
        """The key may not even list tickets: everything waits."""
        self._shut("key", None)

    def _shut(self, reason: str, seconds: float | None) -> None:
        now = self._clock()
        until = None if seconds is None else now + seconds
        if not self._state.open:
            return
        self._state = GateState(open=False, reason=reason, since=now, until=until)
        self._opened.clear()
        self._log.error("paused", reason=reason, seconds=seconds) if seconds is None else self._log.warning(
            "paused", reason=reason, seconds=round(seconds, 1)
        )
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        state = self._state
        if state.until is not None:
            await asyncio.sleep(max(0.0, state.until - self._clock()))
        else:
            while not await self._probe(state.reason):
                pass
        await self._spool.pause_all(max(0.0, self._clock() - state.since))
        self._log.warning("resumed", reason=state.reason, paused_s=round(self._clock() - state.since, 1))
        self._state = GateState(open=True)
        self._opened.set()

    async def _probe(self, reason: str) -> bool:
        """One probe after its wait; True when it went well. A write-only key may not list: that is well too."""
        await asyncio.sleep(schedule.PROBE_S if reason == "circuit" else schedule.KEY_PROBE_S)
        try:
            await self._api.list_tickets()
        except Problem as error:
            if not (error.status == 403 and error.code != "account_inactive" and reason in ("circuit", "certificate")):
                self._log.warning("probe_failed", reason=reason, status=error.status, code=error.code)
                return False
        except ApiError as error:
            self._log.warning("probe_failed", reason=reason, error=type(error).__name__)
            return False
        self.circuit = self.circuit.probed()
        return True
