"""When to try again, and when not to try at all for a while: pure, with time and chance passed in (design §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

BACKOFF_S = (5.0, 30.0, 120.0, 600.0, 1800.0)
HOURLY_S = 3600.0
JITTER = 0.2
MAX_AGE_S = 5 * 86_400.0
"""How long an entry is tried, paused time not counted."""
LOOKS_S = (2.0, 15.0, 60.0)
"""When to look for a message of unknown outcome, seconds after the outcome became unknown."""
RATE_LIMIT_CAP_S = 3600.0
CIRCUIT_TICKETS = 3
PROBE_S = 30.0
KEY_PROBE_S = 60.0
WRONG_URL_TICKETS, WRONG_URL_WINDOW_S = 5, 300.0


def backoff(attempts: int, chance: float) -> float:
    """Seconds until the next try after ``attempts`` that failed; ``chance`` is in 0..1 and makes ± 20 %."""
    base = BACKOFF_S[attempts] if attempts < len(BACKOFF_S) else HOURLY_S
    return base * (1 - JITTER + 2 * JITTER * chance)


def too_old(accepted_at: float, paused_s: float, now: float) -> bool:
    """True when an entry was tried for long enough."""
    return now - accepted_at - paused_s > MAX_AGE_S


def next_look(since: float, now: float) -> float | None:
    """When to look again for a message whose outcome has been unknown since ``since``; None after the last look."""
    elapsed = now - since
    return next((since + look for look in LOOKS_S if look > elapsed), None)


def rate_limit_pause(retry_after_s: float | None, chance: float) -> float:
    """Seconds to pause after a 429: what the API asks for, at least a second, at most an hour, up to 10 % more."""
    asked = 5.0 if retry_after_s is None else retry_after_s
    return min(max(asked, 1.0), RATE_LIMIT_CAP_S) * (1 + 0.1 * chance)


@dataclass(frozen=True, slots=True)
class Circuit:
    """Opens when the API fails for several tickets in a row; afterwards lets more through step by step."""

    limit: int
    """Requests in flight when all is well."""
    failed: tuple[str, ...] = ()
    """Distinct tickets that failed since the last success."""
    allowed: int = field(default=-1)

    def capacity(self) -> int:
        """Requests that may be in flight now."""
        return self.limit if self.allowed < 0 else self.allowed

    def failure(self, ticket: str) -> Circuit:
        """After a connection failure or a 5xx."""
        failed = self.failed if ticket in self.failed else (*self.failed, ticket)
        return replace(self, failed=failed[-CIRCUIT_TICKETS:])

    @property
    def is_open(self) -> bool:
        """True when nothing should be sent but a probe."""
        return len(self.failed) >= CIRCUIT_TICKETS

    def probed(self) -> Circuit:
        """After a probe that went well: one request at a time at first."""
        return replace(self, failed=(), allowed=1)

    def success(self) -> Circuit:
        """After a request that went well: twice as many may be in flight, up to the limit."""
        allowed = -1 if self.allowed < 0 or self.allowed * 2 >= self.limit else self.allowed * 2
        return replace(self, failed=(), allowed=allowed)


def looks_like_wrong_url(not_found: Sequence[tuple[float, str]], now: float) -> bool:
    """True when 404 came for many distinct tickets in a short time: more likely the address is wrong than they are."""
    return len({ticket for at, ticket in not_found if now - at <= WRONG_URL_WINDOW_S}) >= WRONG_URL_TICKETS
