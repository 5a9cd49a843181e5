"""Ticket numbers to public ids: once by GET, then from the spool (design §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate
from bridge.delivery.outcome import Outcome
from bridge.delivery.probe import Rights, rights
from bridge.delivery.schedule import WAITS
from bridge.errors import ApiError
from bridge.reasons import Reason
from bridge.reference import is_public_id
from bridge.spool.api import Spool

GIVE_UP_AFTER = 3
"""Lookups of a number that fail while the API is well otherwise, before its mail is held: all lanes wait for it."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of a lookup: the ticket, or the reason to hold the mail, or neither: ask again later."""

    ticket: str = ""
    hold: Reason | None = None
    counted: bool = False
    """Whether the failure counts towards giving up."""


class Resolver:
    """Resolves numbers; the same number is asked for once at a time."""

    def __init__(self, api: TicketApi, gate: Gate, spool: Spool) -> None:
        """All three are shared with delivery."""
        self._api = api
        self._gate = gate
        self._spool = spool
        self._locks: dict[str, asyncio.Lock] = {}

    async def resolve(self, number: str, failures: int) -> Resolution:
        """Look a number up for a mail whose lookups failed ``failures`` times before. Never waits for the gate."""
        lock = self._locks.setdefault(number, asyncio.Lock())
        try:
            async with lock:
                known = await self._spool.ticket_of(number)
                if known:
                    return Resolution(known)
                if not self._gate.state().open:
                    return Resolution()
                return await self._ask(number, failures)
        finally:
            self._locks.pop(number, None)

    async def copied(self, ticket: str) -> frozenset[str] | None:
        """The addresses in a ticket's ``ccEmails``, lower case; none when the API will not say; None: ask later."""
        if not self._gate.state().open:
            return None
        try:
            answer = await self._api.get_ticket(ticket)
        except ApiError as error:
            return None if self._gate.failed(error, ticket) in WAITS else frozenset()
        self._gate.answered(answer)
        found = answer.body.get("ccEmails")
        return frozenset(str(one).strip().lower() for one in found) if isinstance(found, list) else frozenset()

    async def _ask(self, number: str, failures: int) -> Resolution:
        try:
            answer = await self._api.get_ticket(number)
        except ApiError as error:
            return await self._failed(self._gate.failed(error, number), failures)
        self._gate.answered(answer)
        ticket = str(answer.body.get("id", ""))
        if not is_public_id(ticket) or str(answer.body.get("number", number)) != number:
            return await self._failed(Outcome.UNEXPECTED, failures)
        await self._spool.remember_number(number, ticket)
        await self._spool.remember_texts(ticket, staff_texts(answer.body))
        return Resolution(ticket)

    async def _failed(self, outcome: Outcome, failures: int) -> Resolution:
        if outcome is Outcome.NOT_FOUND:
            return Resolution(hold=Reason.TICKET_NOT_FOUND)
        if outcome in WAITS and outcome is not Outcome.WRONG_URL:
            return Resolution()
        # A wrong address counts: the gate opened before, so that it may be about this one number.
        if outcome is not Outcome.FORBIDDEN and failures + 1 < GIVE_UP_AFTER:
            return Resolution(counted=True)
        return await self._its_own_fault(outcome)

    async def _its_own_fault(self, outcome: Outcome) -> Resolution:
        """The key works: then it is this number, or a key that may not read. Else it is the API, and the mail waits."""
        try:
            found = await rights(self._api)
        except ApiError as error:
            if self._gate.failed(error, "") is Outcome.FORBIDDEN:
                self._gate.shut_for_key()
            return Resolution()
        forbidden = outcome is Outcome.FORBIDDEN and found is Rights.READ_WRITE
        return Resolution(hold=Reason.TICKET_FORBIDDEN if forbidden else Reason.TICKET_UNRESOLVED)


def staff_texts(ticket: Mapping[str, Any]) -> tuple[str, ...]:
    """What others wrote on a ticket, newest first: lines of it in a reply are history."""
    messages = ticket.get("messages")
    found = [
        str(item["body"])
        for item in (messages if isinstance(messages, list) else [])
        if isinstance(item, dict)
        and item.get("sender") != "customer"
        and item.get("body")
        and not item.get("encrypted")
    ]
    return tuple(reversed(found[-5:]))
