"""Refusals, as RFC 9457 problem documents with the members that the API contract adds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from bridge.sandbox.ids import iso

PROBLEM_JSON = "application/problem+json"
_TYPES = "https://cloud.hostup.se/problems/"

DEFAULT_CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "ticket_not_found",
    405: "method_not_allowed",
    409: "ticket_closed",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    500: "internal_error",
    502: "upstream_failed",
    503: "upstream_unavailable",
    504: "upstream_timeout",
}
"""The ``code`` that goes with a status when nothing more exact is known."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One entry of ``errors[]``: what is wrong with one member of the request."""

    pointer: str
    """A JSON pointer (RFC 6901) into the body, or ``/name`` for a query or form field."""
    detail: str
    code: str


class Refusal(Exception):
    """The API says no: ends the handling of a request with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        """``code`` is stable and ``detail`` is for people, as in the API contract."""
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


def invalid(*errors: FieldError) -> Refusal:
    """``400 invalid_request`` with its ``errors[]``."""
    return Refusal(400, "invalid_request", "The request did not pass validation; see errors.", errors=errors)


def ticket_not_found() -> Refusal:
    """``404``: no such ticket, or not the caller's; the two are not told apart (API contract, section 1)."""
    return Refusal(404, "ticket_not_found", "No ticket with this id belongs to the caller.")


def title(status: int) -> str:
    """The registered phrase of a status, or a plain word for an unregistered one."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unregistered status"


def document(refusal: Refusal, *, instance: str, request_id: str) -> bytes:
    """The body of the answer. ``errors`` is there exactly when the code is ``invalid_request``."""
    members: dict[str, object] = {
        "type": _TYPES + refusal.code.replace("_", "-"),
        "title": title(refusal.status),
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "instance": instance,
        "requestId": request_id,
        "timestamp": iso(time.time()),
        "extensions": refusal.extensions,
    }
    if refusal.code == "invalid_request":
        members["errors"] = [
            {"pointer": error.pointer, "detail": error.detail, "code": error.code} for error in refusal.errors
        ]
    return json.dumps(members, ensure_ascii=False).encode()
