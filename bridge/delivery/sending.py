"""One entry's way to its ticket: uploads, the intent, the request, and what its outcome leads to (docs/delivery.md).

Promises: an intent is on disk before its request leaves; what may have been applied is looked for before it is sent
again; what cannot be decided is held. Whatever the API answers, the entry ends in a state that the table names.
Fails with ``SpoolError``; the claim then lapses with its lease, and what was intended is looked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from bridge.delivery import uploads
from bridge.delivery.client import Answer, TicketApi
from bridge.delivery.examining import Examining
from bridge.delivery.gate import Gate
from bridge.delivery.lease import LEASE_S
from bridge.delivery.ledger import Ledger, result_of
from bridge.delivery.outcome import Outcome
from bridge.delivery.outgoing import Outgoing, dedupe_key, outgoing
from bridge.delivery.points import Point
from bridge.delivery.reconcile import looks_done
from bridge.delivery.reconciling import Reconciling
from bridge.delivery.schedule import Act
from bridge.delivery.uploading import Uploading
from bridge.errors import ApiError, UnknownOutcome
from bridge.model import Decision
from bridge.reasons import Reason
from bridge.reference import is_public_id
from bridge.spool.api import Attempt, AttemptResult, Claim, Kind, State

WRONG_URL_TRIES = 2
"""404s without a problem document that an entry may meet, while the API is well, before it is its own fault."""


@dataclass(frozen=True, slots=True)
class SendingConfig:
    """Plain values for delivery."""

    closed_tickets: str = "reopen"
    attachments: str = "upload"
    limits: uploads.Limits = field(default_factory=lambda: uploads.Limits(25_000_000, 20))
    department: str = ""
    deadline_s: float = 30.0
    """Deadline of one exchange with the API."""
    shadow: bool = False
    """Post nothing but what a person has replayed or released."""


class Sending:
    """Sends claimed entries; shared by all workers."""

    def __init__(
        self,
        ledger: Ledger,
        api: TicketApi,
        gate: Gate,
        config: SendingConfig,
        attachment: Callable[[bytes, str], Awaitable[BinaryIO]],
    ) -> None:
        """``attachment`` gives one part of a raw mail, read where hostile bytes may do no harm."""
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._config = config
        self._uploading = Uploading(ledger, api, gate, config.limits, attachment)
        self._examining = Examining(ledger, api, gate, config.closed_tickets, config.deadline_s, self._delivered)
        self._reconciling = Reconciling(ledger, api, gate, config.deadline_s, self._delivered)

    async def send(self, claim: Claim) -> None:
        """Take a claimed entry one step on; gives the claim back."""
        self._ledger.checkpoint(Point.CLAIMED)
        decision = claim.decision
        if decision is None:
            await self._ledger.settle(claim, State.HELD, Reason.UNREADABLE)
        elif claim.entry.state is State.UNKNOWN or self._in_doubt(claim):
            await self._reconciling.look(claim, decision, self._outgoing(claim, decision))
        elif self._config.shadow and not claim.entry.released:
            await self._ledger.settle(claim, State.RECORDED, Reason.SHADOW)
        elif not claim.entry.released and await self._is_duplicate(claim, decision):
            await self._ledger.settle(claim, State.RECORDED, Reason.DUPLICATE)
        else:
            await self._send(claim, decision)

    def _in_doubt(self, claim: Claim) -> bool:
        """A person held it, then let it go, while it was not known whether it had been posted."""
        lane, enough = claim.entry.lane, len(self._ledger.pace.looks_s)
        mine = [a for a in claim.attempts if a.kind in (Kind.POST, Kind.CREATE) and a.ticket in ("", lane)]
        last = mine[-1].outcome if mine else None
        return last in ("", Outcome.UNKNOWN) or 0 < looks_done(last or "") < enough

    async def broken(self, claim: Claim) -> None:
        """Something failed that never should: hold the entry. What was intended may have been applied."""
        detail = await self._ledger.spool.detail(claim.entry.id)
        doubtful = detail.entry.state in (State.SENDING, State.UNKNOWN)
        reason = Reason.OUTCOME_UNDECIDABLE if doubtful else Reason.INTERNAL_ERROR
        await self._ledger.settle(claim, State.HELD, reason)

    def _outgoing(self, claim: Claim, decision: Decision) -> Outgoing:
        return outgoing(claim, decision, self._config.attachments, self._config.limits)

    async def _is_duplicate(self, claim: Claim, decision: Decision) -> bool:
        return await self._ledger.spool.duplicate_of(dedupe_key(claim, decision), claim.entry.id) is not None

    async def _send(self, claim: Claim, decision: Decision) -> None:
        to_ticket = self._outgoing(claim, decision).kind is Kind.POST
        if to_ticket and decision.attachments and self._config.attachments == "upload":
            claim, outcome = await self._uploading.upload(claim, decision, lambda: self._extend(claim))
            if outcome is not None:
                await self._upload_stopped(claim, decision, outcome)
                return
            await self._extend(claim)
        sent = self._outgoing(claim, decision)
        attempt = await self._ledger.intend(claim, sent.kind, sent.fingerprint, Point.INTENDING, Point.INTENDED)
        try:
            answer = await self._request(sent)
        except ApiError as error:
            self._ledger.checkpoint(Point.ANSWERED)
            await self._failed(claim, decision, sent, attempt, error)
            return
        self._ledger.checkpoint(Point.ANSWERED)
        self._gate.answered(answer)
        await self._answered(claim, decision, sent, attempt, answer)

    async def _extend(self, claim: Claim) -> None:
        await self._ledger.spool.extend(claim, LEASE_S)

    async def _request(self, sent: Outgoing) -> Answer:
        if sent.kind is Kind.CREATE:
            return await self._api.create(self._config.department, sent.subject, sent.text, sent.cc)
        return await self._api.post_message(sent.ticket, sent.text, encrypted=sent.encrypted)

    async def _answered(
        self, claim: Claim, decision: Decision, sent: Outgoing, attempt: Attempt, answer: Answer
    ) -> None:
        """A 201. When it does not say what the contract promises, it is looked for before it is called delivered."""
        made = str(answer.body.get("id") or "")
        if sent.kind is Kind.CREATE:
            known = is_public_id(made)
        else:
            known = made.startswith("tmsg_") and answer.body.get("ticketId") in (sent.ticket, None)
        if not known:
            error = UnknownOutcome("201, but it names no message", status=201, request_id=answer.request_id)
            await self._take(claim, attempt, error, Outcome.UNKNOWN)
            return
        result = AttemptResult(Outcome.DELIVERED, answer.status, request_id=answer.request_id, message_id=made)
        await self._delivered(claim, decision, attempt, result)

    async def _delivered(self, claim: Claim, decision: Decision, attempt: Attempt, result: AttemptResult) -> None:
        """It is there: settle, and remember what that teaches. After an announcement the words are still to follow."""
        lane = result.message_id if attempt.kind is Kind.CREATE else None
        key = dedupe_key(claim, decision)
        if lane and self._outgoing(claim, decision).announces:
            await self._ledger.settle(
                *(claim, State.READY, Reason.WAITING, attempt, result), counted=False, lane=lane, dedupe_key=key
            )
            return
        reference = decision.reference
        certain = claim.entry.released or (reference is not None and reference.unguessable)
        await self._ledger.settle(
            *(claim, State.DELIVERED, Reason.DELIVERED, attempt, result),
            lane=lane,
            dedupe_key=key,
            remember_sender=certain,
        )

    async def _failed(
        self, claim: Claim, decision: Decision, sent: Outgoing, attempt: Attempt, error: ApiError
    ) -> None:
        """What an unsuccessful request leads to: the outcome table."""
        outcome = self._gate.failed(error, claim.entry.lane)
        before = sum(item.outcome == Outcome.WRONG_URL for item in claim.attempts)
        if outcome is Outcome.WRONG_URL and before >= WRONG_URL_TRIES:
            outcome = Outcome.UNEXPECTED
        if self._ledger.step(outcome, claim).act is Act.EXAMINE:
            claim = await self._ledger.finish(claim, attempt, result_of(error, outcome), Point.EXAMINING)
            await self._examining.examine(claim, decision, outcome, sent)
        else:
            await self._take(claim, attempt, error, outcome)

    async def _upload_stopped(self, claim: Claim, decision: Decision, outcome: Outcome) -> None:
        step = self._ledger.step(outcome, claim)
        if step.act is Act.EXAMINE:
            await self._examining.examine(claim, decision, outcome, None)
        else:
            # No message was sent: there is nothing to look for.
            act = Act.WAIT if step.act is Act.CHECK else step.act
            await self._ledger.take(replace(step, act=act), claim, None, None)

    async def _take(self, claim: Claim, attempt: Attempt, error: ApiError, outcome: Outcome) -> None:
        await self._ledger.take(self._ledger.step(outcome, claim), claim, attempt, result_of(error, outcome))
