"""The sandbox as one ASGI application: the API behind its gate, ``/sandbox``, and the web page."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.sandbox.access import KeyRing, RateLimiter
from bridge.sandbox.admin import Admin
from bridge.sandbox.api import Api, unknown
from bridge.sandbox.faults import Armoury
from bridge.sandbox.gate import Gate
from bridge.sandbox.journal import Journal
from bridge.sandbox.pages import Pages
from bridge.sandbox.store import Store
from bridge.sandbox.wire import Connections

log = logging.getLogger(__name__)
ACCOUNT = "Maja Lindqvist"
"""Whose account the keys belong to: created tickets bear this name."""


class Sandbox:
    """The parts of one sandbox, put together."""

    def __init__(
        self,
        *,
        keys: Sequence[str],
        write_only_keys: Sequence[str] = (),
        database: str | None = None,
        rate_limit: int | None = None,
        rate_window_s: float = 60.0,
    ) -> None:
        """``rate_limit``: requests a window and key; None for none. Raises ``ConfigurationError``."""
        ring, limiter = KeyRing(keys, write_only_keys), RateLimiter(rate_limit, window_s=rate_window_s)
        self.store = Store(database)
        self.connections = Connections()
        self.armoury = Armoury(self.store.ids)
        journal = Journal(self.store)
        api = _answering(Api(self.store, ring, limiter, ACCOUNT).router())
        gate = Gate(api, self.store.ids, journal, self.armoury, self.connections)
        admin = Admin(self.store, self.armoury, self.store.ids)
        pages = Pages(self.store, self.armoury, journal)
        self.app = Starlette(
            routes=[Mount("/api", app=gate), *admin.routes(), *pages.routes()],
            exception_handlers={HTTPException: pages.error},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def create_app(
    *,
    keys: Sequence[str],
    write_only_keys: Sequence[str] = (),
    database: str | None = None,
    rate_limit: int | None = None,
) -> Starlette:
    """The application alone, for another ASGI server, whose lifespan events close the database.

    Faults that cut or refuse connections need ``SandboxServer``.
    """
    return Sandbox(keys=keys, write_only_keys=write_only_keys, database=database, rate_limit=rate_limit).app


def _answering(router: ASGIApp) -> ASGIApp:
    """``router`` with a problem document for whatever it does not answer itself."""

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            await unknown(Request(scope), error.status_code)(scope, receive, send)
        except Exception:
            log.exception("the sandbox failed to handle a request")
            await unknown(Request(scope), 500)(scope, receive, send)

    return api
