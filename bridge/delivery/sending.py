"""One entry's way to its ticket: uploads, the intent, the request, and what its outcome leads to (docs/delivery.md).

Promises: an intent is on disk before its request leaves; what may have been applied is looked for before it is sent
again; what cannot be decided is held. Whatever the API answers, the entry ends in a state that the table names.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from structlog.typing import FilteringBoundLogger

from bridge.delivery import schedule, uploads
from bridge.delivery.client import Answer, TicketApi
from bridge.delivery.gate import Gate
from bridge.delivery.outcome import Outcome
from bridge.delivery.reconcile import Found, Look, message_on, tickets_like
from bridge.delivery.resolver import staff_texts
from bridge.errors import ApiError, Problem, UnknownOutcome, UnreadableMail
from bridge.model import Attachment, Decision
from bridge.reasons import Reason
from bridge.reference import is_public_id
from bridge.spool.api import Attempt, AttemptResult, Claim, Kind, Settlement, Spool, State

REOPEN_AGAIN_S = 3600.0
_HELD = {
    Outcome.NOT_FOUND: Reason.TICKET_NOT_FOUND,
    Outcome.REFUSED: Reason.REFUSED_BY_API,
    Outcome.TOO_LARGE: Reason.TOO_LARGE_FOR_API,
    Outcome.UNEXPECTED: Reason.UNEXPECTED_ANSWER,
}
_WAITS_FOR_THE_GATE = frozenset({Outcome.RATE_LIMITED, Outcome.KEY_REFUSED, Outcome.CERTIFICATE, Outcome.WRONG_URL})


@dataclass(frozen=True, slots=True)
class SendingConfig:
    """Plain values for delivery."""

    closed_tickets: str = "reopen"
    attachments: str = "upload"
    limits: uploads.Limits = field(default_factory=lambda: uploads.Limits(25_000_000, 20))
    department: str = ""


def nothing(_name: str) -> None:
    """The checkpoint that the running bridge has; tests put a kill here."""


class Sending:
    """Sends claimed entries; shared by all workers."""

    def __init__(
        self,
        spool: Spool,
        api: TicketApi,
        gate: Gate,
        config: SendingConfig,
        *,
        clock: Callable[[], float],
        chance: random.Random,
        log: FilteringBoundLogger,
        attachment: Callable[[bytes, str], Awaitable[bytes]],
        checkpoint: Callable[[str], None] = nothing,
    ) -> None:
        """``attachment`` gives the bytes of one part of a raw mail, read where hostile bytes may do no harm.

        ``checkpoint`` is called with a name at every step that a crash must survive.
        """
        self._spool = spool
        self._api = api
        self._gate = gate
        self._config = config
        self._clock = clock
        self._chance = chance
        self._log = log
        self._attachment = attachment
        self._checkpoint = checkpoint

    async def send(self, claim: Claim) -> None:
        """Take a claimed entry one step on; gives the claim back."""
        self._checkpoint("claimed")
        entry, decision = claim.entry, claim.decision
        if decision is None:
            await self._settle(claim, State.HELD, Reason.UNREADABLE)
        elif schedule.too_old(entry.accepted_at, entry.paused_s, self._clock()):
            await self._settle(claim, State.HELD, Reason.TOO_OLD)
        elif entry.state is State.UNKNOWN:
            await self._look(claim, decision)
        elif entry.lane.startswith("new:"):
            await self._create(claim, decision)
        else:
            await self._reply(claim, decision)

    async def _reply(self, claim: Claim, decision: Decision) -> None:
        ticket = claim.entry.lane
        text = self._text(claim, decision)
        key = dedupe_key(claim, decision)
        if await self._spool.duplicate_of(key, claim.entry.id):
            await self._settle(claim, State.RECORDED, Reason.DUPLICATE)
            return
        if self._config.attachments == "upload":
            claim, error = await self._upload(claim, decision)
            if error is not None:
                await self._failed(claim, None, error)
                return
            text = self._text(claim, decision)
        attempt = await self._intend(claim, Kind.POST, fingerprint(text, encrypted=decision.encrypted))
        try:
            answer = await self._api.post_message(ticket, text, encrypted=decision.encrypted)
        except ApiError as error:
            self._checkpoint("answered")
            await self._failed(claim, attempt, error)
            return
        self._checkpoint("answered")
        self._gate.answered(answer)
        message_id = str(answer.body.get("id") or "")
        if not message_id.startswith("tmsg_") or answer.body.get("ticketId") not in (ticket, None):
            # Applied, as far as 201 tells, but not what we know: look before it is called delivered.
            await self._unknown(claim, attempt, UnknownOutcome("201 with an unreadable body", status=201))
            return
        await self._delivered(claim, decision, attempt, answer, message_id)

    async def _create(self, claim: Claim, decision: Decision) -> None:
        text = self._text(claim, decision)
        attempt = await self._intend(claim, Kind.CREATE, fingerprint(text, encrypted=False))
        subject = decision.subject.strip() or "(no subject)"
        try:
            answer = await self._api.create(self._config.department, subject, text, decision.cc)
        except ApiError as error:
            self._checkpoint("answered")
            await self._failed(claim, attempt, error)
            return
        self._checkpoint("answered")
        self._gate.answered(answer)
        ticket = str(answer.body.get("id") or "")
        if not is_public_id(ticket):
            await self._unknown(claim, attempt, UnknownOutcome("201 with an unreadable body", status=201))
            return
        await self._delivered(claim, decision, attempt, answer, ticket, lane=ticket)

    async def _intend(self, claim: Claim, kind: Kind, digest: str) -> Attempt:
        self._checkpoint("before_intent")
        attempt = await self._spool.intend(claim, kind, digest)
        self._checkpoint("intended")
        return attempt

    def _text(self, claim: Claim, decision: Decision) -> str:
        """What is sent: the decided message, and lines for attachments that could not be added."""
        new_ticket = claim.entry.lane.startswith("new:")
        if self._config.attachments != "upload":
            return decision.message
        lines = uploads.failures(decision.attachments, claim.attempts, self._config.limits, new_ticket=new_ticket)
        return uploads.with_failures(decision.message, lines)

    async def _upload(self, claim: Claim, decision: Decision) -> tuple[Claim, ApiError | None]:
        """Upload what is still to be; the claim with its new attempts, and an error that stops everything."""
        pending = uploads.todo(decision.attachments, claim.attempts, self._config.limits)
        raw = await self._spool.raw(claim.entry.id) if pending else b""
        while pending:
            claim, error = await self._one_upload(claim, pending[0], raw)
            if error is not None:
                return claim, error
            pending = uploads.todo(decision.attachments, claim.attempts, self._config.limits)
        return claim, None

    async def _one_upload(self, claim: Claim, item: Attachment, raw: bytes) -> tuple[Claim, ApiError | None]:
        attempt = await self._spool.intend(claim, Kind.UPLOAD, item.digest)
        self._checkpoint("upload_intended")
        stop: ApiError | None = None
        try:
            data = await self._attachment(raw, item.path)
            answer = await self._api.upload(claim.entry.lane, item.name, item.content_type, data)
            self._gate.answered(answer)
            result = AttemptResult(
                Outcome.DELIVERED, answer.status, message_id=str(answer.body.get("attachmentId") or "")
            )
        except (KeyError, UnreadableMail):
            result = AttemptResult("missing")
        except ApiError as error:
            outcome = self._gate.failed(error, claim.entry.lane)
            result = _result(error, outcome)
            refused = outcome in (Outcome.REFUSED, Outcome.MAYBE_CLOSED, Outcome.TOO_LARGE, Outcome.UNKNOWN)
            stop = None if refused else error
        await self._spool.finish(claim, attempt.number, result)
        done = replace(attempt, outcome=result.outcome, settled_at=self._clock())
        return replace(claim, attempts=(*claim.attempts, done)), stop

    async def _delivered(
        self, claim: Claim, decision: Decision, attempt: Attempt, answer: Answer, made: str, *, lane: str | None = None
    ) -> None:
        reference = decision.reference
        certain = claim.entry.released or (reference is not None and reference.unguessable)
        settlement = Settlement(
            State.DELIVERED,
            Reason.DELIVERED,
            attempt=attempt.number,
            result=AttemptResult(Outcome.DELIVERED, answer.status, request_id=answer.request_id, message_id=made),
            lane=lane,
            dedupe_key=dedupe_key(claim, decision) if lane is None else "",
            remember_sender=certain,
        )
        await self._spool.settle(claim, settlement)
        self._checkpoint("settled")
        self._say(claim, "delivered", request_id=answer.request_id, message=made)

    async def _failed(self, claim: Claim, attempt: Attempt | None, error: ApiError) -> None:
        """What an unsuccessful request leads to: the outcome table."""
        outcome = self._gate.failed(error, claim.entry.lane)
        result = _result(error, outcome)
        number = attempt.number if attempt else None
        if outcome is Outcome.UNKNOWN and attempt is not None:
            await self._unknown(claim, attempt, error)
        elif outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
            at = self._clock() + schedule.backoff(claim.entry.attempts, self._chance.random())
            await self._settle(claim, State.READY, Reason.RETRY, number, result, next_at=at)
        elif outcome in _WAITS_FOR_THE_GATE:
            await self._settle(claim, State.READY, Reason.PAUSED, number, result, counted=False)
        elif outcome in (Outcome.MAYBE_CLOSED, Outcome.FORBIDDEN):
            if number is not None:
                await self._spool.finish(claim, number, result)
            await self._refused(claim, outcome)
        else:
            await self._settle(claim, State.HELD, _HELD[outcome], number, result)

    async def _unknown(self, claim: Claim, attempt: Attempt, error: ApiError) -> None:
        now = self._clock()
        at = schedule.next_look(now, now) or now
        result = _result(error, Outcome.UNKNOWN)
        await self._settle(claim, State.UNKNOWN, Reason.RETRY, attempt.number, result, next_at=at)

    async def _refused(self, claim: Claim, outcome: Outcome) -> None:
        """A refusal that a closed ticket, or a key without rights, may explain: look, then decide."""
        if claim.entry.lane.startswith("new:"):
            await self._settle(claim, State.HELD, Reason.REFUSED_BY_API)
            return
        try:
            ticket = (await self._api.get_ticket(claim.entry.lane)).body
        except ApiError as error:
            await self._cannot_look(claim, error, outcome)
            return
        if ticket.get("status") != "closed":
            reason = Reason.TICKET_FORBIDDEN if outcome is Outcome.FORBIDDEN else Reason.REFUSED_BY_API
            await self._settle(claim, State.HELD, reason)
            return
        await self._spool.remember_texts(claim.entry.lane, staff_texts(ticket))
        reopened = await self._spool.last_reopened(claim.entry.lane)
        recently = reopened is not None and self._clock() - reopened < REOPEN_AGAIN_S
        if self._config.closed_tickets != "reopen" or recently:
            await self._settle(claim, State.HELD, Reason.TICKET_CLOSED)
            return
        await self._reopen(claim)

    async def _cannot_look(self, claim: Claim, error: ApiError, outcome: Outcome) -> None:
        seen = self._gate.failed(error, claim.entry.lane)
        if seen is Outcome.FORBIDDEN and outcome is Outcome.FORBIDDEN:
            try:
                await self._api.list_tickets()
            except Problem as again:
                if again.status in (401, 403):
                    self._gate.shut_for_key()
                    await self._settle(claim, State.READY, Reason.PAUSED, counted=False)
                    return
            except ApiError as again:
                self._gate.failed(again, claim.entry.lane)
        if seen in (Outcome.NOT_SENT, Outcome.UNKNOWN) or seen in _WAITS_FOR_THE_GATE:
            at = self._clock() + schedule.backoff(claim.entry.attempts, self._chance.random())
            await self._settle(claim, State.READY, Reason.RETRY, next_at=at)
            return
        reason = Reason.TICKET_FORBIDDEN if outcome is Outcome.FORBIDDEN else Reason.REFUSED_BY_API
        await self._settle(claim, State.HELD, reason)

    async def _reopen(self, claim: Claim) -> None:
        """Reopen once, confirm by the ticket's status, then the message is ready again."""
        attempt = await self._spool.intend(claim, Kind.REOPEN, "")
        self._checkpoint("reopen_intended")
        try:
            answer = await self._api.reopen(claim.entry.lane)
            result = AttemptResult(Outcome.DELIVERED, answer.status, request_id=answer.request_id)
        except ApiError as error:
            result = _result(error, self._gate.failed(error, claim.entry.lane))
        await self._spool.finish(claim, attempt.number, result)
        try:
            status = (await self._api.get_ticket(claim.entry.lane)).body.get("status")
        except ApiError as error:
            await self._cannot_look(claim, error, Outcome.MAYBE_CLOSED)
            return
        if status == "closed":
            await self._settle(claim, State.HELD, Reason.TICKET_CLOSED)
            return
        self._say(claim, "reopened", status=result.status)
        await self._settle(claim, State.READY, Reason.WAITING, counted=False)

    async def _look(self, claim: Claim, decision: Decision) -> None:
        """Look for what may have been posted (design §6, reconcile)."""
        attempt = next((a for a in reversed(claim.attempts) if a.kind in (Kind.POST, Kind.CREATE)), None)
        if attempt is None:
            await self._settle(claim, State.READY, Reason.WAITING, counted=False)
            return
        since = attempt.settled_at or attempt.intent_at
        try:
            look = await self._found(claim, decision, attempt, since)
        except ApiError as error:
            await self._cannot_reconcile(claim, error)
            return
        said = AttemptResult(
            f"reconciled_{look.found}", attempt.status, attempt.code, attempt.detail, message_id=look.id
        )
        if look.found is Found.OURS:
            answer = Answer(attempt.status, {}, attempt.request_id)
            lane = look.id if attempt.kind is Kind.CREATE else None
            await self._delivered(claim, decision, attempt, answer, look.id, lane=lane)
        elif look.found is Found.UNDECIDABLE:
            await self._settle(claim, State.HELD, Reason.OUTCOME_UNDECIDABLE, attempt.number, said)
        else:
            at = schedule.next_look(since, self._clock())
            if at is not None:
                await self._settle(claim, State.UNKNOWN, Reason.RETRY, next_at=at, counted=False)
            else:
                await self._settle(claim, State.READY, Reason.RETRY, attempt.number, said)

    async def _found(self, claim: Claim, decision: Decision, attempt: Attempt, since: float) -> Look:
        text = self._text(claim, decision)
        if attempt.kind is Kind.CREATE:
            return await self._found_ticket(decision, text, attempt, since)
        answer = await self._api.get_ticket(claim.entry.lane)
        self._gate.answered(answer)
        confirmed = await self._spool.confirmed_ids(claim.entry.lane)
        return message_on(
            answer.body,
            text,
            encrypted=decision.encrypted,
            since=attempt.intent_at,
            until=since,
            confirmed=confirmed,
        )

    async def _found_ticket(self, decision: Decision, text: str, attempt: Attempt, since: float) -> Look:
        """A ticket that we may have created: by subject and time, then by its text."""
        listing = await self._api.list_tickets(100)
        self._gate.answered(listing)
        subject = decision.subject.strip() or "(no subject)"
        for ticket in tickets_like(listing.body, subject, since=attempt.intent_at, until=since):
            opened = {**(await self._api.get_ticket(ticket)).body}
            first = {"id": ticket, "sender": "customer", "body": opened.get("body"), "encrypted": False}
            confirmed = frozenset({ticket}) if await self._spool.confirmed_ids(ticket) else frozenset[str]()
            look = message_on(
                {"messages": [first]},
                text,
                encrypted=False,
                since=attempt.intent_at,
                until=since,
                confirmed=confirmed,
            )
            if look.found is not Found.ABSENT:
                return look
        return Look(Found.ABSENT)

    async def _cannot_reconcile(self, claim: Claim, error: ApiError) -> None:
        outcome = self._gate.failed(error, claim.entry.lane)
        if outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN) or outcome in _WAITS_FOR_THE_GATE:
            at = self._clock() + schedule.backoff(min(claim.entry.attempts, 3), self._chance.random())
            await self._settle(claim, State.UNKNOWN, Reason.RETRY, next_at=at)
        else:
            await self._settle(claim, State.HELD, Reason.OUTCOME_UNDECIDABLE)

    async def _settle(
        self,
        claim: Claim,
        state: State,
        reason: Reason,
        attempt: int | None = None,
        result: AttemptResult | None = None,
        *,
        next_at: float = 0.0,
        counted: bool = True,
    ) -> None:
        await self._spool.settle(
            claim,
            Settlement(state, reason, attempt, result, next_at=next_at or self._clock(), counted=counted),
        )
        self._checkpoint("settled")
        self._say(
            claim,
            str(state),
            reason=str(reason),
            outcome=result.outcome if result else "",
            status=result.status if result else 0,
            code=result.code if result else "",
            request_id=result.request_id if result else "",
        )

    def _say(self, claim: Claim, event: str, **members: object) -> None:
        self._log.info(event, entry=claim.entry.id, ticket=claim.entry.lane, **members)


def _result(error: ApiError, outcome: Outcome) -> AttemptResult:
    if isinstance(error, Problem):
        pairs = "; ".join(f"{pointer}: {detail}" for pointer, detail in error.errors)
        detail = f"{error.detail} ({pairs})" if pairs else error.detail
        return AttemptResult(outcome, error.status, error.code, detail, error.request_id)
    return AttemptResult(outcome, getattr(error, "status", None) or 0, detail=str(error))


def fingerprint(text: str, *, encrypted: bool) -> str:
    """SHA-256 of what is sent, hex."""
    return hashlib.sha256(f"{int(encrypted)}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def dedupe_key(claim: Claim, decision: Decision) -> str:
    """Ticket, Message-ID (or the raw mail's digest), and digests of the posted text and of the attachments (§5)."""
    named = decision.message_id or claim.entry.digest
    parts = [claim.entry.lane, named, fingerprint(decision.message, encrypted=False)]
    parts += sorted(item.digest for item in decision.attachments)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
