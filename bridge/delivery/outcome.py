"""What an exchange with the ticket API means (design §6; the table stands in docs/delivery.md). Pure."""

from __future__ import annotations

from enum import StrEnum

from bridge.errors import ApiError, NotSent, Problem, UnknownOutcome


class Outcome(StrEnum):
    """The outcome of one request that changes something; the value stands in the ledger."""

    DELIVERED = "delivered"
    NOT_SENT = "not_sent"
    """It cannot have reached the API: repeating is safe."""
    CERTIFICATE = "certificate"
    """The API's certificate was not accepted: nothing was sent, and nothing will be."""
    UNKNOWN = "unknown"
    """It may have been applied: look before repeating."""
    RATE_LIMITED = "rate_limited"
    KEY_REFUSED = "key_refused"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    WRONG_URL = "wrong_url"
    """A 404 that is no problem document: this is not the API."""
    MAYBE_CLOSED = "maybe_closed"
    """A conflict, or a refusal that a closed ticket may explain: look at the ticket."""
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    UNEXPECTED = "unexpected"
    """Something that the contract does not know."""


class Phase(StrEnum):
    """How far an exchange came."""

    CONNECTING = "connecting"
    """No byte of the request was handed to the network."""
    SENT = "sent"
    """Some or all of the request may be there; no status was read."""
    ANSWERED = "answered"
    """A status was read."""


class Failure(StrEnum):
    """What ended an exchange before its answer was whole."""

    CERTIFICATE = "certificate"
    BROKEN = "broken"
    """A connection that could not be made, died, or carried something that is not HTTP."""
    TIMEOUT = "timeout"


_BY_STATUS = {
    400: Outcome.MAYBE_CLOSED,
    401: Outcome.KEY_REFUSED,
    403: Outcome.FORBIDDEN,
    409: Outcome.MAYBE_CLOSED,
    413: Outcome.TOO_LARGE,
    422: Outcome.REFUSED,
    429: Outcome.RATE_LIMITED,
}


def outcome_of(status: int | None, problem: Problem | None, failure: Failure | None, phase: Phase) -> Outcome:
    """The outcome of an exchange that was no plain success.

    ``status`` is the one that was read, ``problem`` what could be read of its document, ``failure`` what ended the
    exchange early. A success whose body cannot be read is given without a problem.
    """
    if phase is Phase.CONNECTING:
        return Outcome.CERTIFICATE if failure is Failure.CERTIFICATE else Outcome.NOT_SENT
    if status is None or status >= 500 or problem is None:
        # A refusal whose body broke off is also looked for: it costs one GET, and nothing is posted twice.
        return Outcome.UNKNOWN
    if problem.code == "account_inactive":
        return Outcome.KEY_REFUSED
    if status == 404:
        return Outcome.NOT_FOUND if problem.is_problem else Outcome.WRONG_URL
    return _BY_STATUS.get(status, Outcome.UNEXPECTED)


def classify(error: ApiError) -> Outcome:
    """The outcome that an error of the client stands for."""
    if isinstance(error, NotSent):
        failure = Failure.CERTIFICATE if error.certificate else Failure.BROKEN
        return outcome_of(None, None, failure, Phase.CONNECTING)
    if isinstance(error, UnknownOutcome):
        return outcome_of(error.status, None, Failure.BROKEN, Phase.ANSWERED if error.status else Phase.SENT)
    if isinstance(error, Problem):
        return outcome_of(error.status, error, None, Phase.ANSWERED)
    return Outcome.UNEXPECTED
