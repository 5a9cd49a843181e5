"""The journal of API requests: one row from the moment a request was read whole, finished when its answer went out."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from bridge.sandbox.ids import iso
from bridge.sandbox.store import Row, Store

_BODY_KEPT = 65_536


@dataclass(slots=True)
class Trace:
    """What becomes known of one request while it is handled. Never holds the key."""

    request_id: str
    method: str
    target: str
    operation: str
    user_agent: str
    caller: str | None = None
    ticket_id: str | None = None
    stored_id: str | None = None
    """The message, upload or ticket that the request made."""
    applied: bool = False
    """The request changed something."""
    fault: str | None = None
    status: int | None = None
    """What was sent; None while nothing was, and for good when the connection died first."""
    code: str | None = None


class Journal:
    """Writes and reads the table ``requests``."""

    def __init__(self, store: Store) -> None:
        """Use the database of ``store``."""
        self._connection = store.connection

    def received(self, trace: Trace, body: bytes, textual: bool) -> None:
        """The request was read whole. The body is kept when it is ``textual``, up to 64 KiB; its digest always."""
        self._connection.execute(
            "INSERT INTO requests (id, received_at, method, target, operation, user_agent, body, body_sha256)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (
                trace.request_id, iso(time.time()), trace.method, trace.target, trace.operation, trace.user_agent,
                body[:_BODY_KEPT].decode("utf-8", "replace") if textual else None, hashlib.sha256(body).hexdigest(),
            ),
        )  # fmt: skip

    def applied(self, trace: Trace) -> None:
        """The request was handled, whatever the client will see of it."""
        self._connection.execute(
            "UPDATE requests SET caller=?, ticket_id=?, fault=?, applied=?, stored_id=?, code=? WHERE id=?",
            (
                trace.caller, trace.ticket_id, trace.fault, int(trace.applied), trace.stored_id, trace.code,
                trace.request_id,
            ),
        )  # fmt: skip

    def finished(self, trace: Trace) -> None:
        """The answer went out, or the connection died without one."""
        self.applied(trace)
        self._connection.execute(
            "UPDATE requests SET status=?, answered_at=? WHERE id=?",
            (trace.status, iso(time.time()) if trace.status is not None else None, trace.request_id),
        )

    def newest(self, limit: int) -> list[Row]:
        """The last requests, newest first."""
        return self._connection.execute("SELECT * FROM requests ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
