"""Faults that can be armed: what there is, how a request for one is read, and which request meets which fault."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.sandbox.ids import IdSource, iso
from bridge.sandbox.problems import FieldError, Refusal, invalid

PLACES = ("before", "after")
FORMS = ("problem", "html", "broken", "empty")
ENDINGS = ("reset", "close")
RETRY_AFTER_FORMS = ("seconds", "date")
STRIKE_PLACES = ("head", "body", "applied", "answered")
"""Where ``strike`` happens: the head was read, half the body was, the request was applied, its status went out."""
EARLY = frozenset({"head", "body"})
STRIKES = ("answer", "cut", "drip", "huge", "reset", "close", "stall", "not_http")
"""What ``strike`` does: answers with ``status`` (whole, cut, byte by byte, or too long), or breaks the exchange."""
TARGETS: Mapping[str, str] = {
    "any": "every API request",
    "messages": "replies to a ticket",
    "attachments": "uploads",
    "tickets": "everything under /tickets but replies",
    "read": "reading one ticket",
    "list": "listing tickets",
    "create": "creating a ticket",
    "actions": "reopen and close",
}
"""What ``on`` may name."""
_OPERATION_GROUPS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"any", "messages"}),
    "attachments": frozenset({"any", "attachments"}),
    "read": frozenset({"any", "tickets", "read"}),
    "list": frozenset({"any", "tickets", "list"}),
    "create": frozenset({"any", "tickets", "create"}),
    "actions": frozenset({"any", "tickets", "actions"}),
}
MAX_SECONDS = 86_400.0
MAX_COUNT = 1_000_000
MAX_HUGE_BYTES = 1_073_741_824


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of fault."""

    meaning: str
    members: frozenset[str] = frozenset()
    """The members that it reads besides ``fault``, ``count``, ``on`` and ``seconds``."""
    seconds: float | None = None
    """What ``seconds`` is when not given; None where ``seconds`` says how long the fault stays armed."""
    place: str = "after"


KINDS: Mapping[str, Kind] = {
    "delay": Kind("the answer waits for `seconds`", frozenset({"place"}), seconds=1.0),
    "refuse": Kind("the port is closed for `seconds`: connections are refused, open ones reset", seconds=5.0),
    "reset_before": Kind("the connection dies before the request is applied", frozenset({"how"})),
    "reset_after": Kind("the request is applied, then the connection dies", frozenset({"how"})),
    "status": Kind("answers with `status`", frozenset({"status", "form", "code", "place"}), place="before"),
    "rate_limit": Kind("429; `Retry-After` is `seconds`", frozenset({"retry_after"}), seconds=1.0),
    "revoked": Kind("401, as if the key had been revoked"),
    "null_bodies": Kind("every `body` in the answer is null"),
    "trimmed_bodies": Kind("every `body` in the answer loses outer and line-end blanks", frozenset({"length"})),
    "cut_body": Kind("applied; the head and half the body go out, then the connection dies"),
    "garbled_body": Kind("applied; the right status with a body that is not JSON"),
    "drip": Kind("applied; the answer goes out a byte each `seconds`", seconds=0.1),
    "huge_body": Kind("applied; the answer is followed by `bytes` of blanks", frozenset({"bytes"})),
    "not_http": Kind("answers bytes that are not HTTP", frozenset({"place"})),
    "strike": Kind(
        "at `place` in the exchange, `how` happens",
        frozenset({"place", "how", "status", "form", "code", "retry_after", "bytes"}),
        seconds=0.1,
        place="applied",
    ),
}


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    id: str
    name: str
    on: str
    remaining: int | None
    """How many requests it still meets; None for any number."""
    seconds: float | None
    expires_at: float | None
    place: str
    status: int = 503
    form: str = "problem"
    code: str | None = None
    retry_after: str = "seconds"
    how: str = "reset"
    length: int | None = None
    bytes: int = 67_108_864
    ticket: str | None = None
    """The ticket that a request must name; None for any."""
    members: frozenset[str] = field(default_factory=frozenset)

    def shown(self) -> dict[str, object]:
        """As ``GET /sandbox/faults`` lists it."""
        own = {name: getattr(self, name) for name in sorted(self.members)}
        expires = None if self.expires_at is None else iso(self.expires_at)
        return {
            "id": self.id, "fault": self.name, "on": self.on, "ticket": self.ticket, "count": self.remaining,
            "seconds": self.seconds, "expiresAt": expires, **own,
        }  # fmt: skip


class _Reader:
    """Reads the members of a request for a fault and gathers what is wrong with them."""

    def __init__(self, members: Mapping[str, object]) -> None:
        self.members = members
        self.errors: list[FieldError] = []

    def refuse(self, name: str, detail: str) -> None:
        self.errors.append(FieldError(f"/{name}", detail, "invalid_value"))

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.members.get(name, default)
        if not isinstance(value, str) or value not in allowed:
            self.refuse(name, f"one of: {', '.join(allowed)}")
            return default
        return value

    def whole(self, name: str, low: int, high: int, default: int | None) -> int | None:
        value = self.members.get(name, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(name, f"a whole number from {low} to {high}")
            return default
        return value

    def seconds(self) -> float | None:
        value = self.members.get("seconds")
        if value is None or value == 0:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS:
            self.refuse("seconds", f"a number above 0, at most {MAX_SECONDS:.0f}")
            return None
        return float(value) if math.isfinite(value) else None


def parse(members: Mapping[str, object], fault_id: str, now: float) -> Fault:
    """A fault from the members of ``POST /sandbox/faults``. Raises ``400 invalid_request`` naming what is wrong."""
    read = _Reader(members)
    name = read.choice("fault", tuple(KINDS), "")
    if not name:
        raise invalid(*read.errors)
    kind = KINDS[name]
    for unknown in sorted(members.keys() - kind.members - {"fault", "count", "on", "seconds", "ticket"}):
        read.refuse(unknown, f"{name} has no such member")
    seconds = read.seconds()
    lifetime = seconds if kind.seconds is None else None
    # Armed for a time only: every request within it. Otherwise one request, unless count says more (null: any number).
    count = read.whole("count", 1, MAX_COUNT, None if lifetime is not None else 1)
    code = members.get("code")
    if code is not None and not isinstance(code, str):
        read.refuse("code", "a string")
    ticket = members.get("ticket")
    if ticket is not None and not isinstance(ticket, str):
        read.refuse("ticket", "a string")
    strikes = name == "strike"
    fault = Fault(
        id=fault_id,
        name=name,
        on=read.choice("on", tuple(TARGETS), "any"),
        remaining=count,
        seconds=kind.seconds if seconds is None else seconds,
        expires_at=None if lifetime is None else now + lifetime,
        place=read.choice("place", STRIKE_PLACES if strikes else PLACES, kind.place),
        status=read.whole("status", 200, 599, 503) or 503,
        form=read.choice("form", FORMS, "problem"),
        code=code if isinstance(code, str) else None,
        retry_after=read.choice("retry_after", RETRY_AFTER_FORMS, "seconds"),
        how=read.choice("how", STRIKES, "answer") if strikes else read.choice("how", ENDINGS, "reset"),
        length=read.whole("length", 0, MAX_COUNT, None),
        bytes=read.whole("bytes", 1, MAX_HUGE_BYTES, 67_108_864) or 1,
        ticket=ticket if isinstance(ticket, str) else None,
        members=kind.members,
    )
    if read.errors:
        raise invalid(*read.errors)
    return fault


class Armoury:
    """The armed faults, in the order of arming. A request meets the first that fits, and only that one."""

    def __init__(self, ids: IdSource, clock: Callable[[], float] = time.time) -> None:
        """Start with none."""
        self._ids = ids
        self._clock = clock
        self._armed: list[Fault] = []
        self.close_port: Callable[[float], None] | None = None
        """Set by the server that owns the listening socket; ``refuse`` needs it."""

    def arm(self, members: Mapping[str, object]) -> Fault:
        """Arm one fault; ``refuse`` acts at once. Raises ``400 invalid_request``, or ``409`` where there is no port."""
        fault = parse(members, self._ids.new("flt"), self._clock())
        if fault.name != "refuse":
            self._armed.append(fault)
        elif self.close_port is None:
            raise Refusal(409, "no_listener", "This sandbox does not own its listening socket; it cannot refuse.")
        else:
            self.close_port(fault.seconds or 0.0)
        return fault

    def disarm(self) -> int:
        """Remove all faults; returns how many there were."""
        count = len(self.armed())
        self._armed.clear()
        return count

    def disarm_one(self, fault_id: str) -> None:
        """Remove one fault. Raises ``404 fault_not_found``."""
        left = [fault for fault in self.armed() if fault.id != fault_id]
        if len(left) == len(self._armed):
            raise Refusal(404, "fault_not_found", "No such fault is armed.")
        self._armed = left

    def armed(self) -> list[Fault]:
        """The faults that are still armed."""
        now = self._clock()
        self._armed = [fault for fault in self._armed if fault.expires_at is None or fault.expires_at > now]
        return list(self._armed)

    def meet(self, operation: str, path: str = "") -> Fault | None:
        """The fault that a request for ``path`` meets, which counts it."""
        if not self._armed:
            return None
        groups = _OPERATION_GROUPS.get(operation, frozenset({"any"}))
        for fault in self.armed():
            if fault.on in groups and (fault.ticket is None or fault.ticket in path.split("/")):
                if fault.remaining is not None:
                    fault.remaining -= 1
                    if not fault.remaining:
                        self._armed.remove(fault)
                return fault
        return None
