"""How the bridge is: one look at the spool, the gate and the counters, for ``status``, the page, health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from bridge.delivery import Gate, GateState
from bridge.ops.heartbeat import GONE_S, newest
from bridge.ops.meter import Meter
from bridge.spool.api import Counts, Spool, State, Usage

WAITING = (State.RECEIVED, State.READY, State.SENDING, State.UNKNOWN)
"""States in which the bridge itself still has something to do."""
LATE_S = 900.0
"""Age from which a waiting entry is worth waking somebody for (config/prometheus/alerts.yml says the same)."""
CERTIFICATE_S = 14 * 86_400.0
"""Time before a certificate's end at which it is named."""

RULES_FAULT = "rules_fault"
"""The spool's note of why the sensitivity rules were not reloaded, so that every process can tell it."""


@dataclass(frozen=True, slots=True)
class Status:
    """One look. Times are seconds since the epoch."""

    now: float
    counts: Counts
    usage: Usage
    gate: GateState | None
    """The delivering bridge's, in this process or as it told beside it; None when no bridge runs."""
    circuit_open: bool
    certificate_until: float | None
    """When the TLS certificate ends; None without one."""
    gone_since: float | None = None
    """Since when no bridge runs on this spool; 0 when none ever did, None while one does."""
    rules_fault: str = ""
    """Why the sensitivity rules could not be reloaded; empty when those in the file are in force."""

    @property
    def waiting(self) -> int:
        """Entries that the bridge still has to do something with."""
        return sum(self.counts.by_state.get(state, 0) for state in WAITING)

    @property
    def held(self) -> int:
        """Entries that wait for a person."""
        return self.counts.by_state.get(State.HELD, 0)

    @property
    def oldest_s(self) -> float:
        """Age of the oldest waiting entry in seconds; 0 when none waits."""
        oldest = self.counts.oldest_waiting
        return 0.0 if oldest is None else max(0.0, self.now - oldest)

    def troubles(self) -> list[str]:
        """What a person should look at, worst first, each with what to do."""
        found = []
        if self.gone_since is not None:
            ago = f" (last seen {self.now - self.gone_since:.0f} s ago)" if self.gone_since else ""
            found.append(f"No bridge runs on this spool{ago}: the relay keeps mail meanwhile. Start it.")
        if not self.usage.accepting:
            found.append("No mail is accepted (452): the spool is past its high-water mark or its disk is short.")
        if self.gate is not None and not self.gate.open:
            found.append(_PAUSES.get(self.gate.reason, f"Delivery is paused: {self.gate.reason}."))
        if self.rules_fault:
            found.append(
                f"The sensitivity rules were not reloaded, the last good ones are in force: {self.rules_fault}"
            )
        if self.oldest_s > LATE_S:
            found.append(f"The oldest waiting entry is {self.oldest_s / 60:.0f} minutes old.")
        if self.certificate_until is not None and self.certificate_until - self.now < CERTIFICATE_S:
            days = (self.certificate_until - self.now) / 86_400
            found.append(f"The TLS certificate ends in {days:.0f} days: renew it and reload the service.")
        return found


_PAUSES = {
    "key": "Delivery is paused: the API refuses the key. Put a valid one into its file; it is probed each minute. "
    "Where the file is a systemd credential, restart the service too.",
    "certificate": "Delivery is paused: the API's certificate is not accepted. Nothing is sent until it is.",
    "wrong_url": "Delivery is paused: BRIDGE_API_URL does not seem to be the ticket API.",
    "rate_limit": "Delivery waits: the API asked for time. It goes on by itself.",
    "circuit": "Delivery is paused: the API fails for everything. It is probed every 30 seconds.",
}


class Monitor:
    """Looks, when asked."""

    def __init__(
        self, spool: Spool, gate: Gate | None, meter: Meter, certificate: Path | None, clock: Callable[[], float]
    ) -> None:
        """``gate`` is None beside the bridge; ``certificate`` is the PEM file whose end is watched."""
        self.meter = meter
        self._spool = spool
        self._gate = gate
        self._certificate = certificate
        self._clock = clock

    async def look(self) -> Status:
        """The present status. Raises ``SpoolError``."""
        gate, circuit_open, gone_since = await self._delivering()
        return Status(
            now=self._clock(),
            counts=await self._spool.counts(),
            usage=self._spool.usage(),
            gate=gate,
            circuit_open=circuit_open,
            certificate_until=certificate_end(self._certificate) if self._certificate else None,
            gone_since=gone_since,
            rules_fault=await self._spool.get_meta(RULES_FAULT) or "",
        )

    async def _delivering(self) -> tuple[GateState | None, bool, float | None]:
        """The gate's state, whether the circuit is open, and since when no bridge runs."""
        if self._gate is not None:
            return self._gate.state(), self._gate.circuit.is_open, None
        beat = await newest(self._spool)
        if beat is None or beat.stopped or self._clock() - beat.at > GONE_S:
            return None, False, beat.at if beat else 0.0
        return beat.gate, beat.circuit_open, None


def certificate_end(path: Path) -> float | None:
    """When the first certificate of a PEM file ends; None when it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None
