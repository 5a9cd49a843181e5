"""The page's application: health and metrics for machines, and, behind a login, what people see and decide.

What comes from a mail is always text: templates escape everything, the policy (CSP) lets no script of a mail run, and a
mail's words are shown only after a person asked for them, which the ledger records. Fails with plain pages; an error's
text never reaches them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from urllib.parse import parse_qsl

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.errors import SpoolError, UnknownEntry, UnreadableMail
from bridge.ops import metrics
from bridge.ops.cases import KINDS, Cases
from bridge.ops.page.entries import ACTOR, Entries
from bridge.ops.page.login import Login, Session, csrf_holds, same_origin
from bridge.ops.page.show import api_health, bars, environment
from bridge.ops.status import Monitor
from bridge.reasons import REASONS
from bridge.spool.api import Filter, Spool

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send Origin: null with forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
ASSETS: Mapping[str, str] = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
RECENT = 15
BODY_BYTES = 10_000
"""A form's size at most."""

View = Callable[[Request, Session], Awaitable[Response]]


class Page:
    """All routes of one bridge."""

    def __init__(
        self,
        spool: Spool,
        monitor: Monitor,
        token: str,
        clock: Callable[[], float] = time.time,
        *,
        cases: Cases | None = None,
        rejects: bool = False,
    ) -> None:
        """Without a ``token`` only health and metrics are served; ``rejects`` when senders can be told."""
        self._cases = cases
        self._spool = spool
        self._monitor = monitor
        self._login = Login(token, clock) if token else None
        self._templates = environment()
        self._entries = Entries(spool, clock, rejects=rejects)
        self.app = Starlette(
            routes=[
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                Route("/assets/{name}", self.asset),
                Route("/login", self.login, methods=["GET", "POST"]),
                Route("/logout", self._posted(self.logout), methods=["POST"]),
                Route("/", self._seen(self.overview)),
                Route("/entries", self._seen(self.listing)),
                Route("/entries/{entry_id}", self._seen(self.entry)),
                Route("/entries/{entry_id}/case", self._posted(self.case), methods=["POST"]),
                Route("/entries/{entry_id}/text", self._posted(self.text), methods=["POST"]),
                Route("/entries/{entry_id}/{action}", self._posted(self.act), methods=["POST"]),
            ],
            exception_handlers={HTTPException: self.refused, SpoolError: self.failed, UnreadableMail: self.failed},
        )

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n", headers=SECURITY)

    async def readyz(self, _request: Request) -> Response:
        """Mail is accepted; 503 with the reasons while it is not."""
        status = await self._monitor.look()
        found = {"accepting": status.usage.accepting, "troubles": status.troubles()}
        return JSONResponse(found, 200 if status.usage.accepting else 503, headers=SECURITY)

    async def metrics(self, _request: Request) -> Response:
        """For Prometheus."""
        found = metrics.exposition(await self._monitor.look(), self._monitor.meter)
        return Response(found, headers={**SECURITY, "Content-Type": metrics.CONTENT_TYPE})

    async def asset(self, request: Request) -> Response:
        """Style and script."""
        name = request.path_params["name"]
        if name not in ASSETS:
            raise HTTPException(404)
        data = (files("bridge.ops.page") / "static" / name).read_bytes()
        return Response(data, headers={**SECURITY, "Content-Type": ASSETS[name], "Cache-Control": "max-age=3600"})

    async def login(self, request: Request) -> Response:
        """The form, and what it sends."""
        if self._login is None:
            raise HTTPException(
                404, "There is no page without BRIDGE_OPS_TOKEN; /healthz, /readyz and /metrics are there."
            )
        if request.method == "GET":
            return self._render("login.html", request, None, complaint="")
        if not same_origin(request):
            raise HTTPException(403, "This form was not sent by this page.")
        if self._login.limited():
            complaint = "Too many wrong tokens. Try again in five minutes."
            return self._render("login.html", request, None, 429, complaint=complaint)
        token = (await _form(request)).get("token", "")
        response = RedirectResponse("/", 303, headers=dict(SECURITY))
        if self._login.enter(token, response):
            return response
        return self._render("login.html", request, None, 403, complaint="That is not the token.")

    async def logout(self, request: Request, _session: Session) -> Response:
        """End the session."""
        response = RedirectResponse("/login", 303, headers=dict(SECURITY))
        if self._login is not None:
            self._login.leave(request, response)
        return response

    async def overview(self, request: Request, session: Session) -> Response:
        """How the bridge is, what waits, what is held and why, and the newest mails."""
        status = await self._monitor.look()
        recent = await self._spool.list(Filter(limit=RECENT, newest_first=True))
        return self._render(
            "overview.html",
            request,
            session,
            status=status,
            api=api_health(self._monitor.meter),
            chart=bars(self._monitor.meter.minutes()),
            recent=recent,
            held=sorted(status.counts.held_by_reason.items(), key=lambda item: -item[1]),
        )

    async def listing(self, request: Request, session: Session) -> Response:
        """Entries by state, reason, ticket and sender."""
        return self._render("entries.html", request, session, **await self._entries.listing(request))

    async def entry(self, request: Request, session: Session) -> Response:
        """One mail's way, without its words."""
        found = await self._entries.one(request.path_params["entry_id"], revealed=False)
        done = request.query_params.get("done", "")
        return self._render(
            "entry.html", request, session, done=done if done in {*self._entries.ACTIONS, "case"} else "", **found
        )

    async def text(self, request: Request, session: Session) -> Response:
        """The same with its words; the ledger records who looked."""
        found = await self._entries.one(request.path_params["entry_id"], revealed=True)
        return self._render("entry.html", request, session, done="", **found)

    async def case(self, request: Request, _session: Session) -> Response:
        """Keep a redacted copy of a mail that was cut or flagged wrongly."""
        if self._cases is None:
            raise HTTPException(404)
        entry_id, kind = request.path_params["entry_id"], (await _form(request)).get("kind", "")
        await self._cases.keep(entry_id, kind, ACTOR)
        return RedirectResponse(f"/entries/{entry_id}?done=case", 303, headers=dict(SECURITY))

    async def act(self, request: Request, _session: Session) -> Response:
        """Retry, release, replay, hold, discard or redirect."""
        entry_id = await self._entries.act(
            request.path_params["entry_id"], request.path_params["action"], await _form(request)
        )
        where = f"/entries/{entry_id}?done={request.path_params['action']}"
        return RedirectResponse(where, 303, headers=dict(SECURITY))

    async def refused(self, request: Request, error: Exception) -> Response:
        """A page for every status that is none of ours."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else ""
        session = self._login.session(request) if self._login else None
        return self._render("error.html", request, session, status, code=status, detail=detail)

    async def failed(self, request: Request, error: Exception) -> Response:
        """An action that is not possible, or a spool that does not answer; the error's text is made for people."""
        status = 404 if isinstance(error, UnknownEntry) else 409
        session = self._login.session(request) if self._login else None
        return self._render("error.html", request, session, status, code=status, detail=str(error))

    def _seen(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        """Only for those who are logged in."""

        async def checked(request: Request) -> Response:
            session = self._login.session(request) if self._login else None
            if session is None:
                return RedirectResponse("/login", 303, headers=dict(SECURITY))
            return await view(request, session)

        return checked

    def _posted(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        """Only for those who are logged in, and only from our own page's forms."""

        async def checked(request: Request, session: Session) -> Response:
            form = await _form(request)
            if not same_origin(request) or not csrf_holds(session, form.get("csrf")):
                raise HTTPException(403, "This form was not sent by this page, or its session has ended.")
            return await view(request, session)

        return self._seen(checked)

    def _render(
        self, template: str, request: Request, session: Session | None, status_code: int = 200, **context: object
    ) -> Response:
        try:
            text = self._templates.get_template(template).render(
                path=request.url.path,
                csrf=session.csrf if session else "",
                reasons=REASONS,
                kinds=KINDS if self._cases else {},
                **context,
            )
        except jinja2.TemplateError as error:
            raise RuntimeError(f"the page {template} cannot be made: {type(error).__name__}") from None
        return HTMLResponse(text, status_code, headers=dict(SECURITY))


async def _form(request: Request) -> dict[str, str]:
    """The form's fields, read once; a body that is too large, or no form, is refused."""
    found: dict[str, str] | None = getattr(request.state, "fields", None)
    if found is None:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise HTTPException(413)
        found = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
        request.state.fields = found
    return found
