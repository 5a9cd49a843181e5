"""Who may call: bearer keys with scopes (API contract, head), and the rate limit."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.errors import ConfigurationError
from bridge.sandbox.ids import iso
from bridge.sandbox.problems import Refusal

READ = "read:support"
WRITE = "write:support"
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A known key: a label that may be shown, and what the key may do."""

    label: str
    scopes: frozenset[str]


class KeyRing:
    """The keys that the sandbox accepts. Holds digests only, so that no dump of it shows a key."""

    def __init__(self, keys: Sequence[str], write_only_keys: Sequence[str] = ()) -> None:
        """Full keys may read and write. Raises ``ConfigurationError`` for no key, an unusable or a repeated one."""
        self._callers: list[tuple[bytes, Caller]] = []
        for number, key in enumerate(keys, 1):
            self._add(key, Caller(f"key {number}", frozenset((READ, WRITE))))
        for number, key in enumerate(write_only_keys, 1):
            self._add(key, Caller(f"write-only key {number}", frozenset((WRITE,))))
        if not self._callers:
            raise ConfigurationError("the sandbox needs at least one key: give --key KEY")

    def _add(self, key: str, caller: Caller) -> None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError(f"{caller.label} of the sandbox is empty or holds blanks or control characters")
        digest = hashlib.sha256(key.encode()).digest()
        if any(digest == known for known, _ in self._callers):
            raise ConfigurationError(f"{caller.label} of the sandbox was given twice")
        self._callers.append((digest, caller))

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller behind an ``Authorization`` header. Raises ``401 unauthorized`` (API contract, section 1)."""
        scheme, _, key = (authorization or "").partition(" ")
        digest = hashlib.sha256(key.strip().encode()).digest()
        for known, caller in self._callers:
            if scheme.lower() == "bearer" and hmac.compare_digest(known, digest):
                return caller
        raise unauthorized()


def unauthorized() -> Refusal:
    """``401``, with the challenge that RFC 9110 §11.6.1 asks for."""
    detail = "A valid API key is required: Authorization: Bearer <key>."
    return Refusal(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="support"'})


def require(caller: Caller, scope: str) -> None:
    """Raises ``403 forbidden`` when the key lacks ``scope``."""
    if scope not in caller.scopes:
        detail = f"The API key lacks the scope {scope}."
        raise Refusal(403, "forbidden", detail, extensions={"requiredScope": scope})


def rate_limited(headers: dict[str, str]) -> Refusal:
    """``429`` with the four headers of the API contract."""
    return Refusal(429, "rate_limited", "Too many requests; wait as long as Retry-After says.", headers=headers)


class RateLimiter:
    """At most ``limit`` requests a window and key, in fixed windows that open with a key's first request."""

    def __init__(
        self, limit: int | None, clock: Callable[[], float] = time.time, *, window_s: float = _WINDOW_S
    ) -> None:
        """``None`` limits nothing and sends no headers. Raises ``ConfigurationError`` below 1 request, or 1 second."""
        if limit is not None and (limit < 1 or not 1 <= window_s < math.inf):
            raise ConfigurationError("the sandbox's rate limit must be at least 1 request, its window 1 second")
        self._window_s = window_s
        self._limit = limit
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def admit(self, label: str) -> dict[str, str]:
        """Count a request; returns the ``X-RateLimit-*`` headers of its answer. Raises ``429 rate_limited``."""
        if self._limit is None:
            return {}
        now = self._clock()
        opened, used = self._windows.get(label, (now, 0))
        if now - opened >= self._window_s:
            opened, used = now, 0
        self._windows[label] = (opened, used + 1)
        headers = limit_headers(self._limit, max(0, self._limit - used - 1), opened + self._window_s)
        if used >= self._limit:
            raise rate_limited({"Retry-After": str(max(1, math.ceil(opened + self._window_s - now))), **headers})
        return headers


def limit_headers(limit: int, remaining: int, reset_at: float) -> dict[str, str]:
    """The three ``X-RateLimit`` headers; ``reset_at`` in seconds since the epoch."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": iso(reset_at),
    }
