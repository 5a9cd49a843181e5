"""The bridge's sign of life: what commands beside it, and systemd's watchdog, know of it.

Promises: a beat is committed through the spool's writer, and only then is the watchdog fed; so it stops being fed when
the event loop or the writer hangs. A change of the gate is told within a second. A spool that is busy makes a beat
late, and ends nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from bridge.delivery import Gate, GateState
from bridge.errors import SpoolError
from bridge.spool.api import Spool

KEY = "bridge"
"""Where the spool keeps the newest beat."""
BEAT_S = 15.0
"""How often the bridge tells that it lives, seconds."""
GONE_S = 60.0
"""Age of the newest beat from which no bridge runs, seconds."""
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Beat:
    """What a bridge told of itself. Times are seconds since the epoch."""

    at: float
    gate: GateState
    circuit_open: bool
    stopped: bool = False

    def dumps(self) -> str:
        """As the spool keeps it."""
        gate = self.gate
        return json.dumps(
            {
                "at": self.at,
                "open": gate.open,
                "reason": gate.reason,
                "since": gate.since,
                "circuit_open": self.circuit_open,
                "stopped": self.stopped,
            }
        )


async def newest(spool: Spool) -> Beat | None:
    """The newest beat of any bridge on this spool; None when there never was one."""
    text = await spool.get_meta(KEY)
    if text is None:
        return None
    told = json.loads(text)
    gate = GateState(open=told["open"], reason=told["reason"], since=told["since"])
    return Beat(told["at"], gate, told["circuit_open"], told["stopped"])


class Heartbeat:
    """Beats while ``run`` runs."""

    def __init__(
        self,
        spool: Spool,
        gate: Gate,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
        *,
        alive: Callable[[], object],
        every_s: float = BEAT_S,
    ) -> None:
        """``alive`` is called after each beat; one comes at least each ``every_s`` seconds."""
        self._spool = spool
        self._gate = gate
        self._clock = clock
        self._log = log
        self._alive = alive
        self._every_s = min(every_s, BEAT_S)

    async def run(self) -> None:
        """Beat until cancelled. Raises ``SpoolError`` when the spool is broken for good."""
        told: tuple[GateState, bool] | None = None
        due = self._clock()
        while True:
            now = (self._gate.state(), self._gate.circuit.is_open)
            if now != told or self._clock() >= due:
                try:
                    await self._beat()
                except SpoolError as error:
                    if not error.temporary:
                        raise
                    self._log.warning("heartbeat_late", error=type(error).__name__)
                else:
                    told, due = now, self._clock() + self._every_s
                # It was answered, if only that it has to wait: a restart would help nobody.
                self._alive()
            await asyncio.sleep(min(_LOOK_S, self._every_s))

    async def stopped(self) -> None:
        """The last beat: from here on no bridge runs."""
        try:
            await self._beat(stopped=True)
        except SpoolError as error:
            self._log.warning("heartbeat_late", error=type(error).__name__)

    async def _beat(self, *, stopped: bool = False) -> None:
        beat = Beat(self._clock(), self._gate.state(), self._gate.circuit.is_open, stopped)
        await self._spool.put_meta(KEY, beat.dumps())
