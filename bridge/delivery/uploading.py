"""Sends attachments one by one, each with an intent of its own, right before the message (design §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import BinaryIO

from bridge.delivery import uploads
from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate
from bridge.delivery.ledger import Ledger, result_of
from bridge.delivery.outcome import Outcome
from bridge.delivery.points import Point
from bridge.errors import ApiError, SpoolBroken, UnreadableMail
from bridge.model import Attachment, Decision
from bridge.spool.api import AttemptResult, Claim, Kind


class Uploading:
    """Uploads what is still to be."""

    def __init__(
        self,
        ledger: Ledger,
        api: TicketApi,
        gate: Gate,
        limits: uploads.Limits,
        attachment: Callable[[bytes, str], Awaitable[BinaryIO]],
    ) -> None:
        """``attachment`` gives one part of a raw mail, as a file that is closed here."""
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._limits = limits
        self._attachment = attachment

    async def upload(
        self, claim: Claim, decision: Decision, extend: Callable[[], Awaitable[None]]
    ) -> tuple[Claim, Outcome | None]:
        """The claim with its new attempts, and the outcome that keeps the message back if there was one.

        ``extend`` prolongs the lease; it is called before each request.
        """
        raw: bytes | None = None
        while pending := self._pending(claim, decision):
            raw = await self._raw(claim) if raw is None else raw
            await extend()
            item = pending[0]
            claim, outcome = await self._one(claim, item, raw)
            if outcome is not None and uploads.stops(outcome, pending=item in self._pending(claim, decision)):
                return claim, outcome
        return claim, None

    async def _raw(self, claim: Claim) -> bytes:
        """The mail; empty when it is damaged, which must not stop its words: nothing is found in it then."""
        try:
            return await self._ledger.spool.raw(claim.entry.id)
        except SpoolBroken:
            return b""

    def _pending(self, claim: Claim, decision: Decision) -> list[Attachment]:
        return uploads.todo(decision.attachments, uploads.on(claim.entry.lane, claim.attempts), self._limits)

    async def _one(self, claim: Claim, item: Attachment, raw: bytes) -> tuple[Claim, Outcome | None]:
        attempt = await self._ledger.intend(claim, Kind.UPLOAD, item.digest, None, Point.UPLOAD_INTENDED)
        outcome: Outcome | None = None
        try:
            with await self._attachment(raw, item.path) as file:
                answer = await self._api.upload(claim.entry.lane, item.name, item.content_type, file)
            self._gate.answered(answer)
            made = str(answer.body.get("attachmentId") or "")
            result = AttemptResult(Outcome.DELIVERED, answer.status, request_id=answer.request_id, message_id=made)
        except (KeyError, UnreadableMail):
            result = AttemptResult(uploads.MISSING)
        except ApiError as error:
            outcome = self._gate.failed(error, claim.entry.lane)
            result = result_of(error, outcome)
        self._ledger.checkpoint(Point.UPLOADED)
        return await self._ledger.finish(claim, attempt, result, Point.UPLOAD_SETTLED), outcome
