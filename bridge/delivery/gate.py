"""The gate that all delivery goes through: shut while the key, the certificate, the address or the API is bad, or while
the API asks for time (design §6).

Nothing is lost or expires behind a shut gate: paused time is added to every waiting entry. It may be shut for several
reasons at once, and opens when none is left: a time that the API asked for has to pass, everything else takes a probe
that goes well. Probing waits for the time that the API asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from bridge.delivery import schedule
from bridge.delivery.circuit import Budget, Circuit
from bridge.delivery.client import Answer, TicketApi
from bridge.delivery.outcome import Outcome, classify
from bridge.delivery.probe import rights
from bridge.delivery.schedule import Pace
from bridge.errors import ApiError, Problem, SpoolError
from bridge.spool.api import Spool

CREDIT_S = 600.0
"""How often paused time is written down while a pause lasts, so that a crash forgets little of it."""
RATE_LIMIT, CIRCUIT = "rate_limit", "circuit"
_PROBED = {
    Outcome.KEY_REFUSED: "key",
    Outcome.CERTIFICATE: "certificate",
    Outcome.WRONG_URL: "wrong_url",
}
_WORST_FIRST = (*_PROBED.values(), CIRCUIT, RATE_LIMIT)


@dataclass(frozen=True, slots=True)
class GateState:
    """What health, metrics and people see."""

    open: bool
    reason: str = ""
    """``key``, ``certificate``, ``wrong_url``, ``circuit`` or ``rate_limit``: the worst of those that hold."""
    since: float = 0.0
    until: float | None = None


class Gate:
    """Open, or shut for one reason or more."""

    def __init__(
        self,
        api: TicketApi,
        spool: Spool,
        *,
        limit: int,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
        chance: random.Random,
        pace: Pace,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``limit`` is how many requests are in flight when all is well; ``sleep`` goes with ``clock``."""
        self._api = api
        self._spool = spool
        self._clock = clock
        self._sleep = sleep
        self._log = log
        self._chance = chance
        self._pace = pace
        self._since = self._credited = 0.0
        self._until = 0.0
        """End of the time that the API asked for."""
        self._reasons: set[str] = set()
        self.following = False
        """Another bridge on this spool probes, and says when the gate opens."""
        self._opened = asyncio.Event()
        self._opened.set()
        self._keeper: asyncio.Task[None] | None = None
        self._not_found: list[tuple[float, str]] = []
        self._budget = Budget()
        self.circuit = Circuit(limit)

    def state(self) -> GateState:
        """The present state."""
        if self._opened.is_set():
            return GateState(open=True)
        worst = next((reason for reason in _WORST_FIRST if reason in self._reasons), RATE_LIMIT)
        return GateState(open=False, reason=worst, since=self._since, until=self._until or None)

    @property
    def reasons(self) -> frozenset[str]:
        """Why it is shut."""
        return frozenset(self._reasons)

    @property
    def until(self) -> float:
        """End of the time that the API asked for."""
        return self._until

    def follow(self, reasons: frozenset[str], since: float, until: float) -> None:
        """Another bridge has shut its gate, and leads."""
        if not self.following:
            self._log.warning("paused", reasons=sorted(reasons), by="another bridge")
            self._stop_keeping()
        if self._opened.is_set():
            self._since = since
            self._opened.clear()
        self.following, self._reasons, self._until = True, set(reasons), until

    def release(self) -> None:
        """The bridge that leads has opened its gate."""
        self.following = False
        self._reasons.clear()
        self.circuit = self.circuit.probed()
        self._open()

    def lead(self) -> None:
        """The bridge that led is silent: probe, and count the time that is paused from here on."""
        self.following, self._credited = False, self._clock()
        self._keeper = asyncio.create_task(self._keep())

    def _stop_keeping(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()

    def capacity(self) -> int:
        """Requests that may be in flight now, as the circuit and the API's rate limit have it."""
        left = self._budget.capacity(self._clock())
        return self.circuit.capacity() if left is None else min(left, self.circuit.capacity())

    async def passed(self) -> None:
        """Wait until the gate is open."""
        await self._opened.wait()

    async def close(self) -> None:
        """Stop probing; what was paused so far is written down. Raises ``SpoolError``."""
        if self._keeper is not None and not self._keeper.done():
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            await self._credit()

    def answered(self, answer: Answer) -> None:
        """After a success: respects a rate limit that is used up before the 429 comes."""
        self.circuit = self.circuit.success()
        self._not_found.clear()
        now = self._clock()
        self._budget = self._budget.answered(answer.remaining, answer.reset_s, now)
        if self._budget.capacity(now) == 0:
            self._shut(RATE_LIMIT, schedule.rate_limit_pause(self._budget.reset_at - now, self._chance.random()))

    def failed(self, error: ApiError, ticket: str) -> Outcome:
        """After a failure: shuts when it concerns everybody. The outcome."""
        outcome = classify(error)
        if outcome is Outcome.NOT_FOUND:
            outcome = self._missing(ticket)
        if outcome in _PROBED:
            self._shut(_PROBED[outcome])
        elif outcome is Outcome.RATE_LIMITED:
            asked = error.retry_after_s if isinstance(error, Problem) else None
            self._shut(RATE_LIMIT, schedule.rate_limit_pause(asked, self._chance.random()))
        elif outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
            self.circuit = self.circuit.failure(ticket)
            if self.circuit.is_open:
                self._shut(CIRCUIT)
        return outcome

    def shut_for_key(self) -> None:
        """The key may do nothing at all: everything waits."""
        self._shut("key")

    def _missing(self, ticket: str) -> Outcome:
        """One ticket that is not there says nothing of the others; several in a row may mean a wrong address."""
        now = self._clock()
        self._not_found = [*self._not_found[-50:], (now, ticket)]
        if not schedule.looks_like_wrong_url(self._not_found, now):
            return Outcome.NOT_FOUND
        self._not_found.clear()
        return Outcome.WRONG_URL

    def _shut(self, reason: str, seconds: float | None = None) -> None:
        now = self._clock()
        if seconds is not None:
            self._until = max(self._until, now + seconds)
        if reason in self._reasons:
            return
        self._reasons.add(reason)
        if reason == RATE_LIMIT:
            self._log.warning("paused", reason=reason, seconds=round(seconds or 0.0, 1))
        else:
            self._log.error("paused", reason=reason)
        if self._opened.is_set():
            self._since = self._credited = now
            self._opened.clear()
            self._keeper = asyncio.create_task(self._keep())
        elif self.following:
            self.lead()

    async def _keep(self) -> None:
        """Until no reason is left; one may come while the paused time is written down."""
        tries = 0
        while self._reasons:
            if self._until > self._clock():
                await self._wait_until(self._until)
                continue
            self._reasons.discard(RATE_LIMIT)
            if self._reasons:
                await self._sleep(self._probe_wait(tries))
                tries += 1
                probed = frozenset(self._reasons)
                if self._until <= self._clock() and await self._probe():
                    # What came while it was asked still holds: a time that the API asked for, above all.
                    self._reasons -= probed
            await self._credit(unless_within=CREDIT_S if self._reasons else 0.0)
        self._open()

    async def _wait_until(self, until: float) -> None:
        await self._sleep(until - self._clock())
        if self._until == until:
            # It is over also when the clock was set back meanwhile.
            self._until = min(until, self._clock())

    def _open(self) -> None:
        self._log.warning("resumed", paused_s=round(self._clock() - self._since, 1))
        self._until = 0.0
        self._opened.set()

    def _probe_wait(self, tries: int) -> float:
        if self._reasons == {CIRCUIT}:
            return self._pace.circuit_probe_s
        # Many 404s may be many wrong mails: whether the address is right can be asked at once.
        return 0.0 if tries == 0 and self._reasons == {"wrong_url"} else self._pace.key_probe_s

    async def _probe(self) -> bool:
        """One probe; True when it went well. Any rights will do: what a key may not do is held ticket by ticket."""
        try:
            await rights(self._api)
        except ApiError as error:
            outcome = classify(error)
            status = error.status if isinstance(error, Problem) else 0
            self._log.warning("probe_failed", outcome=str(outcome), status=status)
            if outcome is Outcome.FORBIDDEN:
                self._shut("key")
            elif outcome in _PROBED or outcome is Outcome.RATE_LIMITED:
                self.failed(error, "")
            return False
        self.circuit = self.circuit.probed()
        return True

    async def _credit(self, unless_within: float = 0.0) -> None:
        """Write down the paused time since the last time."""
        now = self._clock()
        if now - self._credited <= unless_within:
            return
        seconds, self._credited = now - self._credited, now
        try:
            await self._spool.pause_all(seconds)
        except SpoolError as error:
            if not error.temporary:
                raise
            self._credited -= seconds
