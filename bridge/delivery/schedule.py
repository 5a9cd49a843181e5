"""What to do after an outcome, and when: pure, with time and chance passed in (design §6, docs/delivery.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.delivery.outcome import Outcome
from bridge.reasons import Reason

JITTER = 0.2
MAX_AGE_S = 5 * 86_400.0
"""How long an entry is tried, paused time not counted."""
SETTLED_S = 900.0
"""Age from which an attempt that was applied is surely shown."""
RATE_LIMIT_CAP_S = 3600.0
WRONG_URL_TICKETS, WRONG_URL_WINDOW_S = 5, 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The waits, in seconds. The running bridge has the defaults."""

    backoff_s: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
    """After the first failed try, the second, …; the last one repeats."""
    looks_s: tuple[float, ...] = (2.0, 13.0, 45.0)
    """Waits before each look for a message of unknown outcome: 2, 15 and 60 s after it became unknown."""
    circuit_probe_s: float = 30.0
    key_probe_s: float = 60.0
    idle_s: float = 5.0
    """How often to look for work when nothing says that there is some."""

    def faster(self, factor: float) -> Pace:
        """The same waits, ``factor`` times as short."""
        return replace(
            self,
            backoff_s=tuple(wait / factor for wait in self.backoff_s),
            looks_s=tuple(wait / factor for wait in self.looks_s),
            circuit_probe_s=self.circuit_probe_s / factor,
            key_probe_s=self.key_probe_s / factor,
            idle_s=self.idle_s / factor,
        )


class Act(StrEnum):
    """What follows an outcome."""

    DONE = "done"
    RETRY = "retry"
    """Send again at the time given: it is certain that nothing was applied."""
    LOOK = "look"
    """Look at the time given whether it was applied."""
    WAIT = "wait"
    """Send again when the gate opens; the try does not count, and nothing expires."""
    CHECK = "check"
    """The same, but look once before: a refusal that was applied all the same must not be posted twice."""
    EXAMINE = "examine"
    """Look at the ticket now: the refusal may be about its state, or about the key."""
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Step:
    """The decision after an outcome."""

    act: Act
    at: float = 0.0
    reason: Reason = Reason.WAITING


_HELD = {
    Outcome.NOT_FOUND: Reason.TICKET_NOT_FOUND,
    Outcome.REFUSED: Reason.REFUSED_BY_API,
    Outcome.TOO_LARGE: Reason.TOO_LARGE_FOR_API,
    Outcome.UNEXPECTED: Reason.UNEXPECTED_ANSWER,
}
WAITS = frozenset({Outcome.RATE_LIMITED, Outcome.KEY_REFUSED, Outcome.CERTIFICATE, Outcome.WRONG_URL})
"""Outcomes that concern every ticket: the gate shuts."""


def next_step(outcome: Outcome, attempts: int, age_s: float, now: float, *, chance: float, pace: Pace) -> Step:
    """What follows a request with ``outcome``, after ``attempts`` earlier tries that failed and count.

    ``age_s`` is how long the entry has waited, paused time not counted; ``chance`` is in 0..1. An entry is tried at
    least once, however old it is: only a failed try lets it end as too old.
    """
    if outcome is Outcome.DELIVERED:
        return Step(Act.DONE, reason=Reason.DELIVERED)
    if outcome is Outcome.UNKNOWN:
        return Step(Act.LOOK, now + pace.looks_s[0], Reason.RETRY)
    if outcome in WAITS:
        return Step(Act.WAIT if outcome is Outcome.CERTIFICATE else Act.CHECK, now, Reason.PAUSED)
    if outcome in (Outcome.MAYBE_CLOSED, Outcome.FORBIDDEN):
        return Step(Act.EXAMINE, now, Reason.WAITING)
    if outcome is Outcome.NOT_SENT:
        return again(attempts, age_s, now, chance=chance, pace=pace)
    return Step(Act.HOLD, reason=_HELD[outcome])


def again(attempts: int, age_s: float, now: float, *, chance: float, pace: Pace) -> Step:
    """Another try after the backoff, or none when the entry was tried for long enough."""
    if age_s > MAX_AGE_S:
        return Step(Act.HOLD, reason=Reason.TOO_OLD)
    return Step(Act.RETRY, now + backoff(attempts, chance, pace), Reason.RETRY)


def backoff(attempts: int, chance: float, pace: Pace) -> float:
    """Seconds until the next try after ``attempts`` that failed before: the pace's, ± 20 %."""
    base = pace.backoff_s[min(attempts, len(pace.backoff_s) - 1)]
    return base * (1 - JITTER + 2 * JITTER * chance)


def next_look(looks: int, age_s: float, now: float, pace: Pace) -> float | None:
    """When to look again after ``looks`` that found nothing; None when it was looked often enough to be sure.

    ``age_s`` is how long ago the attempt was made: after an outage nothing lags behind any more.
    """
    if looks >= len(pace.looks_s):
        return None
    return now + (pace.looks_s[0] if age_s >= SETTLED_S else pace.looks_s[looks])


def rate_limit_pause(retry_after_s: float | None, chance: float) -> float:
    """Seconds to pause after a 429: what the API asks for, 1 to 3,600; up to a tenth more, at most 2 s."""
    asked = min(max(5.0 if retry_after_s is None else retry_after_s, 1.0), RATE_LIMIT_CAP_S)
    return min(asked + min(asked / 10, 2.0) * chance, RATE_LIMIT_CAP_S)


def looks_like_wrong_url(not_found: Sequence[tuple[float, str]], now: float) -> bool:
    """True when 404 came for many distinct tickets in a short time: more likely the address is wrong than they are."""
    return len({ticket for at, ticket in not_found if now - at <= WRONG_URL_WINDOW_S}) >= WRONG_URL_TICKETS
