"""One timer of a connection that is moved often and fires rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls back once its time has come.

    Moving it later costs an assignment: the timer that is already set looks at the new time when it fires. That matters
    because every command moves it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        """``expired`` is called by ``loop``."""
        self._loop = loop
        self._expired = expired
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Expire at ``at``, in the loop's time."""
        self._at = at
        timer = self._timer
        if timer is None or at < timer.when():
            self.cancel()
            self._at = at
            self._timer = self._loop.call_at(at, self._fire)

    def clear(self) -> None:
        """Do not expire, for now."""
        self._at = None

    def cancel(self) -> None:
        """Never expire, and leave nothing behind in the loop."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._fire)
        else:
            self._at = None
            self._expired()
