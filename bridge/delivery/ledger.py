"""Intents and moves of claimed entries: each on disk before the next step, each with its checkpoint and its log line.

Fails with ``SpoolError``; then nothing was changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from bridge.delivery.giving_back import BUSY_S
from bridge.delivery.outcome import Outcome
from bridge.delivery.points import Checkpoint, Point
from bridge.delivery.schedule import WAITS, Act, Pace, Step, again, next_step
from bridge.errors import ApiError, Problem, SpoolError, UnknownOutcome
from bridge.reasons import Reason
from bridge.spool.api import Attempt, AttemptResult, Claim, Kind, Settlement, Spool, State

_STATES = {
    Act.RETRY: State.READY,
    Act.WAIT: State.READY,
    Act.CHECK: State.UNKNOWN,
    Act.LOOK: State.UNKNOWN,
    Act.HOLD: State.HELD,
}
_ALERTS = frozenset({Reason.UNEXPECTED_ANSWER, Reason.OUTCOME_UNDECIDABLE, Reason.INTERNAL_ERROR})
"""Held for something that should not happen: logged as an error."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Shared by everything that moves entries on their way out."""

    spool: Spool
    clock: Callable[[], float]
    chance: random.Random
    pace: Pace
    log: FilteringBoundLogger
    checkpoint: Checkpoint

    async def intend(self, claim: Claim, kind: Kind, fingerprint: str, before: Point | None, after: Point) -> Attempt:
        """Commit the intent of one request."""
        if before is not None:
            self.checkpoint(before)
        attempt = await self.spool.intend(claim, kind, fingerprint)
        self.checkpoint(after)
        return attempt

    async def finish(self, claim: Claim, attempt: Attempt, result: AttemptResult, after: Point) -> Claim:
        """Close an attempt without moving the entry; the claim with the attempt as it is now."""
        await self.spool.finish(claim, attempt.number, result)
        self.checkpoint(after)
        done = replace(
            attempt,
            settled_at=self.clock(),
            outcome=result.outcome,
            status=result.status,
            request_id=result.request_id,
        )
        others = tuple(item for item in claim.attempts if item.number != attempt.number)
        return replace(claim, attempts=(*others, done))

    async def settle(
        self,
        claim: Claim,
        state: State,
        reason: Reason,
        attempt: Attempt | None = None,
        result: AttemptResult | None = None,
        *,
        at: float = 0.0,
        counted: bool = True,
        lane: str | None = None,
        dedupe_key: str = "",
        remember_sender: bool = False,
    ) -> None:
        """Move an entry and give the claim back."""
        self.checkpoint(Point.SETTLING)
        number = attempt.number if attempt else None
        move = Settlement(state, reason, number, result, at or self.clock(), counted, lane, dedupe_key, remember_sender)
        await self._settle(claim, move)
        self.checkpoint(Point.SETTLED)
        said = result or AttemptResult("")
        event = "reopened" if state is State.READY and lane else str(state)
        (self.log.error if reason in _ALERTS else self.log.info)(
            event,
            entry=claim.entry.id,
            ticket=lane or claim.entry.lane,
            reason=str(reason),
            outcome=str(said.outcome),
            status=said.status,
            code=said.code,
            request_id=said.request_id,
            message=said.message_id,
        )

    async def _settle(self, claim: Claim, move: Settlement) -> None:
        """Until the spool can: what an answer said would be lost otherwise, and a look may not be able to tell."""
        while True:
            try:
                await self.spool.settle(claim, move)
            except SpoolError as error:
                if not error.temporary:
                    raise
                self.log.warning("spool_busy", entry=claim.entry.id, stage="settling")
                await asyncio.sleep(BUSY_S)
            else:
                return

    async def take(self, step: Step, claim: Claim, attempt: Attempt | None, result: AttemptResult | None) -> None:
        """Do what the schedule decided (anything but ``done`` and ``examine``)."""
        counted = step.act not in (Act.WAIT, Act.CHECK)
        await self.settle(claim, _STATES[step.act], step.reason, attempt, result, at=step.at, counted=counted)

    def step(self, outcome: Outcome, claim: Claim) -> Step:
        """What follows ``outcome``."""
        now = self.clock()
        return next_step(
            outcome, claim.entry.attempts, self.age(claim), now, chance=self.chance.random(), pace=self.pace
        )

    def again(self, claim: Claim) -> Step:
        """Another try later, or none."""
        return again(claim.entry.attempts, self.age(claim), self.clock(), chance=self.chance.random(), pace=self.pace)

    def later(self, seen: Outcome, claim: Claim) -> Step:
        """After a question that ended in ``seen``: wait for the gate where all have to, else another try or none.

        A wrong address counts: the gate opened before, so that it may be about this one ticket.
        """
        if seen in WAITS and seen is not Outcome.WRONG_URL:
            return Step(Act.WAIT, self.clock(), Reason.PAUSED)
        return self.again(claim)

    def age(self, claim: Claim) -> float:
        """Seconds that an entry has waited, paused time not counted."""
        return self.clock() - claim.entry.accepted_at - claim.entry.paused_s


def result_of(error: ApiError, outcome: str) -> AttemptResult:
    """What the ledger keeps of an error."""
    if isinstance(error, Problem):
        pairs = "; ".join(f"{pointer}: {detail}" for pointer, detail in error.errors)
        detail = f"{error.detail} ({pairs})" if pairs else error.detail
        return AttemptResult(outcome, error.status, error.code, detail, error.request_id)
    if isinstance(error, UnknownOutcome):
        return AttemptResult(outcome, error.status or 0, detail=error.cause, request_id=error.request_id)
    return AttemptResult(outcome, detail=str(error))
