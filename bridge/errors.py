"""Every error that the bridge raises on purpose, in one tree.

::

    BridgeError
     +-- ConfigurationError        a setting, a file named by one, or a rule file is wrong: exit 78
     +-- SpoolError                the spool cannot do what was asked; nothing was changed
     |    +-- SpoolBusy            temporary: another process holds the lock too long, or the disk is short
     |    +-- SpoolFull            temporary: past the high-water mark, or no space left
     |    +-- SpoolBroken          permanent until a person acts: corrupt, read-only, or a newer schema
     |    +-- StaleToken           the claim was lost: another worker owns the entry now
     |    +-- UnknownEntry         there is no such entry
     |    +-- WrongState           the entry is not in a state that allows the action
     +-- MailError
     |    +-- UnreadableMail       the mail broke its reader, or its reader's limits
     +-- ApiError                  an exchange with the ticket API that did not end in success
          +-- NotSent              the request cannot have reached the API: safe to repeat
          +-- UnknownOutcome       it may have been applied: look before repeating
          +-- Problem              the API answered, and said no (RFC 9457)

``temporary`` tells whether the same call may succeed later without anybody's help. ``str(error)`` is fit for a log
and for an operator: it never carries a customer's words or a secret. What a client on the wire is told is
decided by the caller, in generic text.
"""

from __future__ import annotations

from typing import ClassVar


class BridgeError(Exception):
    """The root. Raised as itself by nobody."""

    temporary: ClassVar[bool] = False


class ConfigurationError(BridgeError):
    """What the operator configured cannot work. Commands end with exit code 78 (``EX_CONFIG`` of sysexits.h)."""


class SpoolError(BridgeError):
    """The spool could not do what was asked; nothing was changed."""


class SpoolBusy(SpoolError):
    """The spool is locked or waits for its disk; the same call may succeed later."""

    temporary = True


class SpoolFull(SpoolError):
    """The spool is past its high-water mark, or its disk is; the same call may succeed later."""

    temporary = True


class SpoolBroken(SpoolError):
    """The spool is damaged, read-only, or of a newer schema: a person must act."""


class StaleToken(SpoolError):
    """The fencing token is not the entry's newest: another worker took the entry over."""


class UnknownEntry(SpoolError):
    """No entry has this id."""


class WrongState(SpoolError):
    """The entry's state does not allow the action."""


class MailError(BridgeError):
    """A mail could not be handled."""


class UnreadableMail(MailError):
    """The mail broke its reader or went past the reader's limits; it is kept whole and held."""

    def __init__(self, defect: str) -> None:
        """``defect`` names what happened (``timeout``, ``memory``, ``crash``, an exception's class name)."""
        super().__init__(defect)
        self.defect = defect

    def __str__(self) -> str:
        """For a log and for an operator."""
        return f"the mail could not be read: {self.defect}"


class ApiError(BridgeError):
    """An exchange with the ticket API that did not end in success."""


class NotSent(ApiError):
    """The request cannot have reached the API (refused, DNS, connect, TLS): repeating it cannot post twice."""

    temporary = True

    def __init__(self, cause: str, *, certificate: bool = False) -> None:
        """``cause`` says what failed; ``certificate`` is true when the API's certificate was not accepted."""
        super().__init__(cause)
        self.cause = cause
        self.certificate = certificate


class UnknownOutcome(ApiError):
    """The request may have been applied although no usable answer came: look before repeating it."""

    temporary = True

    def __init__(self, cause: str, *, status: int | None = None, request_id: str = "") -> None:
        """``cause`` says what failed; ``status`` is the HTTP status when one was read."""
        super().__init__(cause)
        self.cause = cause
        self.status = status
        self.request_id = request_id


class Problem(ApiError):
    """The API refused, with an RFC 9457 problem document or as much of one as could be read."""

    def __init__(
        self,
        status: int,
        *,
        code: str = "",
        detail: str = "",
        errors: tuple[tuple[str, str], ...] = (),
        request_id: str = "",
        retry_after_s: float | None = None,
        is_problem: bool = True,
    ) -> None:
        """``errors`` are (pointer, detail) pairs; ``is_problem`` is false when the body was no problem document."""
        super().__init__(
            f"the ticket API answered {status}{' ' + code if code else ''}{': ' + detail if detail else ''}"
        )
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.is_problem = is_problem
