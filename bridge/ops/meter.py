"""Counts what is logged: every event of the log that matters to monitoring is a counter too, so that both agree.

A structlog processor. Keeps no address, id or word of a mail; only the stable names that events carry.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from structlog.typing import EventDict

from bridge.spool.api import State

MINUTES = 60
"""How many minutes of traffic are kept for the chart."""
_STATES = frozenset(State)
_LOUD = frozenset({"error", "critical"})


@dataclass(slots=True)
class Minute:
    """Traffic of one minute."""

    at: int
    """Minutes since the epoch."""
    accepted: int = 0
    delivered: int = 0


class Meter:
    """Counters since the start of the process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since the epoch."""
        self._clock = clock
        self.started_at = clock()
        self.mails = 0
        self.bytes = 0
        self.last_mail_at: float | None = None
        self.decided: Counter[tuple[str, str]] = Counter()
        """(state, reason) of every mail that was read."""
        self.settled: Counter[tuple[str, str]] = Counter()
        """(state, reason) of every move that delivery made."""
        self.outcomes: Counter[str] = Counter()
        """Outcomes of requests to the API."""
        self.refused: Counter[str] = Counter()
        """Refusals at the SMTP side, by event."""
        self.errors: Counter[str] = Counter()
        """Events of level error and worse, by name."""
        self.last_outcome: tuple[str, float] | None = None
        """How the newest request to the API ended, and when."""
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Count one event, and pass it on unchanged."""
        name = str(event.get("event", ""))
        if name == "mail_queued":
            self._accepted(len(event.get("entries", ())), int(event.get("bytes", 0)))
        elif name == "decided":
            self.decided[str(event.get("state")), str(event.get("reason"))] += 1
        elif name in _STATES:
            self.settled[name, str(event.get("reason", ""))] += 1
            if event.get("outcome"):
                self.outcomes[str(event["outcome"])] += 1
                self.last_outcome = str(event["outcome"]), self._clock()
            if name == State.DELIVERED:
                self._minute().delivered += 1
        elif name in ("recipient_refused", "mail_refused", "mail_deferred", "connection_refused"):
            self.refused[name] += 1
        if event.get("level") in _LOUD:
            self.errors[name] += 1
        return event

    def minutes(self) -> list[Minute]:
        """The last hour, oldest first, with nothing left out."""
        now = int(self._clock() // 60)
        known = {minute.at: minute for minute in self._minutes}
        return [known.get(at, Minute(at)) for at in range(now - MINUTES + 1, now + 1)]

    def _accepted(self, entries: int, size: int) -> None:
        self.mails += 1
        self.bytes += size
        self.last_mail_at = self._clock()
        self._minute().accepted += entries

    def _minute(self) -> Minute:
        at = int(self._clock() // 60)
        if not self._minutes or self._minutes[-1].at != at:
            self._minutes.append(Minute(at))
        return self._minutes[-1]
