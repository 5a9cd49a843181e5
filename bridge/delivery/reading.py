"""The stage before delivery: ``received`` entries are read, decided, and put where they belong (design §2).

Promises: a mail that breaks its reader is held with its raw bytes; nothing else is touched by it. What cannot be
decided now (the API does not say which ticket a number is) stays ``received`` and is tried again. Fails with
``SpoolError`` only when the spool does; claims then lapse with their leases and are taken up again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from bridge import pipeline
from bridge.delivery.giving_back import BUSY_S, give_back
from bridge.delivery.lease import LEASE_S, kept
from bridge.delivery.outgoing import lane_of_new
from bridge.delivery.points import Checkpoint, Point, nothing
from bridge.delivery.resolver import Resolver
from bridge.errors import SpoolBroken, SpoolError, StaleToken, UnreadableMail
from bridge.isolation import Isolation
from bridge.model import Decision, Envelope, InboundMail, Verdict
from bridge.reasons import Reason
from bridge.spool.api import Claim, ContextQuery, Spool, State

LARGE_BYTES = 2 * 1024 * 1024
"""Mails from this size on are read one at a time: each stands in memory several times on its way to a worker."""
IN_HAND = 8
"""Entries in hand for each worker process, so that none of them waits for a lookup."""
RESOLVE_DELAYS_S = (5.0, 30.0, 120.0, 600.0)

_STATES = {"hold": State.HELD, "record": State.RECORDED, "discard": State.DISCARDED}
_ASK_AGAIN = frozenset({Reason.REPLY, Reason.SENDER_NOT_KNOWN, Reason.CONFLICTING_REFERENCES})
"""Verdicts that the public id behind a number could change."""


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """Plain values for the stage."""

    policy: pipeline.Policy
    shadow: bool = False
    """Record what would be posted instead of making it ready."""
    concurrency: int = 2
    """Worker processes."""
    idle_s: float = 5.0
    """How often to look for mail when nothing says that there is some."""


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
        checkpoint: Checkpoint = nothing,
    ) -> None:
        """``addressed`` matches an envelope recipient; it holds the address keys, which no worker sees."""
        self._spool = spool
        self._isolation = isolation
        self._resolver = resolver
        self._config = config
        self._addressed = addressed
        self._clock = clock
        self._log = log
        self._checkpoint = checkpoint
        self._busy = 0
        self._freed = asyncio.Event()
        self._large = asyncio.Lock()
        self._stopping = False

    async def run(self) -> None:
        """Until ``stop``; ends after the mails in hand are decided. Raises ``SpoolError`` when the spool broke."""
        slots = self._config.concurrency * IN_HAND
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                if self._busy >= slots:
                    self._freed.clear()
                    await self._freed.wait()
                    continue
                claims = await self._claim(slots - self._busy)
                for claim in claims:
                    self._busy += 1
                    group.create_task(self._one(claim))
                if not claims:
                    await self._spool.wait(self._config.idle_s)

    async def _claim(self, free: int) -> Sequence[Claim]:
        try:
            return await self._spool.claim_received(free, LEASE_S)
        except SpoolError as error:
            if not error.temporary:
                raise
            self._log.warning("spool_busy", stage="reading")
            await asyncio.sleep(BUSY_S)
            return ()

    def adopt(self, policy: pipeline.Policy) -> None:
        """Decide by ``policy`` from the next mail on; those in hand keep theirs."""
        self._config = replace(self._config, policy=policy)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._freed.set()

    async def _one(self, claim: Claim) -> None:
        try:
            async with kept(self._spool, claim):
                await self._read_or_hold(claim)
        except StaleToken:
            self._log.warning("claim_lost", entry=claim.entry.id, stage="reading")
        except SpoolError as error:
            if not error.temporary:
                raise
            self._log.warning("spool_busy", entry=claim.entry.id, stage="reading")
            await give_back(self._spool, claim)
        finally:
            self._busy -= 1
            self._freed.set()

    async def _read_or_hold(self, claim: Claim) -> None:
        """What cannot be read is held; when it is the spool itself that is broken, holding fails too, and says so."""
        try:
            async with self._large if claim.entry.size >= LARGE_BYTES else nullcontext():
                await self._read(claim)
        except UnreadableMail as error:
            defect = error.defect
        except SpoolBroken:
            defect = "damaged"
        except SpoolError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one mail must not stop all others
            self._log.critical("internal_error", entry=claim.entry.id, stage="reading", exc_info=error)
            defect = type(error).__name__
        else:
            return
        self._log.error("unreadable", entry=claim.entry.id, defect=defect)
        await self._spool.unreadable(claim, defect)

    async def _read(self, claim: Claim) -> None:
        self._checkpoint(Point.READ_CLAIMED)
        mail = await self._isolation.read(await self._spool.raw(claim.entry.id))
        self._checkpoint(Point.READ)
        digest = pipeline.body_digest(mail)
        addressed = self._addressed(claim.entry.envelope)
        numbers: dict[str, str] = {}
        copied_on: frozenset[str] | None = None
        while True:
            decision = await self._decide(claim, mail, addressed, numbers, copied_on or frozenset(), digest)
            number = self._unresolved(decision, mail, addressed, numbers)
            if not number:
                if decision.verdict.reason is not Reason.SENDER_NOT_KNOWN or copied_on is not None:
                    break
                copied_on = await self._copied_on(decision, numbers)
                if copied_on is None:
                    await self._later(claim, counted=False)
                    return
                continue
            found = await self._resolver.resolve(number, claim.entry.attempts)
            if found.hold is not None:
                decision = replace(decision, verdict=Verdict("hold", found.hold))
                break
            if not found.ticket:
                await self._later(claim, counted=found.counted)
                return
            numbers[number] = found.ticket
        self._checkpoint(Point.DECIDED)
        await self._file(claim, decision, digest, numbers)
        self._checkpoint(Point.FILED)

    async def _copied_on(self, decision: Decision, numbers: Mapping[str, str]) -> frozenset[str] | None:
        """The ticket, when its ``ccEmails`` name the authenticated sender (design §8); None: ask again later."""
        if decision.reference is None or decision.sender is None:
            return frozenset()
        ticket = numbers.get(decision.reference.ticket, decision.reference.ticket)
        copied = await self._resolver.copied(ticket)
        if copied is None:
            return None
        return frozenset({ticket}) if decision.sender.address.lower() in copied else frozenset()

    async def _decide(
        self,
        claim: Claim,
        mail: InboundMail,
        addressed: pipeline.Addressed,
        numbers: dict[str, str],
        copied_on: frozenset[str],
        digest: str,
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
                body_digest=digest,
                entry_id=entry.id,
            )
        )
        context = replace(
            context,
            numbers=numbers,
            override=entry.override,
            released=entry.released,
            known_sender_of=context.known_sender_of | copied_on,
        )
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

    async def _later(self, claim: Claim, *, counted: bool) -> None:
        delay = RESOLVE_DELAYS_S[min(claim.entry.attempts, len(RESOLVE_DELAYS_S) - 1)]
        self._log.warning("resolve_later", entry=claim.entry.id, retry_in_s=delay)
        await self._spool.defer(claim, self._clock() + delay, counted=counted)

    async def _file(self, claim: Claim, decision: Decision, digest: str, numbers: Mapping[str, str]) -> None:
        action = decision.verdict.action
        if action in ("deliver", "create") and self._config.shadow and not claim.entry.released:
            decision = replace(decision, verdict=Verdict("record", Reason.SHADOW))
        lane = self._lane(claim, decision, action, numbers)
        state = _STATES.get(decision.verdict.action, State.READY)
        await self._spool.decided(claim, decision, state=state, lane=lane, body_digest=digest)
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
        return lane_of_new(claim, decision) if action == "create" else ""
