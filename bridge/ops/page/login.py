"""Who may see the page: a token, sessions in memory, and limits on guessing.

A session is 32 random bytes in a cookie that is ``Secure``, ``HttpOnly`` and ``SameSite=Strict``; the server keeps its
SHA-256 only. Forms carry the session's CSRF token, and their Origin must be the page's own (OWASP, cross-site request
forgery prevention: both, because each has holes in some browser).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "__Host-ticket-bridge"
SESSION_S = 8 * 3600.0
"""How long a session lasts, seconds."""
SESSIONS = 50
"""How many there are at most; the oldest goes."""
TRIES = 5
WINDOW_S = 300.0
"""Wrong tokens that everybody together may send within the window, seconds."""


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in browser."""

    csrf: str
    until: float


class Login:
    """Checks the token and keeps the sessions."""

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        """``token`` is the operators' shared secret; ``clock`` gives seconds."""
        self._token = hashlib.sha256(token.encode()).digest()
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._wrong: list[float] = []

    def limited(self) -> bool:
        """Too many wrong tokens lately: none is looked at any more."""
        now = self._clock()
        self._wrong = [at for at in self._wrong if now - at < WINDOW_S]
        return len(self._wrong) >= TRIES

    def enter(self, token: str, response: Response) -> bool:
        """Start a session when the token is right, and put its cookie on ``response``."""
        if not hmac.compare_digest(hashlib.sha256(token.encode("utf-8", "replace")).digest(), self._token):
            self._wrong.append(self._clock())
            return False
        name = secrets.token_urlsafe(32)
        while len(self._sessions) >= SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_key(name)] = Session(secrets.token_urlsafe(32), self._clock() + SESSION_S)
        response.set_cookie(
            COOKIE, name, max_age=int(SESSION_S), path="/", secure=True, httponly=True, samesite="strict"
        )
        return True

    def session(self, request: Request) -> Session | None:
        """The request's session while it lasts."""
        key = _key(request.cookies.get(COOKIE, ""))
        found = self._sessions.get(key)
        if found is None or found.until < self._clock():
            self._sessions.pop(key, None)
            return None
        return found

    def leave(self, request: Request, response: Response) -> None:
        """End the session."""
        self._sessions.pop(_key(request.cookies.get(COOKIE, "")), None)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def same_origin(request: Request) -> bool:
    """The request comes from our own page: its Origin names the host that it was sent to (RFC 6454)."""
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")


def csrf_holds(session: Session, given: object) -> bool:
    """The form carries the session's token."""
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf.encode())
