"""How much may be sent at once: the circuit breaker, and what is left of the API's rate limit (design §6). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.delivery.schedule import RATE_LIMIT_CAP_S

CIRCUIT_TICKETS = 3


@dataclass(frozen=True, slots=True)
class Circuit:
    """Opens when the API fails for several tickets in a row; afterwards lets more through step by step."""

    limit: int
    """Requests in flight when all is well."""
    failed: tuple[str, ...] = ()
    """Distinct tickets that failed since the last success."""
    allowed: int = -1
    """Requests in flight while it ramps up after a probe; -1 when all is well."""

    def capacity(self) -> int:
        """Requests that may be in flight now."""
        return self.limit if self.allowed < 0 else self.allowed

    def failure(self, ticket: str) -> Circuit:
        """After a connection failure or a 5xx. While it ramps up, it starts over with one at a time."""
        failed = self.failed if ticket in self.failed else (*self.failed, ticket)
        return replace(self, failed=failed[-CIRCUIT_TICKETS:], allowed=min(self.allowed, 1))

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


@dataclass(frozen=True, slots=True)
class Budget:
    """What the API's answers say is left of its rate limit (``X-RateLimit-Remaining`` and ``-Reset``)."""

    remaining: int | None = None
    reset_at: float = 0.0

    def answered(self, remaining: int | None, reset_s: float | None, now: float) -> Budget:
        """After an answer with these headers. Answers of one window may overtake one another: the least counts."""
        if remaining is None or reset_s is None:
            return self
        reset_at = now + min(reset_s, RATE_LIMIT_CAP_S)
        same_window = self.remaining is not None and abs(reset_at - self.reset_at) < 1.0 and now < self.reset_at
        return Budget(min(remaining, self.remaining or 0) if same_window else remaining, reset_at)

    def capacity(self, now: float) -> int | None:
        """Requests that may be in flight until the limit is reset; None when nothing is known."""
        return self.remaining if now < self.reset_at else None
