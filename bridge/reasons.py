"""The one table of reasons and mail classes: the code's names, the documentation's words.

A reason is stable: scripts, alerts and documentation may rely on it. ``docs/reasons.md`` is generated from here.
"""

from __future__ import annotations

from enum import StrEnum


class MailClass(StrEnum):
    """What kind of mail it is (design §8); the value's meaning stands in ``CLASSES``."""

    HUMAN = "human"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    REPORT = "report"
    BULK = "bulk"
    LIST = "list"
    LOOP = "loop"


CLASSES: dict[MailClass, str] = {
    MailClass.HUMAN: "Nothing says that a machine wrote it.",
    MailClass.AUTO_REPLY: "An out-of-office or other automatic answer (RFC 3834). Recorded, never posted.",
    MailClass.BOUNCE: "A delivery status notification or a mail server's complaint (RFC 3464). Recorded.",
    MailClass.REPORT: "A read receipt, an abuse or a DMARC report (multipart/report, RFC 6522). Recorded.",
    MailClass.BULK: "Bulk mail (Precedence: bulk, List-Unsubscribe). Posted only with an unguessable reference.",
    MailClass.LIST: "A mailing list's mail (List-Id, RFC 2919). Posted only with an unguessable reference.",
    MailClass.LOOP: "Carries our own loop marker, or 50 Received fields or more. Held, with an alarm.",
}


class Reason(StrEnum):
    """Why an entry is in its state; the value's meaning stands in ``REASONS``."""

    REPLY = "reply"
    NEW_TICKET = "new_ticket"
    NO_TICKET = "no_ticket"
    CONFLICTING_REFERENCES = "conflicting_references"
    BAD_REFERENCE = "bad_reference"
    BAD_SIGNATURE = "bad_signature"
    SENDER_NOT_AUTHENTICATED = "sender_not_authenticated"
    SENDER_NOT_KNOWN = "sender_not_known"
    EMPTY_REPLY = "empty_reply"
    UNREADABLE = "unreadable"
    LOOP = "loop"
    TOO_MANY = "too_many"
    REPEATED = "repeated"
    BULK = "bulk"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    REPORT = "report"
    SIBLING_HAS_TICKET = "sibling_has_ticket"
    POSTMASTER = "postmaster"
    DUPLICATE = "duplicate"
    TICKET_NOT_FOUND = "ticket_not_found"
    TICKET_FORBIDDEN = "ticket_forbidden"
    TICKET_CLOSED = "ticket_closed"
    TICKET_UNRESOLVED = "ticket_unresolved"
    REFUSED_BY_API = "refused_by_api"
    TOO_LARGE_FOR_API = "too_large_for_api"
    UNEXPECTED_ANSWER = "unexpected_answer"
    OUTCOME_UNDECIDABLE = "outcome_undecidable"
    INTERNAL_ERROR = "internal_error"
    TOO_OLD = "too_old"
    SHADOW = "shadow"
    DELIVERED = "delivered"
    WAITING = "waiting"
    PAUSED = "paused"
    RETRY = "retry"
    BY_OPERATOR = "by_operator"
    RETENTION = "retention"


REASONS: dict[Reason, str] = {
    Reason.REPLY: "The mail answers a ticket: it is posted as a reply.",
    Reason.NEW_TICKET: "The mail names no ticket and BRIDGE_NO_TICKET=create: it opens one.",
    Reason.NO_TICKET: "The mail names no ticket. Redirect it to one, or discard it.",
    Reason.CONFLICTING_REFERENCES: "Thread and subject, or two parts of the subject, name different tickets. "
    "Redirect it to the right one.",
    Reason.BAD_REFERENCE: "The plus-address holds something that is no ticket. Redirect or discard.",
    Reason.BAD_SIGNATURE: "The signed address does not verify, and BRIDGE_SIGNED_ADDRESSES=enforce.",
    Reason.SENDER_NOT_AUTHENTICATED: "The ticket's number can be guessed and the sender is not authenticated "
    "(BRIDGE_NUMBER_POLICY). Look at the mail; release it if it is genuine.",
    Reason.SENDER_NOT_KNOWN: "The sender was not seen on this ticket before, nor is in its ccEmails "
    "(BRIDGE_NUMBER_POLICY=known). A release remembers the pair.",
    Reason.EMPTY_REPLY: "Nothing was newly written and nothing is attached.",
    Reason.UNREADABLE: "The mail broke its reader or the reader's limits. The raw mail is whole: export it and look.",
    Reason.LOOP: "The mail went through this bridge before, or through too many hops. Find the loop first.",
    Reason.TOO_MANY: "More than 20 mails in 10 minutes from one sender to one ticket.",
    Reason.REPEATED: "Five equal mails within an hour from one sender to one ticket.",
    Reason.BULK: "Bulk or list mail without an unguessable reference.",
    Reason.AUTO_REPLY: "An automatic answer: kept and replayable, never posted.",
    Reason.BOUNCE: "A bounce: kept and replayable, never posted.",
    Reason.REPORT: "A report or receipt: kept and replayable, never posted.",
    Reason.SIBLING_HAS_TICKET: "Another recipient of the same mail named a ticket; this copy names none.",
    Reason.POSTMASTER: "Mail to postmaster: kept for a person.",
    Reason.DUPLICATE: "The same mail with the same text was already posted on this ticket.",
    Reason.TICKET_NOT_FOUND: "The API knows no such ticket, or the key may not see it.",
    Reason.TICKET_FORBIDDEN: "The key may not write on this ticket.",
    Reason.TICKET_CLOSED: "The ticket is closed and may not be (or could not be) reopened.",
    Reason.TICKET_UNRESOLVED: "The ticket's number could not be resolved to its id. Retry when the API is well.",
    Reason.REFUSED_BY_API: "The API refused the message (400 or 422); the attempt shows its code and detail.",
    Reason.TOO_LARGE_FOR_API: "The API said the message is too large (413).",
    Reason.UNEXPECTED_ANSWER: "The API answered something that its contract does not know. Look at the attempt.",
    Reason.OUTCOME_UNDECIDABLE: "It cannot be known whether the message was posted. Look at the ticket, "
    "then release or discard.",
    Reason.INTERNAL_ERROR: "The bridge itself failed at it; the log shows where. Nothing was sent. Retry after an "
    "update.",
    Reason.TOO_OLD: "Not deliverable within the days allowed.",
    Reason.SHADOW: "BRIDGE_MODE=shadow: what would have been posted is kept. `queue replay` posts it.",
    Reason.DELIVERED: "The API has it; the message id stands in the attempt.",
    Reason.WAITING: "Waits for its turn.",
    Reason.PAUSED: "Delivery is paused (key, certificate, rate limit or circuit).",
    Reason.RETRY: "The last attempt did not reach the API; it is tried again.",
    Reason.BY_OPERATOR: "A person decided.",
    Reason.RETENTION: "Held for longer than held mail is kept.",
}
