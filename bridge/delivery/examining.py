"""A refusal that the ticket's state, or the key, may explain: look, reopen if that is it, else hold (design §6)."""

from __future__ import annotations

from dataclasses import replace

from bridge.delivery.client import Answer, TicketApi
from bridge.delivery.gate import Gate
from bridge.delivery.ledger import Ledger, result_of
from bridge.delivery.outcome import Outcome
from bridge.delivery.outgoing import NEW, Outgoing
from bridge.delivery.points import Point
from bridge.delivery.probe import rights
from bridge.delivery.reconcile import Found, Window, message_on
from bridge.delivery.reconciling import Deliver
from bridge.delivery.resolver import staff_texts
from bridge.delivery.schedule import WAITS, Act
from bridge.errors import ApiError
from bridge.model import Decision
from bridge.reasons import MailClass, Reason
from bridge.spool.api import AttemptResult, Claim, Kind, State

REOPEN_AGAIN_S = 3600.0
"""A ticket is reopened at most once within this time."""
_LOOK_FIRST = {Act.RETRY: Act.LOOK, Act.WAIT: Act.CHECK}
_LATER = frozenset({*WAITS, Outcome.NOT_SENT, Outcome.UNKNOWN})


class Examining:
    """Looks at tickets that refused something."""

    def __init__(
        self, ledger: Ledger, api: TicketApi, gate: Gate, closed_tickets: str, deadline_s: float, delivered: Deliver
    ) -> None:
        """``closed_tickets`` is ``reopen`` or ``hold``; ``delivered`` settles what is there in spite of a refusal."""
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._reopens = closed_tickets == "reopen"
        self._deadline_s = deadline_s
        self._delivered = delivered

    async def examine(self, claim: Claim, decision: Decision, outcome: Outcome, sent: Outgoing | None) -> None:
        """Settles the claim: delivered after all, ready again, held, or later.

        ``sent`` is what was refused; None when it was no message, but a file.
        """
        if claim.entry.lane.startswith(NEW):
            await self._forbidden_or_refused(claim, outcome)
            return
        try:
            answer = await self._api.get_ticket(claim.entry.lane)
        except ApiError as error:
            await self._cannot_look(claim, error, outcome, posted=sent is not None)
            return
        self._gate.answered(answer)
        self._ledger.checkpoint(Point.EXAMINED)
        if sent is not None and await self._is_there(claim, decision, sent, answer):
            return
        if answer.body.get("status") == "closed":
            await self._ledger.spool.remember_texts(claim.entry.lane, staff_texts(answer.body))
            await self._closed(claim, decision)
        elif sent is None:
            await self._ledger.settle(claim, State.READY, Reason.RETRY)
        else:
            await self._forbidden_or_refused(claim, outcome)

    async def _is_there(self, claim: Claim, decision: Decision, sent: Outgoing, answer: Answer) -> bool:
        """A refusal that was applied all the same: then it is delivered."""
        attempt = claim.attempts[-1]
        window = Window(attempt.intent_at, attempt.intent_at + self._deadline_s)
        confirmed = await self._ledger.spool.confirmed_ids(sent.ticket)
        look = message_on(answer.body, sent.text, encrypted=sent.encrypted, window=window, confirmed=confirmed)
        if look.found is not Found.OURS:
            return False
        result = AttemptResult(Outcome.DELIVERED, attempt.status, request_id=attempt.request_id, message_id=look.id)
        await self._delivered(claim, decision, attempt, result)
        return True

    async def _forbidden_or_refused(self, claim: Claim, outcome: Outcome) -> None:
        """403: does the key do anything at all? Then it is about this ticket."""
        if outcome is not Outcome.FORBIDDEN:
            await self._ledger.settle(claim, State.HELD, Reason.REFUSED_BY_API)
            return
        try:
            await rights(self._api)
        except ApiError as error:
            seen = self._gate.failed(error, claim.entry.lane)
            if seen in (Outcome.FORBIDDEN, Outcome.KEY_REFUSED):
                self._gate.shut_for_key()
                await self._ledger.settle(claim, State.READY, Reason.PAUSED, counted=False)
            else:
                await self._ledger.take(self._ledger.later(seen, claim), claim, None, None)
            return
        await self._ledger.settle(claim, State.HELD, Reason.TICKET_FORBIDDEN)

    async def _cannot_look(self, claim: Claim, error: ApiError, outcome: Outcome, *, posted: bool) -> None:
        """The ticket cannot be read: later, or never with a key that may not read.

        A message that was ``posted`` and refused is looked for before it is sent again: it may be there all the same.
        """
        seen = self._gate.failed(error, claim.entry.lane)
        if seen in _LATER:
            step = self._ledger.later(seen, claim)
            act = _LOOK_FIRST.get(step.act, step.act) if posted else step.act
            await self._ledger.take(replace(step, act=act), claim, None, None)
        else:
            await self._forbidden_or_refused(claim, outcome)

    async def _closed(self, claim: Claim, decision: Decision) -> None:
        reopened = await self._ledger.spool.last_reopened(claim.entry.lane)
        recently = reopened is not None and self._ledger.clock() - reopened < REOPEN_AGAIN_S
        if not self._reopens or recently or decision.mail_class is not MailClass.HUMAN:
            await self._ledger.settle(claim, State.HELD, Reason.TICKET_CLOSED)
            return
        await self._reopen(claim)

    async def _reopen(self, claim: Claim) -> None:
        """Reopen, confirm by the ticket's status, then the message is ready again."""
        lane = claim.entry.lane
        attempt = await self._ledger.intend(claim, Kind.REOPEN, "", None, Point.REOPEN_INTENDED)
        outcome = Outcome.DELIVERED
        try:
            answer = await self._api.reopen(lane)
            self._gate.answered(answer)
            result = AttemptResult(outcome, answer.status, request_id=answer.request_id)
        except ApiError as error:
            outcome = self._gate.failed(error, lane)
            result = result_of(error, outcome)
        self._ledger.checkpoint(Point.REOPENED)
        claim = await self._ledger.finish(claim, attempt, result, Point.REOPEN_SETTLED)
        try:
            status = (await self._api.get_ticket(lane)).body.get("status")
        except ApiError as error:
            await self._cannot_look(claim, error, Outcome.MAYBE_CLOSED, posted=False)
            return
        if status != "closed":
            if outcome is not Outcome.DELIVERED:
                # It was applied after all, and counts as this hour's.
                done = replace(result, outcome=Outcome.DELIVERED)
                claim = await self._ledger.finish(claim, attempt, done, Point.REOPEN_SETTLED)
            await self._ledger.settle(claim, State.READY, Reason.WAITING, counted=False)
        elif outcome in _LATER:
            await self._ledger.take(self._ledger.later(outcome, claim), claim, None, None)
        else:
            await self._ledger.settle(claim, State.HELD, Reason.TICKET_CLOSED)
