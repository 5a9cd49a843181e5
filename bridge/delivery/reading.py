"""The stage before delivery: ``received`` entries are read, decided, and put where they belong (design §2).

Promises: a mail that breaks its reader is held with its raw bytes; nothing else is touched by it. What cannot be
decided now (the API does not say which ticket a number is) stays ``received`` and is tried again. Fails with
``SpoolError`` only when the spool does; claims then lapse with their leases and are taken up again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from bridge import pipeline
from bridge.errors import ApiError, Problem, SpoolError, StaleToken, UnreadableMail
from bridge.isolation import Isolation
from bridge.model import Decision, Envelope, InboundMail, Verdict
from bridge.reasons import Reason
from bridge.spool.api import Claim, ContextQuery, Spool, State

LEASE_S = 300.0
"""How long one entry may be in hand: two tries of the reader and as many lookups fit in."""
IDLE_S = 5.0
GIVE_UP_AFTER = 3
"""Lookups of a number that fail, other than for want of the API, before the entry is held."""
RESOLVE_DELAYS_S = (5.0, 30.0, 120.0, 600.0)

_STATES = {"hold": State.HELD, "record": State.RECORDED, "discard": State.DISCARDED}
_ASK_AGAIN = frozenset({Reason.REPLY, Reason.SENDER_NOT_KNOWN, Reason.CONFLICTING_REFERENCES})
"""Verdicts that the public id behind a number could change."""


class Resolver(Protocol):
    """Finds the public id of a ticket number."""

    async def resolve(self, number: str) -> str:
        """The public id. Raises ``ApiError`` when the API does not say it."""


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """Plain values for the stage."""

    policy: pipeline.Policy
    shadow: bool = False
    """Record what would be posted instead of making it ready."""
    concurrency: int = 2
    """Worker processes; twice as many entries are in hand, so that none of them waits for a lookup."""


class Reading:
    """Reads what was received until it is told to stop."""

    def __init__(
        self,
        spool: Spool,
        isolation: Isolation,
        resolver: Resolver,
        config: ReadingConfig,
        addressed: Callable[[Envelope], pipeline.Addressed],
        *,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """``addressed`` matches an envelope recipient; it holds the address keys, which no worker sees."""
        self._spool = spool
        self._isolation = isolation
        self._resolver = resolver
        self._config = config
        self._addressed = addressed
        self._clock = clock
        self._log = log
        self._stopping = False

    async def run(self) -> None:
        """Until ``stop``; ends after the mails in hand are decided."""
        slots = self._config.concurrency * 2
        free = asyncio.Semaphore(slots)
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                await free.acquire()
                claims = await self._spool.claim_received(1, LEASE_S)
                if not claims:
                    free.release()
                    await self._spool.wait(IDLE_S)
                    continue
                task = group.create_task(self._one(claims[0]))
                task.add_done_callback(lambda _: free.release())

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True

    async def _one(self, claim: Claim) -> None:
        try:
            await self._read(claim)
        except UnreadableMail as error:
            self._log.error("unreadable", entry=claim.entry.id, defect=error.defect)
            await self._spool.unreadable(claim, error.defect)
        except StaleToken:
            self._log.warning("claim_lost", entry=claim.entry.id, stage="reading")
        except SpoolError as error:
            if not error.temporary:
                raise
            self._log.warning("spool_busy", entry=claim.entry.id, stage="reading")

    async def _read(self, claim: Claim) -> None:
        mail = await self._isolation.read(await self._spool.raw(claim.entry.id))
        addressed = self._addressed(claim.entry.envelope)
        numbers: dict[str, str] = {}
        while True:
            decision = await self._decide(claim, mail, addressed, numbers)
            number = self._unresolved(decision, mail, addressed, numbers)
            if not number:
                break
            try:
                numbers[number] = await self._resolver.resolve(number)
            except ApiError as error:
                verdict = self._refused(claim, error)
                if verdict is None:
                    await self._later(claim, error)
                    return
                decision = replace(decision, verdict=verdict)
                break
        await self._file(claim, decision, mail, numbers)

    async def _decide(
        self, claim: Claim, mail: InboundMail, addressed: pipeline.Addressed, numbers: dict[str, str]
    ) -> Decision:
        entry = claim.entry
        named = [entry.override] if entry.override else list(pipeline.named_tickets(mail, addressed))
        for number in named:
            if number.isdigit() and number not in numbers:
                known = await self._spool.ticket_of(number)
                if known:
                    numbers[number] = known
        context = await self._spool.context(
            ContextQuery(
                message_ids=(*mail.in_reply_to, *mail.references),
                sender=mail.from_[0].address.lower() if mail.from_ else entry.envelope.mail_from.lower(),
                tickets=tuple(dict.fromkeys([*named, *(numbers[n] for n in named if n in numbers)])),
                body_digest=pipeline.body_digest(mail),
                entry_id=entry.id,
            )
        )
        context = replace(context, numbers=numbers, override=entry.override, released=entry.released)
        return await self._isolation.decide(mail, entry.envelope, addressed, self._config.policy, context)

    @staticmethod
    def _unresolved(
        decision: Decision, mail: InboundMail, addressed: pipeline.Addressed, numbers: Mapping[str, str]
    ) -> str:
        """The next number to look up before the verdict can stand, or empty."""
        if decision.verdict.reason not in _ASK_AGAIN:
            return ""
        if decision.reference is not None:
            ticket = decision.reference.ticket
            return ticket if ticket.isdigit() and ticket not in numbers else ""
        named = pipeline.named_tickets(mail, addressed)
        return next((number for number in named if number.isdigit() and number not in numbers), "")

    def _refused(self, claim: Claim, error: ApiError) -> Verdict | None:
        """The verdict when the API will not say which ticket it is; None when it may say so later."""
        if isinstance(error, Problem) and error.is_problem:
            if error.status == 404:
                return Verdict("hold", Reason.TICKET_NOT_FOUND)
            if error.status not in (401, 403, 429) and claim.entry.attempts + 1 >= GIVE_UP_AFTER:
                return Verdict("hold", Reason.TICKET_UNRESOLVED)
        return None

    async def _later(self, claim: Claim, error: ApiError) -> None:
        counted = isinstance(error, Problem) and error.status not in (401, 403, 429)
        delay = RESOLVE_DELAYS_S[min(claim.entry.attempts, len(RESOLVE_DELAYS_S) - 1)]
        self._log.warning("resolve_failed", entry=claim.entry.id, error=type(error).__name__, retry_in_s=delay)
        await self._spool.defer(claim, self._clock() + delay, counted=counted)

    async def _file(self, claim: Claim, decision: Decision, mail: InboundMail, numbers: Mapping[str, str]) -> None:
        action = decision.verdict.action
        if action in ("deliver", "create") and self._config.shadow:
            decision = replace(decision, verdict=Verdict("record", Reason.SHADOW))
        lane = self._lane(claim, decision, action, numbers)
        state = _STATES.get(decision.verdict.action, State.READY)
        await self._spool.decided(claim, decision, state=state, lane=lane, body_digest=pipeline.body_digest(mail))
        self._log.info(
            "decided",
            entry=claim.entry.id,
            state=str(state),
            reason=str(decision.verdict.reason),
            ticket=lane,
            message_digest=hashlib.sha256(decision.message_id.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            mail_class=str(decision.mail_class),
            encrypted=decision.encrypted,
            rules=sorted({finding.rule for finding in decision.findings}),
            defects=list(decision.defects),
        )

    @staticmethod
    def _lane(claim: Claim, decision: Decision, action: str, numbers: Mapping[str, str]) -> str:
        if decision.reference is not None:
            ticket = decision.reference.ticket
            return numbers.get(ticket, "") if ticket.isdigit() else ticket
        return f"new:{claim.entry.id}" if action == "create" else ""
