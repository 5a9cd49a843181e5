"""Request bodies and queries of the API contract: parsed whole, every error reported at once in ``errors[]``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.sandbox.problems import FieldError, invalid

STATUSES = ("open", "answered", "customer_reply", "in_progress", "on_hold", "closed", "unknown")
PRIORITIES = ("low", "medium", "high", "urgent", "critical")
SERVICE_TYPES = ("domain", "hosting", "vps", "other")
MAX_PAGE = 100
DEFAULT_PAGE = 25
MAX_SUBJECT = 255
MAX_CC = 20
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,253}")
_CURSOR = re.compile(r"c([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class NewMessage:
    """The body of section 1."""

    message: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class NewTicket:
    """The body of section 6."""

    department: str
    subject: str
    message: str
    priority: str
    cc: tuple[str, ...]
    services: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The query of section 3; ``before`` is the ``seq`` that the page's tickets stand before."""

    limit: int
    before: int | None
    status: str | None
    department: str | None


def _no_constant(name: str) -> object:
    raise ValueError(name)


class Fields:
    """Reads members of one JSON object and gathers what is wrong with them."""

    def __init__(self, members: Mapping[str, object], at: str = "", errors: list[FieldError] | None = None) -> None:
        """``at`` is the JSON pointer of the object itself."""
        self.members = members
        self._at = at
        self.errors: list[FieldError] = [] if errors is None else errors

    def refuse(self, name: str, code: str, detail: str) -> None:
        """Note an error about the member ``name``."""
        self.errors.append(FieldError(f"{self._at}/{name}", detail, code))

    def get(self, name: str) -> object:
        """The member, or None."""
        return self.members.get(name)

    def text(self, name: str, *, limit: int | None = None) -> str:
        """A required string that is not blank."""
        value = self.get(name)
        if value is None:
            self.refuse(name, "required", "This member is required.")
        elif not isinstance(value, str):
            self.refuse(name, "invalid_type", "This member must be a string.")
        elif not value.strip():
            self.refuse(name, "too_short", "This member must not be empty.")
        elif limit is not None and len(value) > limit:
            self.refuse(name, "too_long", f"This member may have {limit} characters at most.")
        elif not _is_unicode(value):
            self.refuse(name, "invalid_text", "This member holds half of a surrogate pair.")
        else:
            return value
        return ""

    def flag(self, name: str) -> bool:
        """An optional boolean, false when omitted."""
        value = self.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            self.refuse(name, "invalid_type", "This member must be true or false.")
        return value is True

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """An optional string out of ``allowed``."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.refuse(name, "invalid_value", f"This member must be one of: {', '.join(allowed)}.")
            return default
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_object(body: bytes) -> Fields:
    """The request's JSON object. Raises ``400 invalid_request`` for anything else."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid(FieldError("", "The body must be a JSON document.", "invalid_json")) from None
    if not isinstance(value, dict):
        raise invalid(FieldError("", "The body must be a JSON object.", "invalid_type"))
    return Fields(value)


def new_message(body: bytes) -> NewMessage:
    """Section 1's body. Raises ``400 invalid_request``."""
    fields = json_object(body)
    message = NewMessage(fields.text("message"), fields.flag("encrypted"))
    if fields.errors:
        raise invalid(*fields.errors)
    return message


def new_ticket(body: bytes, departments: tuple[str, ...]) -> NewTicket:
    """Section 6's body. Raises ``400 invalid_request``, also for an unknown department."""
    fields = json_object(body)
    department = fields.text("departmentSlug")
    if department and department not in departments:
        fields.refuse("departmentSlug", "unknown_department", "See GET /api/v2/support/departments.")
    ticket = NewTicket(
        department=department,
        subject=fields.text("subject", limit=MAX_SUBJECT),
        message=fields.text("message"),
        priority=fields.choice("priority", PRIORITIES, "medium"),
        cc=_addresses(fields),
        services=_services(fields),
    )
    if fields.errors:
        raise invalid(*fields.errors)
    return ticket


def _addresses(fields: Fields) -> tuple[str, ...]:
    value = fields.get("ccEmails")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_CC:
        fields.refuse("ccEmails", "invalid_type", f"This member must be an array of {MAX_CC} addresses at most.")
        return ()
    for index, address in enumerate(value):
        if not isinstance(address, str) or not _is_unicode(address) or _ADDRESS.fullmatch(address) is None:
            fields.refuse(f"ccEmails/{index}", "invalid_address", "This is no e-mail address.")
    return tuple(str(address) for address in value)


def _services(fields: Fields) -> tuple[Mapping[str, str], ...]:
    value = fields.get("context")
    if value is None:
        return ()
    if not isinstance(value, dict):
        fields.refuse("context", "invalid_type", "This member must be an object.")
        return ()
    inner = Fields(value, "/context", fields.errors)
    if inner.get("serviceType") is None:
        inner.refuse("serviceType", "required", "This member is required.")
    kind = inner.choice("serviceType", SERVICE_TYPES, "other")
    return ({"serviceType": kind, "serviceId": inner.text("serviceId", limit=200)},)


def page(query: Mapping[str, str], departments: tuple[str, ...]) -> Page:
    """Section 3's query. Raises ``400 invalid_request``."""
    fields = Fields(query)
    limit = query.get("limit", str(DEFAULT_PAGE))
    size = int(limit) if re.fullmatch(r"[0-9]{1,3}", limit) else 0
    if not 1 <= size <= MAX_PAGE:
        fields.refuse("limit", "out_of_range", f"limit must be a whole number from 1 to {MAX_PAGE}.")
    cursor = _CURSOR.fullmatch(query["cursor"]) if "cursor" in query else None
    if "cursor" in query and cursor is None:
        fields.refuse("cursor", "invalid_cursor", "cursor must be the nextCursor of an earlier answer.")
    status = fields.choice("status", STATUSES, "") or None
    department = fields.choice("departmentSlug", departments, "") or None
    if fields.errors:
        raise invalid(*fields.errors)
    return Page(size, int(cursor[1]) if cursor else None, status, department)


def cursor_after(seq: int) -> str:
    """The opaque cursor of the page that follows the ticket ``seq``."""
    return f"c{seq}"
