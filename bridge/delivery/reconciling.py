"""Was it posted? Looks for a message or a ticket whose outcome is unknown, and settles its entry (design §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate
from bridge.delivery.ledger import Ledger
from bridge.delivery.outcome import Outcome
from bridge.delivery.outgoing import Outgoing
from bridge.delivery.points import Point
from bridge.delivery.reconcile import ABSENT, Found, Look, Window, ended_before, looks_done, message_on, tickets_like
from bridge.delivery.schedule import WAITS, Act, next_look
from bridge.errors import ApiError
from bridge.model import Decision
from bridge.reasons import Reason
from bridge.spool.api import Attempt, AttemptResult, Claim, Kind, State

PAGES, PAGE = 20, 100
"""How much of the list of tickets is looked through for one that may have been opened."""
_CREATED = 201
_NEVER = frozenset({Outcome.FORBIDDEN, Outcome.NOT_FOUND})
"""Outcomes of a look that will not change by themselves."""
_REFUSED = frozenset({*WAITS, Outcome.MAYBE_CLOSED, Outcome.FORBIDDEN})
"""Outcomes of an attempt that say that nothing was applied."""
Deliver = Callable[[Claim, Decision, Attempt, AttemptResult], Awaitable[None]]


class Reconciling:
    """Looks, and says what follows."""

    def __init__(self, ledger: Ledger, api: TicketApi, gate: Gate, deadline_s: float, delivered: Deliver) -> None:
        """``deadline_s`` bounds one exchange; ``delivered`` settles what was found."""
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._deadline_s = deadline_s
        self._delivered = delivered

    async def look(self, claim: Claim, decision: Decision, sent: Outgoing) -> None:
        """One look, and what follows from it."""
        attempt = next((a for a in reversed(claim.attempts) if a.kind in (Kind.POST, Kind.CREATE)), None)
        if attempt is None:
            await self._ledger.settle(claim, State.READY, Reason.WAITING, counted=False)
            return
        window = Window(attempt.intent_at, attempt.intent_at + self._deadline_s)
        try:
            seen = await self._found(sent, window)
        except ApiError as error:
            await self._cannot_look(claim, error, attempt)
            return
        self._ledger.checkpoint(Point.LOOKED)
        if seen.found is Found.OURS:
            result = AttemptResult(Outcome.DELIVERED, attempt.status, request_id=attempt.request_id, message_id=seen.id)
            await self._delivered(claim, decision, attempt, result)
        elif seen.found is Found.UNDECIDABLE or attempt.fingerprint != sent.fingerprint:
            # What was sent reads otherwise since a setting was changed: that it is not found says nothing.
            await self._undecidable(claim, attempt)
        else:
            await self._absent(claim, attempt)

    async def _absent(self, claim: Claim, attempt: Attempt) -> None:
        """Look again, or send again when it was looked often enough. A 201 said that it is there: then never again."""
        if attempt.outcome in _REFUSED:
            # The API refused it for a reason that is over, and it is not there: once is enough.
            await self._ledger.settle(claim, State.READY, Reason.WAITING, counted=False)
            return
        looks = looks_done(attempt.outcome) + 1
        now = self._ledger.clock()
        at = next_look(looks, now - attempt.intent_at, now, self._ledger.pace)
        result = replace(_known(attempt), outcome=f"{ABSENT}{looks}")
        if at is not None:
            await self._ledger.settle(claim, State.UNKNOWN, Reason.RETRY, attempt, result, at=at, counted=False)
        elif attempt.status == _CREATED:
            await self._undecidable(claim, attempt)
        else:
            step = self._ledger.again(claim)
            # The looks were the wait; only a message that is absent again and again backs off.
            at = now if step.act is Act.RETRY and claim.entry.attempts <= 1 else step.at
            await self._ledger.take(replace(step, at=at), claim, attempt, result)

    async def _undecidable(self, claim: Claim, attempt: Attempt) -> None:
        result = replace(_known(attempt), outcome="undecidable")
        await self._ledger.settle(claim, State.HELD, Reason.OUTCOME_UNDECIDABLE, attempt, result)

    async def _found(self, sent: Outgoing, window: Window) -> Look:
        if sent.kind is Kind.CREATE:
            return await self._found_ticket(sent, window)
        answer = await self._api.get_ticket(sent.ticket)
        self._gate.answered(answer)
        confirmed = await self._ledger.spool.confirmed_ids(sent.ticket)
        return message_on(answer.body, sent.text, encrypted=sent.encrypted, window=window, confirmed=confirmed)

    async def _found_ticket(self, sent: Outgoing, window: Window) -> Look:
        """A ticket that we may have opened: by subject and time, then by its text."""
        cursor = ""
        for _ in range(PAGES):
            listing = await self._api.list_tickets(PAGE, cursor)
            self._gate.answered(listing)
            for ticket in tickets_like(listing.body, sent.subject, window):
                look = await self._opened_with(ticket, sent, window)
                if look.found is not Found.ABSENT:
                    return look
            cursor = str(listing.body.get("nextCursor") or "")
            if not cursor or ended_before(listing.body, window):
                return Look(Found.ABSENT)
        return Look(Found.UNDECIDABLE)

    async def _opened_with(self, ticket: str, sent: Outgoing, window: Window) -> Look:
        answer = await self._api.get_ticket(ticket)
        self._gate.answered(answer)
        first = {"id": ticket, "sender": "customer", "body": answer.body.get("body"), "encrypted": False}
        taken = bool(await self._ledger.spool.confirmed_ids(ticket))
        confirmed = frozenset({ticket}) if taken else frozenset[str]()
        return message_on({"messages": [first]}, sent.text, encrypted=False, window=window, confirmed=confirmed)

    async def _cannot_look(self, claim: Claim, error: ApiError, attempt: Attempt) -> None:
        outcome = self._gate.failed(error, claim.entry.lane)
        step = self._ledger.later(outcome, claim)
        if outcome in _NEVER and attempt.outcome in _REFUSED:
            await self._ledger.settle(claim, State.READY, Reason.WAITING, counted=False)
            return
        if outcome in _NEVER or step.act is Act.HOLD:
            await self._undecidable(claim, attempt)
            return
        counted = step.act is not Act.WAIT
        await self._ledger.settle(claim, State.UNKNOWN, step.reason, at=step.at, counted=counted)


def _known(attempt: Attempt) -> AttemptResult:
    """What is known of an attempt already."""
    return AttemptResult(attempt.outcome, attempt.status, attempt.code, attempt.detail, attempt.request_id)
