"""``/sandbox``: what a test or a person does to the sandbox itself. Needs no key: keep the port private."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.sandbox import render
from bridge.sandbox.api import origin
from bridge.sandbox.faults import Armoury
from bridge.sandbox.ids import IdSource
from bridge.sandbox.mischief import refused
from bridge.sandbox.problems import Refusal, invalid
from bridge.sandbox.store import Store
from bridge.sandbox.validation import json_object

STAFF_NAME = "Elin Sandberg"
MAX_BODY = 1_048_576


def same_site(request: Request) -> None:
    """Raises ``403`` for a request that another web site's page made: the sandbox has no login to protect it."""
    claimed = request.headers.get("origin")
    foreign = claimed is not None and claimed.partition("://")[2] != request.headers.get("host")
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(403, "forbidden", "This request comes from another web site.")


async def bounded_body(request: Request) -> bytes:
    """The body. Raises ``413`` above 1 MiB."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refusal(413, "payload_too_large", "The request's body is too large.")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class Admin:
    """The endpoints under ``/sandbox``."""

    store: Store
    armoury: Armoury
    ids: IdSource

    def routes(self) -> list[Route]:
        """Mounted at the root."""
        return [
            Route("/sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/sandbox/faults/{id}", self.fault, methods=["DELETE"]),
            Route("/sandbox/tickets/{id}/staff", self.staff, methods=["POST"]),
        ]

    def _refused(self, refusal: Refusal, request: Request) -> Response:
        answer = refused(refusal, request.url.path, self.ids.new("req"))
        return Response(answer.body, answer.status, dict(answer.headers))

    def _listed(self) -> dict[str, object]:
        return {"data": [fault.shown() for fault in self.armoury.armed()]}

    async def faults(self, request: Request) -> Response:
        """List, arm or disarm."""
        try:
            if request.method in ("GET", "HEAD"):
                return _json(200, self._listed())
            same_site(request)
            if request.method == "DELETE":
                return _json(200, {"disarmed": self.armoury.disarm()})
            fields = json_object(await bounded_body(request))
            return _json(201, self.armoury.arm(fields.members).shown())
        except Refusal as refusal:
            return self._refused(refusal, request)

    async def fault(self, request: Request) -> Response:
        """Disarm one."""
        try:
            same_site(request)
            self.armoury.disarm_one(request.path_params["id"])
            return _json(200, self._listed())
        except Refusal as refusal:
            return self._refused(refusal, request)

    async def staff(self, request: Request) -> Response:
        """An answer of the support staff."""
        try:
            same_site(request)
            ticket = self.store.ticket(request.path_params["id"])
            fields = json_object(await bounded_body(request))
            message = fields.text("message")
            name = fields.text("senderName", limit=100) if fields.get("senderName") is not None else STAFF_NAME
            if fields.errors:
                return self._refused(invalid(*fields.errors), request)
            stored = self.store.staff_reply(ticket, message, name)
            return _json(201, render.message(self.store.message(stored), [], origin(request)))
        except Refusal as refusal:
            return self._refused(refusal, request)


def _json(status: int, content: object) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")
