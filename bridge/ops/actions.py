"""What a person may do with an entry; every move is audited in the ledger (design §3).

The only caller of the spool's ``operate`` for people, so that command line and web page cannot differ. Raises
``WrongState`` with what to do instead, and ``UnknownEntry``; nothing is changed then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bridge.errors import WrongState
from bridge.reasons import Reason
from bridge.spool.api import Audit, Detail, Spool, State

_TICKET = re.compile(r"tkt_[0-9a-hjkmnp-tv-z]{26}|[0-9]{1,18}")
NEEDS_A_TICKET = frozenset(
    {
        Reason.NO_TICKET,
        Reason.CONFLICTING_REFERENCES,
        Reason.BAD_REFERENCE,
        Reason.BAD_SIGNATURE,
        Reason.POSTMASTER,
        Reason.TICKET_NOT_FOUND,
        Reason.SIBLING_HAS_TICKET,
    }
)
"""Reasons for which there is no ticket to release a mail to: it is redirected instead."""
_HELD = frozenset({State.HELD})
_KEPT = frozenset({State.RECORDED, State.DISCARDED, State.EXPIRED})
_WAITING = frozenset({State.RECEIVED, State.READY, State.UNKNOWN})

ALLOWED: Mapping[str, frozenset[State]] = {
    "retry": _HELD | {State.READY, State.RECEIVED},
    "release": _HELD,
    "replay": _KEPT,
    "redirect": _HELD | _KEPT | {State.READY},
    "hold": _WAITING,
    "discard": _HELD | _WAITING | {State.RECORDED, State.EXPIRED},
    "reject": _HELD | _WAITING | {State.RECORDED, State.EXPIRED},
}
"""The states that each action is for."""


class Actions:
    """The actions of one person (``actor``, as the audit shows them) on one spool."""

    def __init__(self, spool: Spool, actor: str, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since the epoch."""
        self._spool = spool
        self._actor = actor
        self._clock = clock

    async def retry(self, entry_id: str, note: str = "") -> str:
        """Try a held or waiting entry again now: its message once more, or its mail read anew. The entry's full id."""
        detail = await self._spool.detail(entry_id)
        return await self._send(detail, "retry", note, allowed=ALLOWED["retry"], released=None)

    async def release(self, entry_id: str, note: str = "") -> str:
        """Let a held entry go out to the ticket it names; its sender is known on that ticket from now on."""
        detail = await self._spool.detail(entry_id)
        if detail.entry.state is State.HELD and detail.entry.reason in NEEDS_A_TICKET:
            raise WrongState(f"{detail.entry.id} is held as {detail.entry.reason}: redirect it to a ticket instead")
        return await self._send(detail, "release", note, allowed=ALLOWED["release"], released=True)

    async def replay(self, entry_id: str, note: str = "") -> str:
        """Post what was recorded, discarded or has expired, although the bridge would not."""
        detail = await self._spool.detail(entry_id)
        return await self._send(detail, "replay", note, allowed=ALLOWED["replay"], released=True)

    async def redirect(self, entry_id: str, ticket: str, note: str = "") -> str:
        """Send an entry to another ticket (public id or number) than it names; it is read anew for that."""
        ticket = ticket.lower()
        if not _TICKET.fullmatch(ticket):
            raise WrongState(f"{ticket!r} is no ticket: give tkt_ and 26 characters, or a number")
        detail = await self._spool.detail(entry_id)
        self._whole(detail)
        await self._spool.operate(
            detail.entry.id,
            self._audit("redirect", f"to {ticket}" + (f": {note}" if note else "")),
            allowed=ALLOWED["redirect"],
            state=State.RECEIVED,
            reason=Reason.BY_OPERATOR,
            lane="",
            override=ticket,
        )
        return detail.entry.id

    async def hold(self, entry_id: str, note: str = "") -> str:
        """Keep a waiting entry back until a person decides."""
        detail = await self._spool.detail(entry_id)
        await self._spool.operate(
            detail.entry.id,
            self._audit("hold", note),
            allowed=ALLOWED["hold"],
            state=State.HELD,
            reason=Reason.BY_OPERATOR,
        )
        return detail.entry.id

    async def discard(self, entry_id: str, note: str = "") -> str:
        """Decide that an entry is not posted; its body is kept for the retention, and can be replayed."""
        return await self._give_up(entry_id, "discard", note)

    async def reject(self, entry_id: str, note: str = "") -> str:
        """The same, and its sender is told when that may be (``bridge.ops.notices``)."""
        return await self._give_up(entry_id, "reject", note)

    async def _give_up(self, entry_id: str, action: str, note: str) -> str:
        detail = await self._spool.detail(entry_id)
        await self._spool.operate(
            detail.entry.id,
            self._audit(action, note),
            allowed=ALLOWED[action],
            state=State.DISCARDED,
            reason=Reason.BY_OPERATOR,
        )
        return detail.entry.id

    async def _send(
        self, detail: Detail, action: str, note: str, *, allowed: frozenset[State], released: bool | None
    ) -> str:
        """With a ticket and a message it is ready as it stands; otherwise its mail is read anew."""
        self._whole(detail)
        entry = detail.entry
        as_it_stands = bool(entry.lane and detail.decision and detail.decision.message)
        await self._spool.operate(
            entry.id,
            self._audit(action, note),
            allowed=allowed,
            state=State.READY if as_it_stands else State.RECEIVED,
            reason=Reason.BY_OPERATOR,
            released=released,
            remember_sender=bool(released and as_it_stands),
        )
        return entry.id

    def _whole(self, detail: Detail) -> None:
        if detail.entry.erased:
            raise WrongState(f"{detail.entry.id}: its body was erased after the retention; nothing can be sent")

    def _audit(self, action: str, note: str) -> Audit:
        return Audit(self._clock(), self._actor, action, note)
