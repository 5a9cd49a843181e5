"""25 kinds of fault, four places, four ways in which the ticket can be looked at: and how each case must end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

PLACES = ("head", "body", "applied", "answered")
"""Before the message was sent, in the middle of it, after it was applied, and after the 201."""
VIEWS = ("readable", "trimmed", "null", "write_only")
"""How a look shows the ticket: as it is, with bodies tidied, without bodies, or not at all."""


def answer(status: int, **members: Any) -> dict[str, Any]:
    """An answer in the place of the right one."""
    return {"how": "answer", "status": status, **members}


HELD: dict[str, dict[str, Any]] = {
    "400": answer(400),
    "403": answer(403),
    "404": answer(404),
    "409": answer(409),
    "413": answer(413),
    "422": answer(422),
    "302": answer(302),
    "204": answer(204),
    "200 html": answer(200, form="html"),
}
"""Refusals, and answers that the contract does not know: held."""
WAITS: dict[str, dict[str, Any]] = {
    "401": answer(401),
    "403 inactive": answer(403, code="account_inactive"),
    "404 html": answer(404, form="html"),
    "429 seconds": answer(429),
    "429 date": answer(429, retry_after="date"),
}
"""About the key, the address or the rate: sent again."""
UNKNOWN: dict[str, dict[str, Any]] = {
    "500": answer(500),
    "502 html": answer(502, form="html"),
    "503 empty": answer(503, form="empty"),
    "504 broken": answer(504, form="broken"),
    "cut": {"how": "cut"},
    "drip": {"how": "drip", "seconds": 0.1},
    "huge": {"how": "huge", "bytes": 3_000_000},
    "reset": {"how": "reset"},
    "close": {"how": "close"},
    "stall": {"how": "stall"},
    "not HTTP": {"how": "not_http"},
}
"""It may have been applied: looked for."""
KINDS = {**HELD, **WAITS, **UNKNOWN}
_EXAMINED = frozenset({"400", "403", "409"})
"""Refusals after which the ticket is looked at anyway."""
_APPLIED = frozenset({"applied", "answered"})


@dataclass(frozen=True, slots=True)
class Case:
    """One message that meets one fault."""

    kind: str
    place: str
    view: str
    number: int

    @property
    def name(self) -> str:
        """Stands in the message."""
        return f"{self.kind}, {self.place}, {self.view}, {self.number}".replace(" ", "_")


def cases(each: int) -> list[Case]:
    """``each`` of every kind at every place; the views take turns."""
    return [
        Case(kind, place, VIEWS[number % len(VIEWS)], number)
        for number, kind, place in product(range(each), KINDS, PLACES)
    ]


def expected(case: Case) -> tuple[str, int]:
    """How it ends, and how often the message then stands on the ticket."""
    applied = case.place in _APPLIED
    sees = case.view in ("readable", "trimmed")
    if case.place == "answered":
        # A 201 that cannot be read is confirmed by a look, or by a person.
        return ("delivered" if sees else "held"), 1
    if case.kind in HELD:
        found = applied and sees and case.kind in _EXAMINED
        return ("delivered" if found else "held"), int(applied)
    if case.view == "write_only":
        if case.kind in UNKNOWN:
            return "held", int(applied)
        # The API said that nothing was applied, and nobody can look: a lie posts it twice.
        return "delivered", 2 if applied else 1
    if applied and not sees:
        return "held", 1
    return "delivered", 1
