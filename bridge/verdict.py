"""The gates between a read mail and its ticket, in order: the first one that says something is the verdict (pure).

Design §8. A person's word (a redirect, a release) opens the gates that ask who may write and how often; it never makes
an automatic mail or an empty one go out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.model import Address, Authentication, Context, Reference, Verdict
from bridge.reasons import MailClass, Reason
from bridge.reference import authorise, back_stop

RECORDED = {
    MailClass.BOUNCE: Reason.BOUNCE,
    MailClass.REPORT: Reason.REPORT,
    MailClass.AUTO_REPLY: Reason.AUTO_REPLY,
}
"""Classes of automatic mail that are kept and never posted."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that the gates look at."""

    mail_class: MailClass
    unreadable: bool
    """Words of the mail were not seen: no reader survived it, or it went past a limit."""
    mailbox: str
    """The local part that the recipient names, without its tag."""
    problem: str
    """What is wrong with the recipient's tag (``AddressMatch.problem``) where that refuses; else empty."""
    reference: Reference | None
    conflict: bool
    """Thread and subject, or two parts of the subject, name different tickets."""
    sibling_has_ticket: bool
    sender: Address | None
    authentication: Authentication
    message: str
    """What would be posted."""
    number_policy: str
    allow_listed: bool
    no_ticket: str
    context: Context


def judge(case: Case) -> Verdict:
    """The verdict on a case: the first gate that stops it, else deliver or create."""
    for gate in _GATES:
        stopped = gate(case)
        if stopped is not None:
            return stopped
    return Verdict("deliver", Reason.REPLY) if case.reference else Verdict("create", Reason.NEW_TICKET)


def _hold(reason: Reason) -> Verdict:
    return Verdict("hold", reason)


def _unreadable(case: Case) -> Verdict | None:
    """A person who looked may release what was read of it; nothing was read of some."""
    looked_at = bool(case.context.override or case.context.released) and bool(case.message)
    return _hold(Reason.UNREADABLE) if case.unreadable and not looked_at else None


def _loop(case: Case) -> Verdict | None:
    return _hold(Reason.LOOP) if case.mail_class is MailClass.LOOP else None


def _automatic(case: Case) -> Verdict | None:
    reason = RECORDED.get(case.mail_class)
    return Verdict("record", reason) if reason else None


def _misaddressed(case: Case) -> Verdict | None:
    if case.context.override:
        return None
    if case.mailbox == "postmaster":
        return _hold(Reason.POSTMASTER)
    if case.problem == "malformed":
        return _hold(Reason.BAD_REFERENCE)
    if case.problem:
        return _hold(Reason.BAD_SIGNATURE)
    return _hold(Reason.CONFLICTING_REFERENCES) if case.conflict else None


def _unaddressed(case: Case) -> Verdict | None:
    if case.reference is not None:
        return None
    if case.sibling_has_ticket:
        return Verdict("record", Reason.SIBLING_HAS_TICKET)
    if case.mail_class in (MailClass.BULK, MailClass.LIST):
        return _hold(Reason.BULK)
    return None if case.no_ticket == "create" else _hold(Reason.NO_TICKET)


def _unauthorised(case: Case) -> Verdict | None:
    reference, context = case.reference, case.context
    if reference is None or context.override or context.released:
        return None
    if case.mail_class in (MailClass.BULK, MailClass.LIST) and not reference.unguessable:
        return _hold(Reason.BULK)
    ids = {reference.ticket, context.numbers.get(reference.ticket, reference.ticket)}
    reason = authorise(
        reference,
        case.authentication,
        number_policy=case.number_policy,
        known_sender=bool(ids & context.known_sender_of),
        allow_listed=case.allow_listed,
    )
    return _hold(reason) if reason else None


def _too_often(case: Case) -> Verdict | None:
    if case.context.override or case.context.released:
        return None
    reason = back_stop(case.context.recent_from_sender, case.context.equal_bodies)
    return _hold(reason) if reason else None


def _empty(case: Case) -> Verdict | None:
    return None if case.message else _hold(Reason.EMPTY_REPLY)


_GATES: tuple[Callable[[Case], Verdict | None], ...] = (
    _unreadable,
    _loop,
    _automatic,
    _misaddressed,
    _unaddressed,
    _unauthorised,
    _too_often,
    _empty,
)
