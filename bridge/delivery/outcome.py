"""What an answer of the ticket API means (design §6, docs/delivery.md). Pure."""

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


def classify(error: ApiError) -> Outcome:
    """The outcome that an error of the client stands for."""
    if isinstance(error, NotSent):
        return Outcome.CERTIFICATE if error.certificate else Outcome.NOT_SENT
    if isinstance(error, UnknownOutcome):
        return Outcome.UNKNOWN
    if isinstance(error, Problem):
        return of_status(error.status, is_problem=error.is_problem, code=error.code)
    return Outcome.UNEXPECTED


def of_status(status: int, *, is_problem: bool, code: str) -> Outcome:
    """The outcome of a status that is not the success of its operation."""
    if status >= 500:
        return Outcome.UNKNOWN
    if status == 401 or code == "account_inactive":
        return Outcome.KEY_REFUSED
    if status == 404:
        return Outcome.NOT_FOUND if is_problem else Outcome.WRONG_URL
    by_status = {
        400: Outcome.MAYBE_CLOSED,
        403: Outcome.FORBIDDEN,
        409: Outcome.MAYBE_CLOSED,
        413: Outcome.TOO_LARGE,
        422: Outcome.REFUSED,
        429: Outcome.RATE_LIMITED,
    }
    return by_status.get(status, Outcome.UNEXPECTED)
