"""The six sections of the API contract."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from bridge.sandbox import render, uploads, validation
from bridge.sandbox.access import READ, WRITE, KeyRing, RateLimiter, require
from bridge.sandbox.ids import is_public_ticket_id
from bridge.sandbox.journal import Trace
from bridge.sandbox.mischief import refused
from bridge.sandbox.problems import FieldError, Refusal, invalid
from bridge.sandbox.seed import DEPARTMENTS
from bridge.sandbox.store import Row, Store

_ROOT = "/v2/support"
_FORM_FIELD_BYTES = 4096
_DEPARTMENTS = tuple(DEPARTMENTS)

Handler = Callable[[Request, Trace], Awaitable[tuple[int, object]]]


def origin(request: Request) -> str:
    """Scheme and authority under which the client reached us."""
    return f"{request.url.scheme}://{request.url.netloc}"


@dataclass(frozen=True, slots=True)
class Api:
    """The endpoints over one store."""

    store: Store
    keys: KeyRing
    limiter: RateLimiter
    account: str
    """The name under which tickets are created: the API knows the key's account, not who wrote."""

    def router(self) -> Router:
        """The routes below ``/api``."""
        ticket = _ROOT + "/tickets/{id}"
        return Router(
            [
                Route(f"{ticket}/messages", self._guarded(WRITE, self._reply), methods=["POST"]),
                Route(f"{ticket}/actions/reopen", self._guarded(WRITE, self._reopen), methods=["POST"]),
                Route(f"{ticket}/actions/close", self._guarded(WRITE, self._close), methods=["POST"]),
                Route(ticket, self._guarded(READ, self._read), methods=["GET"]),
                Route(f"{_ROOT}/tickets", self._guarded(READ, self._list), methods=["GET"]),
                Route(f"{_ROOT}/tickets", self._guarded(WRITE, self._create), methods=["POST"]),
                Route(f"{_ROOT}/attachments", self._guarded(WRITE, self._upload), methods=["POST"]),
                Route(f"{_ROOT}/departments", self._guarded(READ, self._departments), methods=["GET"]),
            ],
            redirect_slashes=False,
        )

    def _guarded(self, scope: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            trace: Trace = request.state.trace
            headers: dict[str, str] = {"X-Request-Id": trace.request_id, "Cache-Control": "no-store"}
            try:
                caller = self.keys.authenticate(request.headers.get("authorization"))
                trace.caller = caller.label
                headers.update(self.limiter.admit(caller.label))
                require(caller, scope)
                status, content = await handler(request, trace)
            except Refusal as refusal:
                trace.code = refusal.code
                answer = refused(refusal, request.url.path, trace.request_id).with_headers(headers)
                return Response(answer.body, answer.status, dict(answer.headers))
            return Response(_json(content), status, headers, media_type="application/json")

        return endpoint

    def _ticket(self, request: Request, trace: Trace) -> Row:
        ticket = self.store.ticket(request.path_params["id"])
        trace.ticket_id = ticket["id"]
        return ticket

    async def _reply(self, request: Request, trace: Trace) -> tuple[int, object]:
        ticket = self._ticket(request, trace)
        new = validation.new_message(await request.body())
        stored = self.store.reply(ticket, new.message, new.encrypted, trace.request_id)
        trace.stored_id, trace.applied = stored, True
        attachments = self.store.attachments(ticket["id"]).get(stored, [])
        return 201, render.message(self.store.message(stored), attachments, origin(request))

    async def _read(self, request: Request, trace: Trace) -> tuple[int, object]:
        return 200, render.detail(self.store, self._ticket(request, trace), origin(request))

    async def _list(self, request: Request, _trace: Trace) -> tuple[int, object]:
        page = validation.page(request.query_params, _DEPARTMENTS)
        rows, more = self.store.tickets(page)
        following = validation.cursor_after(rows[-1]["seq"]) if more else None
        return 200, {"data": [render.summary(row) for row in rows], "nextCursor": following}

    async def _reopen(self, request: Request, trace: Trace) -> tuple[int, object]:
        return self._set_status(request, trace, "open")

    async def _close(self, request: Request, trace: Trace) -> tuple[int, object]:
        return self._set_status(request, trace, "closed")

    def _set_status(self, request: Request, trace: Trace, status: str) -> tuple[int, object]:
        before = self._ticket(request, trace)
        after = self.store.set_status(before, status)
        trace.applied = before["status"] != after["status"]
        return 200, render.detail(self.store, after, origin(request))

    async def _create(self, request: Request, trace: Trace) -> tuple[int, object]:
        new = validation.new_ticket(await request.body(), _DEPARTMENTS)
        ticket = self.store.create(new, self.account, trace.request_id)
        trace.ticket_id = trace.stored_id = ticket["id"]
        trace.applied = True
        return 201, render.detail(self.store, ticket, origin(request))

    async def _departments(self, _request: Request, _trace: Trace) -> tuple[int, object]:
        return 200, {"data": [{"slug": slug, "name": name} for slug, name in DEPARTMENTS.items()]}

    async def _upload(self, request: Request, trace: Trace) -> tuple[int, object]:
        filename, content, pinned = await _form(request)
        ticket = None
        if pinned is not None:
            if not is_public_ticket_id(pinned):
                raise invalid(FieldError("/ticketId", "This must be a public ticket id, tkt_….", "invalid_value"))
            ticket = trace.ticket_id = self.store.ticket(pinned)["id"]
        row = self.store.upload(uploads.accept(filename, content), ticket, trace.request_id)
        trace.stored_id, trace.applied = row["upload_id"], True
        return 201, render.upload(row, origin(request))


async def _form(request: Request) -> tuple[str | None, bytes, str | None]:
    """File name, content and ticket id of an upload. Raises ``400 invalid_request``."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise invalid(FieldError("", "The body must be multipart/form-data.", "invalid_content_type"))
    try:
        async with request.form(max_files=1, max_fields=4, max_part_size=_FORM_FIELD_BYTES) as form:
            file, pinned = form.get("file"), form.get("ticketId")
            if not isinstance(file, UploadFile):
                raise invalid(FieldError("/file", "This part is required and must be a file.", "required"))
            if pinned is not None and not isinstance(pinned, str):
                raise invalid(FieldError("/ticketId", "This part must be text.", "invalid_type"))
            return file.filename, await file.read(), pinned or None
    except (HTTPException, MultiPartException, FormParserError, UnicodeDecodeError, LookupError):
        raise invalid(FieldError("", "The body is no usable multipart/form-data.", "invalid_form")) from None


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def unknown(request: Request, status: int) -> Response:
    """The answer for a path or method that the contract does not have, and for our own mistakes."""
    trace: Trace = request.state.trace
    code, detail = {
        404: ("not_found", "There is no such resource."),
        405: ("method_not_allowed", "This resource has no such method."),
    }.get(status, ("internal_error", "The sandbox made a mistake; its log says which."))
    trace.code = code
    answer = refused(Refusal(status, code, detail), request.url.path, trace.request_id)
    return Response(answer.body, answer.status, dict(answer.headers))
