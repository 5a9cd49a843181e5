"""Which entries a ``queue`` command is about: ids or filters, and the spool that they are in."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bridge.loading_cli import WITHOUT_API, settings_of
from bridge.reasons import Reason

if TYPE_CHECKING:
    from bridge.settings import Settings
    from bridge.spool.api import Filter, Spool

T = TypeVar("T")

STATES = ("received", "ready", "sending", "unknown", "held", "delivered", "recorded", "discarded", "expired")
"""For completion; a test compares them with the spool's, whose import would cost every completion its time."""
EVERY = 1_000_000
"""What ``--all`` selects at most."""
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str) -> float:
    """Seconds of ``90``, ``15m``, ``2h`` or ``3d``. Raises ``BadParameter``."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise typer.BadParameter(f"{text!r}: a number and s, m, h or d, such as 90, 15m, 2h or 3d")
    return float(found[1]) * _UNITS[found[2]]


def _states(incomplete: str) -> list[str]:
    return [state for state in STATES if state.startswith(incomplete)]


def _reasons(incomplete: str) -> list[str]:
    return [str(reason) for reason in Reason if reason.startswith(incomplete)]


Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Entry ids, or unambiguous beginnings of 8 characters or more."),
]
OneId = Annotated[str, typer.Argument(metavar="ID", help="Entry id, or an unambiguous beginning of it.")]
Note = Annotated[str, typer.Option("--note", help="Why, for the audit.")]
All = Annotated[
    bool, typer.Option("--all", help="Every entry that the filters select and that this is for; asks first.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
StateOption = Annotated[
    list[str] | None,
    typer.Option("--state", help="Only entries in this state; may be repeated.", autocompletion=_states),
]
TicketOption = Annotated[str, typer.Option("--ticket", help="Only entries of this ticket (public id).")]
SenderOption = Annotated[str, typer.Option("--sender", help="Only entries from this address.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Only entries with this reason (docs/reasons.md).", autocompletion=_reasons)
]
Older = Annotated[str, typer.Option("--older-than", help="Only entries accepted this long ago: 90, 15m, 2h, 3d.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object a line.")]


def query(states: list[str] | None, ticket: str, sender: str, reason: str, older: str, limit: int) -> Filter:
    """The filters as the spool takes them. Raises ``BadParameter`` for a state or a reason that there is not."""
    from bridge.spool.api import Filter, State

    try:
        wanted = tuple(State(name) for name in states or ())
    except ValueError as error:
        raise typer.BadParameter(f"{error}; states: {', '.join(State)}") from None
    if reason and reason not in frozenset(Reason):
        raise typer.BadParameter(f"{reason!r} is no reason; docs/reasons.md lists them")
    return Filter(
        states=wanted,
        ticket=ticket.lower(),
        sender=sender.lower(),
        reason=reason,
        older_than_s=span(older) if older else None,
        limit=limit,
        newest_first=False,
    )


def with_spool(context: typer.Context, work: Callable[[Spool, Settings], Awaitable[T]]) -> T:
    """Run ``work`` on the spool, as its owner, beside a running bridge."""
    from bridge.composition import open_spool

    settings = settings_of(context, owner=True, defaults=WITHOUT_API)

    async def run() -> T:
        spool = await open_spool(settings, exclusive=False)
        try:
            return await work(spool, settings)
        finally:
            await spool.close()

    return asyncio.run(run())


def actor() -> str:
    """Who acts, as the audit shows it."""
    return f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"
