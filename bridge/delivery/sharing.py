"""One gate for all bridges on a spool: a pause that one of them meets holds for all, and one of them probes.

Whoever shuts its gate tells so in the spool; the others follow within seconds, and neither probe nor write paused time
down. When the one that leads has been silent for too long, another leads. Two that lead for a moment do no harm: one
probe too many. Fails with ``SpoolError`` when the spool broke.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.delivery.gate import Gate
from bridge.errors import SpoolError
from bridge.spool.api import Spool

KEY = "gate"
LOOK_S = 1.0
"""How often each bridge looks what the others told."""
TELL_S = 15.0
"""How often the one that leads says that it still does."""
SILENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a bridge told of its gate. Times are seconds since the epoch."""

    by: str
    at: float
    reasons: frozenset[str]
    since: float
    until: float

    def dumps(self) -> str:
        """As the spool keeps it."""
        return json.dumps([self.by, self.at, sorted(self.reasons), self.since, self.until])

    @staticmethod
    def loads(text: str) -> Told:
        """What ``dumps`` made."""
        by, at, reasons, since, until = json.loads(text)
        return Told(by, at, frozenset(reasons), since, until)


class Sharing:
    """Tells and follows while ``run`` runs."""

    def __init__(
        self,
        spool: Spool,
        gate: Gate,
        me: str,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``me`` is a name that no other bridge has."""
        self._spool, self._gate, self._me, self._clock, self._sleep = spool, gate, me, clock, sleep
        self._told: Told | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except SpoolError as error:
                if not error.temporary:
                    raise
            await self._sleep(LOOK_S)

    async def look(self) -> None:
        """Tell what is new here, follow what is new elsewhere."""
        text = await self._spool.get_meta(KEY)
        other = None if text is None else Told.loads(text)
        if other is not None and other.by != self._me and self._heed(other):
            return
        if not self._gate.following:
            await self._tell()

    def _heed(self, other: Told) -> bool:
        """Whether another bridge leads, and is followed."""
        gate, now = self._gate, self._clock()
        leads = bool(other.reasons) and (other.until > now or now - other.at < SILENT_S)
        if leads and (gate.following or not gate.reasons - other.reasons):
            gate.follow(other.reasons, other.since, other.until)
            return True
        if gate.following and not other.reasons:
            gate.release()
        elif gate.following:
            gate.lead()
        return False

    async def _tell(self) -> None:
        gate, now = self._gate, self._clock()
        new = Told(self._me, now, gate.reasons, gate.state().since, gate.until)
        old = self._told
        if old is None and not new.reasons:
            return
        said = old is not None and (old.reasons, old.until) == (new.reasons, new.until)
        if old is None or not said or (new.reasons and now - old.at >= TELL_S):
            await self._spool.put_meta(KEY, new.dumps())
            self._told = new if new.reasons else None
