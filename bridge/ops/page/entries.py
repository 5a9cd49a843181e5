"""The page's lists and single entries: what they show, and the audited actions behind their buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from bridge.ops.actions import NEEDS_A_TICKET, Actions
from bridge.ops.page.show import steps
from bridge.ops.render import as_dict
from bridge.spool.api import Audit, Detail, Entry, Filter, Spool, State

ACTOR = "page"
LISTED = 200
OFFERED: Mapping[State, tuple[str, ...]] = {
    State.RECEIVED: ("hold", "discard"),
    State.READY: ("retry", "hold", "discard", "redirect"),
    State.UNKNOWN: ("hold", "discard"),
    State.HELD: ("release", "retry", "redirect", "discard"),
    State.RECORDED: ("replay", "redirect", "discard"),
    State.DISCARDED: ("replay", "redirect"),
    State.EXPIRED: ("replay", "redirect", "discard"),
}
"""The buttons that an entry in a state has; ``Actions`` decides in the end."""


def offered(entry: Entry, *, rejects: bool) -> tuple[str, ...]:
    """The buttons of one entry, the likeliest first."""
    if entry.erased:
        return ()
    found = OFFERED.get(entry.state, ())
    if entry.state is State.HELD and entry.reason in NEEDS_A_TICKET:
        found = ("redirect", "retry", "discard")
    return (*found, "reject") if rejects and entry.state is State.HELD else found


class Entries:
    """Reads and moves entries for the page."""

    ACTIONS: ClassVar[frozenset[str]] = frozenset(
        {"retry", "release", "replay", "hold", "discard", "redirect", "reject"}
    )

    def __init__(self, spool: Spool, clock: Callable[[], float], *, rejects: bool) -> None:
        """``clock`` gives seconds since the epoch; ``rejects`` offers to tell senders."""
        self._rejects = rejects
        self._spool = spool
        self._clock = clock

    async def listing(self, request: Request) -> dict[str, Any]:
        """The entries that the query asks for, newest first."""
        asked = request.query_params
        states = tuple(State(name) for name in asked.getlist("state") if name in frozenset(State))
        query = Filter(
            states=states,
            ticket=asked.get("ticket", "").strip().lower()[:40],
            sender=asked.get("sender", "").strip().lower()[:320],
            reason=asked.get("reason", "")[:40],
            limit=LISTED,
            newest_first=True,
        )
        return {
            "entries": await self._spool.list(query),
            "asked": query,
            "states": tuple(State),
            "now": self._clock(),
            "most": LISTED,
        }

    async def one(self, entry_id: str, *, revealed: bool) -> dict[str, Any]:
        """One entry; with its words when ``revealed``, which is audited first. Raises ``UnknownEntry``."""
        detail = await self._spool.detail(entry_id)
        if revealed:
            await self._spool.note(detail.entry.id, Audit(self._clock(), ACTOR, "reveal"))
            detail = await self._spool.detail(detail.entry.id)
        return {
            "entry": detail.entry,
            "detail": detail,
            "decided": _decided(detail),
            "steps": steps(detail),
            "lines": detail.decision.reply.lines if revealed and detail.decision and detail.decision.reply else (),
            "revealed": revealed,
            "offered": offered(detail.entry, rejects=self._rejects),
            "now": self._clock(),
        }

    async def act(self, entry_id: str, action: str, form: Mapping[str, str]) -> str:
        """Do what a button says; the entry's id. Raises ``WrongState`` and ``UnknownEntry``."""
        if action not in self.ACTIONS or (action == "reject" and not self._rejects):
            raise HTTPException(404)
        actions, note = Actions(self._spool, ACTOR, self._clock), form.get("note", "")[:500]
        if action == "redirect":
            return await actions.redirect(entry_id, form.get("ticket", "").strip(), note)
        done: str = await getattr(actions, action)(entry_id, note)
        return done


def _decided(detail: Detail) -> dict[str, Any] | None:
    """What ``explain`` would say, without the words."""
    if detail.decision is None:
        return None
    found = as_dict(detail.decision)
    for words in ("message", "reply", "elided", "subject"):
        del found[words]
    return found
