"""The web page: tickets as support staff see them, armed faults, the last requests. Works without JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import ClassVar
from urllib.parse import quote

import jinja2
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.sandbox import faults
from bridge.sandbox.admin import MAX_BODY, STAFF_NAME, same_site
from bridge.sandbox.faults import Armoury
from bridge.sandbox.journal import Journal
from bridge.sandbox.problems import Refusal
from bridge.sandbox.seed import DEPARTMENTS
from bridge.sandbox.store import Row, Store
from bridge.sandbox.validation import STATUSES

_SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make a form send Origin: null, which same_site refuses
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LISTED = 200
_ASSETS: Mapping[str, str] = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
_NUMERIC = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_WHOLE = frozenset({"count", "status", "length", "bytes"})


def words(name: str) -> str:
    """``customer_reply`` → ``Customer reply``."""
    return name.replace("_", " ").capitalize()


def ago(iso: str) -> str:
    """How long a time lies back, in one unit."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(iso)).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def clock(iso: str) -> str:
    """A time for people: date, hours and minutes, UTC."""
    return datetime.fromisoformat(iso).strftime("%-d %b %Y, %H:%M UTC")


def size(count: int) -> str:
    """A number of bytes for people, in powers of 1,024."""
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KiB" if count < 1_048_576 else f"{count / 1_048_576:.1f} MiB"


def initials(name: str | None) -> str:
    """The first letters of the first and last word of a name."""
    parts = (name or "?").split() or ["?"]
    return (parts[0][0] + (parts[-1][0] if len(parts) > 1 else "")).upper()


def environment() -> jinja2.Environment:
    """Templates with everything escaped and every unknown name an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("bridge.sandbox"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters.update(words=words, ago=ago, clock=clock, size=size, initials=initials)
    return made


def fault_members(form: FormData) -> dict[str, object]:
    """The members of ``POST /sandbox/faults`` from the page's form: empty fields are left out, numbers are numbers."""
    members: dict[str, object] = {}
    for name, value in form.items():
        if not isinstance(value, str) or not value.strip():
            continue
        text = value.strip()
        if name in _WHOLE and text.isascii() and text.isdigit() and len(text) < 12:
            members[name] = int(text)
        elif name == "seconds" and _NUMERIC.fullmatch(text):
            members[name] = float(text)
        else:
            members[name] = text
    return members


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages over one store."""

    store: Store
    armoury: Armoury
    journal: Journal
    templates: ClassVar[jinja2.Environment] = environment()

    def routes(self) -> list[Route]:
        """Mounted at the root."""
        return [
            Route("/", self.tickets, methods=["GET"]),
            Route("/tickets/{id}", self.ticket, methods=["GET"]),
            Route("/tickets/{id}/staff", self.answer, methods=["POST"]),
            Route("/tickets/{id}/{action:str}", self.action, methods=["POST"]),
            Route("/faults", self.faults, methods=["GET", "POST"]),
            Route("/requests", self.requests, methods=["GET"]),
            Route("/files/{id}", self.file, methods=["GET"]),
            Route("/assets/{name}", self.asset, methods=["GET"]),
        ]

    def _page(self, template: str, request: Request, status: int = 200, /, **values: object) -> Response:
        armed = len(self.armoury.armed())
        text = self.templates.get_template(template).render(path=request.url.path, armed_count=armed, **values)
        return HTMLResponse(text, status, headers=_SECURITY)

    async def tickets(self, request: Request) -> Response:
        """The list, newest activity first."""
        chosen = request.query_params.get("status")
        status = chosen if chosen in STATUSES else None
        counts = self.store.count_by_status()
        return self._page(
            "tickets.html", request,
            tickets=self.store.by_activity(status, _LISTED), departments=DEPARTMENTS, chosen=status,
            filters=[(name, counts[name]) for name in STATUSES if name in counts], total=sum(counts.values()),
        )  # fmt: skip

    def _ticket(self, request: Request) -> Row:
        try:
            return self.store.ticket(request.path_params["id"])
        except Refusal:
            raise HTTPException(404) from None

    def _conversation(self, request: Request, ticket: Row, draft: str = "", complaint: str = "") -> Response:
        return self._page(
            "ticket.html", request, 400 if complaint else 200,
            ticket=ticket, messages=self.store.messages(ticket["id"]), department=DEPARTMENTS[ticket["department"]],
            services=json.loads(ticket["services"]), cc=json.loads(ticket["cc"]),
            attachments=self.store.attachments(ticket["id"]), staff_name=STAFF_NAME, draft=draft, complaint=complaint,
        )  # fmt: skip

    async def ticket(self, request: Request) -> Response:
        """One conversation."""
        return self._conversation(request, self._ticket(request))

    async def answer(self, request: Request) -> Response:
        """The staff's form."""
        form = await self._form(request)
        ticket = self._ticket(request)
        message, name = (_text(form.get(field)) for field in ("message", "senderName"))
        if not message.strip():
            return self._conversation(request, ticket, message, "Write something before you send it.")
        stored = self.store.staff_reply(ticket, message.replace("\r\n", "\n"), name.strip()[:100] or STAFF_NAME)
        return _see(f"/tickets/{ticket['id']}#{stored}")

    async def action(self, request: Request) -> Response:
        """The buttons that close and reopen."""
        await self._form(request)
        wanted = {"close": "closed", "reopen": "open"}.get(request.path_params["action"])
        ticket = self._ticket(request)
        if wanted is None:
            raise HTTPException(404)
        self.store.set_status(ticket, wanted)
        return _see(f"/tickets/{ticket['id']}")

    async def _form(self, request: Request) -> FormData:
        try:
            same_site(request)
        except Refusal as refusal:
            raise HTTPException(refusal.status) from None
        # Browsers never send a form chunked; without a length there is no body at all (RFC 9112 §6.3).
        if "transfer-encoding" in request.headers or int(request.headers.get("content-length", "0")) > MAX_BODY:
            raise HTTPException(413)
        return await request.form(max_files=0, max_fields=20)

    async def faults(self, request: Request) -> Response:
        """What is armed, and a form to arm more."""
        complaints: list[str] = []
        entered: dict[str, str] = {}
        if request.method == "POST":
            form = await self._form(request)
            disarm = form.get("disarm")
            if isinstance(disarm, str):
                self._disarm(disarm)
                return _see("/faults")
            try:
                self.armoury.arm(fault_members(form))
                return _see("/faults")
            except Refusal as refusal:
                entered = {name: value for name, value in form.items() if isinstance(value, str)}
                complaints = [f"{error.pointer[1:]}: {error.detail}" for error in refusal.errors] or [refusal.detail]
        return self._page(
            "faults.html", request, 400 if complaints else 200,
            armed=[fault.shown() for fault in self.armoury.armed()], kinds=faults.KINDS, targets=faults.TARGETS,
            forms=faults.FORMS, places=(*faults.PLACES, *faults.STRIKE_PLACES),
            endings=tuple(dict.fromkeys((*faults.ENDINGS, *faults.STRIKES))), complaints=complaints,
            entered=entered,
        )  # fmt: skip

    def _disarm(self, which: str) -> None:
        if which == "all":
            self.armoury.disarm()
        else:
            with suppress(Refusal):  # it went off, or someone else was faster: what was wanted is so
                self.armoury.disarm_one(which)

    async def requests(self, request: Request) -> Response:
        """What the API was asked."""
        return self._page("requests.html", request, rows=self.journal.newest(_LISTED))

    async def file(self, request: Request) -> Response:
        """An attachment's bytes: always a download, never shown by the browser under our origin."""
        row = self.store.content(request.path_params["id"])
        if row is None:
            raise HTTPException(404)
        headers = {**_SECURITY, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row['filename'])}"}
        return Response(row["content"], headers=headers, media_type="application/octet-stream")

    async def asset(self, request: Request) -> Response:
        """The style sheet and the icon."""
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404)
        content = files("bridge.sandbox").joinpath("static", name).read_bytes()
        headers = {**_SECURITY, "Cache-Control": "no-cache"}
        return Response(content, headers=headers, media_type=_ASSETS[name])

    async def error(self, request: Request, error: Exception) -> Response:
        """A page for what is not there or not allowed."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._page("error.html", request, status, status=status)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _see(location: str) -> Response:
    return RedirectResponse(location, 303, headers=_SECURITY)
