"""How values look on the page: plain functions, and the templates' environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

import jinja2

from bridge.delivery.outcome import Outcome
from bridge.ops.meter import Meter, Minute
from bridge.ops.render import clean
from bridge.reasons import Reason
from bridge.spool.api import Detail, Entry, State

_FAILING = frozenset(
    {Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.CERTIFICATE, Outcome.KEY_REFUSED, Outcome.WRONG_URL, Outcome.UNEXPECTED}
)
CHART = (600, 120)
"""Width and height of the chart, in its own units."""


def age(seconds: float) -> str:
    """A span in one unit: ``3 min``."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def when(at: float) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y, %H:%M:%S UTC")


def size(count: float) -> str:
    """Bytes for people."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count:.0f} bytes"


def words(name: str) -> str:
    """``no_ticket`` → ``No ticket``."""
    return name.replace("_", " ").capitalize()


def bars(minutes: Sequence[Minute]) -> dict[str, object]:
    """The chart of the last hour: one accepted and one delivered bar for each minute, in the chart's units."""
    width, height = CHART
    top = max([1, *(max(minute.accepted, minute.delivered) for minute in minutes)])
    step = width / max(1, len(minutes))

    def bar(index: int, count: int, shift: float) -> tuple[float, float, float, float]:
        tall = round(count / top * height, 1)
        return round(index * step + shift, 1), round(height - tall, 1), round(step / 2 - 0.6, 1), tall

    return {
        "width": width,
        "height": height,
        "top": top,
        "accepted": [bar(i, minute.accepted, 0) for i, minute in enumerate(minutes) if minute.accepted],
        "delivered": [bar(i, minute.delivered, step / 2) for i, minute in enumerate(minutes) if minute.delivered],
        "accepted_sum": sum(minute.accepted for minute in minutes),
        "delivered_sum": sum(minute.delivered for minute in minutes),
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a mail's way."""

    what: str
    more: str
    at: float | None
    kind: str = "done"
    """``done``, or the state that it stands in."""


def was_read(entry: Entry) -> bool:
    """The mail came past its reader."""
    return entry.state is not State.RECEIVED and entry.reason is not Reason.UNREADABLE


def steps(detail: Detail) -> list[Step]:
    """A mail's way: accepted, read and decided, what was sent, and where it stands."""
    entry, decision = detail.entry, detail.decision
    found = [Step("Accepted", f"by {entry.envelope.protocol} from {entry.envelope.client_ip}", entry.accepted_at)]
    if decision is not None:
        source = f"its ticket from the {decision.reference.source}" if decision.reference else "no ticket"
        sealed = ", encrypted" if decision.encrypted else ""
        verdict = f"{decision.verdict.action} ({words(str(decision.verdict.reason)).lower()})"
        found.append(Step("Read", f"as {words(str(decision.mail_class)).lower()}, {source}: {verdict}{sealed}", None))
    elif entry.reason is Reason.UNREADABLE:
        found.append(Step("Read", "in vain: it broke its reader", None))
    for attempt in detail.attempts:
        outcome = f"{attempt.outcome or 'no answer yet'}{f', {attempt.status}' if attempt.status else ''}"
        found.append(Step(words(str(attempt.kind)), f"attempt {attempt.number}: {outcome}", attempt.intent_at))
    why = "" if str(entry.reason) == entry.state else words(str(entry.reason)).lower()
    return [*found, Step(words(str(entry.state)), why, entry.updated_at, str(entry.state))]


@dataclass(frozen=True, slots=True)
class ApiHealth:
    """The ticket API, as its newest answer tells."""

    says: str
    more: str
    at: float | None


def api_health(meter: Meter) -> ApiHealth:
    """From the newest request that was to change something."""
    if meter.last_outcome is None:
        return ApiHealth("–", "nothing was sent yet", None)
    outcome, at = meter.last_outcome
    return ApiHealth("fails" if outcome in _FAILING else "answers", f"{words(outcome).lower()}", at)


def environment() -> jinja2.Environment:
    """Templates with everything escaped and every unknown name an error."""
    folder = files("bridge.ops.page") / "templates"
    sources = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".html")}
    made = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(age=age, when=when, size=size, words=words, clean=clean, was_read=was_read)
    return made
