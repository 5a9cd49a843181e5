"""What Prometheus scrapes (docs/metrics.md). Labels are stable names only, never an address, an id or a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.ops.meter import Meter
from bridge.ops.status import Status
from bridge.spool.api import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PAUSES = ("key", "certificate", "wrong_url", "rate_limit", "circuit")

METRICS = {
    "ticket_bridge_build_info": "The version, as a label; always 1.",
    "ticket_bridge_mails_accepted_total": "Mails acknowledged with 250.",
    "ticket_bridge_accepted_bytes_total": "Bytes of those mails.",
    "ticket_bridge_refusals_total": "Connections, recipients and mails refused or deferred at the SMTP side, by event.",
    "ticket_bridge_decisions_total": "Mails read, by the state they went to and the reason.",
    "ticket_bridge_settlements_total": "Moves that delivery made, by state and reason.",
    "ticket_bridge_api_outcomes_total": "Requests to the ticket API that change something, by outcome.",
    "ticket_bridge_errors_total": "Log events of level error and worse, by name.",
    "ticket_bridge_entries": "Entries in the spool, by state.",
    "ticket_bridge_held_entries": "Held entries, by reason.",
    "ticket_bridge_oldest_waiting_seconds": "Age of the oldest entry that still has to be dealt with; 0 for none.",
    "ticket_bridge_last_mail_timestamp_seconds": "When the last mail was accepted; the start of the process before.",
    "ticket_bridge_accepting": "1 while mail is accepted, 0 while it gets 452.",
    "ticket_bridge_paused": "1 while delivery is paused, by reason.",
    "ticket_bridge_circuit_open": "1 while the circuit to the API is open.",
    "ticket_bridge_spool_used_bytes": "Size of the spool.",
    "ticket_bridge_spool_high_water_bytes": "Size from which mail gets 452.",
    "ticket_bridge_spool_free_bytes": "Free space where the spool is.",
    "ticket_bridge_certificate_end_timestamp_seconds": "When the TLS certificate ends; absent without one.",
}
"""Every metric and what it means: the documentation is generated from here, and nothing else is exported."""


def exposition(status: Status, meter: Meter) -> bytes:
    """The text format of Prometheus, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(status, meter))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, status: Status, meter: Meter) -> None:
        self._status = status
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        yield _gauge("ticket_bridge_build_info", [((__version__,), 1)], "version")
        yield from self._counters()
        yield from self._spool()
        yield from self._delivery()

    def _counters(self) -> Iterator[Metric]:
        meter = self._meter
        yield _counter("ticket_bridge_mails_accepted_total", [((), meter.mails)])
        yield _counter("ticket_bridge_accepted_bytes_total", [((), meter.bytes)])
        yield _counter("ticket_bridge_refusals_total", _single(meter.refused), "event")
        yield _counter("ticket_bridge_decisions_total", meter.decided.items(), "state", "reason")
        yield _counter("ticket_bridge_settlements_total", meter.settled.items(), "state", "reason")
        yield _counter("ticket_bridge_api_outcomes_total", _single(meter.outcomes), "outcome")
        yield _counter("ticket_bridge_errors_total", _single(meter.errors), "event")
        yield _gauge("ticket_bridge_last_mail_timestamp_seconds", [((), meter.last_mail_at or meter.started_at)])

    def _spool(self) -> Iterator[Metric]:
        counts, usage = self._status.counts, self._status.usage
        yield _gauge("ticket_bridge_entries", [((str(s),), counts.by_state.get(s, 0)) for s in State], "state")
        yield _gauge("ticket_bridge_held_entries", _single(counts.held_by_reason), "reason")
        yield _gauge("ticket_bridge_oldest_waiting_seconds", [((), self._status.oldest_s)])
        yield _gauge("ticket_bridge_accepting", [((), int(usage.accepting))])
        yield _gauge("ticket_bridge_spool_used_bytes", [((), usage.bytes_used)])
        yield _gauge("ticket_bridge_spool_high_water_bytes", [((), usage.high_water)])
        yield _gauge("ticket_bridge_spool_free_bytes", [((), usage.bytes_free)])

    def _delivery(self) -> Iterator[Metric]:
        gate = self._status.gate
        paused = [((reason,), int(bool(gate and not gate.open and gate.reason == reason))) for reason in _PAUSES]
        yield _gauge("ticket_bridge_paused", paused, "reason")
        yield _gauge("ticket_bridge_circuit_open", [((), int(self._status.circuit_open))])
        if self._status.certificate_until is not None:
            yield _gauge("ticket_bridge_certificate_end_timestamp_seconds", [((), self._status.certificate_until)])


_Values = Iterable[tuple[tuple[str, ...], float]]


def _single(values: Mapping[str, int]) -> _Values:
    return [((name,), number) for name, number in values.items()]


def _counter(name: str, values: _Values, *labels: str) -> Metric:
    family = CounterMetricFamily(name.removesuffix("_total"), METRICS[name], labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(name: str, values: _Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(name, METRICS[name], labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
