"""Ticket numbers to public ids: once by GET, then from the spool (design §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate
from bridge.errors import ApiError, Problem
from bridge.reference import is_public_id
from bridge.spool.api import Spool


class Resolver:
    """Resolves numbers; the same number is asked for once at a time."""

    def __init__(self, api: TicketApi, gate: Gate, spool: Spool) -> None:
        """All three are shared with delivery."""
        self._api = api
        self._gate = gate
        self._spool = spool
        self._locks: dict[str, asyncio.Lock] = {}

    async def resolve(self, number: str) -> str:
        """The public id. Raises ``ApiError``: what failed, or an answer that names no ticket."""
        lock = self._locks.setdefault(number, asyncio.Lock())
        async with lock:
            known = await self._spool.ticket_of(number)
            if known:
                return known
            await self._gate.passed()
            try:
                answer = await self._api.get_ticket(number)
            except ApiError as error:
                self._gate.failed(error, number)
                raise
            finally:
                self._locks.pop(number, None)
            self._gate.answered(answer)
            ticket = str(answer.body.get("id", ""))
            if not is_public_id(ticket) or str(answer.body.get("number", number)) != number:
                raise Problem(200, detail="the answer names another ticket, or none")
            await self._spool.remember_number(number, ticket)
            await self._spool.remember_texts(ticket, staff_texts(answer.body))
            return ticket


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
