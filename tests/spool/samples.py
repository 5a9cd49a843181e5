"""Mails, decisions and a clock for the spool's tests."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model import Address, Attachment, Authentication, Decision, Envelope, Finding, Reference, Reply, Verdict
from bridge.reasons import MailClass, Reason
from bridge.spool.api import AttemptResult, NewMail, Settlement, State

DAY = 86_400.0


@dataclass
class Clock:
    """A clock that moves when told."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def lane(number: int) -> str:
    """A ticket's public id."""
    return f"tkt_{number:026d}"


def mail(*recipients: str, raw: bytes = b"Subject: x\r\n\r\nhello\r\n", hints: tuple[str, ...] = ()) -> NewMail:
    """A mail to these recipients (one by default)."""
    to = recipients or ("support@example.com",)
    envelopes = tuple(Envelope("Anna@Example.org", recipient, received_at=1.5, helo="mx") for recipient in to)
    return NewMail(raw, envelopes, hints or ("",) * len(to))


def decision(
    *, action: str = "deliver", reason: Reason = Reason.REPLY, message_id: str = "m1@example.org", text: str = "hello"
) -> Decision:
    """A decision with something in every member."""
    return Decision(
        verdict=Verdict(action, reason),
        reference=Reference(lane(1), "address", unguessable=True),
        mail_class=MailClass.HUMAN,
        class_reason="",
        sender=Address("Anna", "Anna@Example.org"),
        authentication=Authentication("unknown", "no results"),
        subject="Secret subject",
        message=text,
        reply=Reply(text, "", (), 0.9),
        encrypted=False,
        findings=(Finding("iban", "certain", 'attachment "account of Anna.txt"'),),
        attachments=(Attachment("2", "account of Anna.txt", "text/plain", 3, "00", text="abc"),),
        defects=("missing_date",),
        message_id=message_id,
        cc=("bo@example.org",),
        notes=("a note",),
    )


def delivered(attempt: int | None = None, *, message: str = "tmsg_1", dedupe: str = "", **extra: object) -> Settlement:
    """A delivery that went well."""
    result = None if attempt is None else AttemptResult("delivered", status=201, message_id=message)
    return Settlement(
        State.DELIVERED,
        Reason.DELIVERED,
        attempt=attempt,
        result=result,
        dedupe_key=dedupe,
        **extra,  # type: ignore[arg-type]  # members of Settlement, given by name
    )
