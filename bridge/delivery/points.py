"""The named points of a mail's way at which a crash must lose nothing and post nothing twice (docs/delivery.md).

The running bridge does nothing there. The kill tests start a bridge of their own, which dies at one of them; no setting
or environment variable of the service reaches this.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """Where a crash is tried."""

    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    READ_CLAIMED = "read_claimed"
    READ = "read"
    DECIDED = "decided"
    FILED = "filed"
    CLAIMED = "claimed"
    UPLOAD_INTENDED = "upload_intended"
    UPLOADED = "uploaded"
    UPLOAD_SETTLED = "upload_settled"
    INTENDING = "intending"
    INTENDED = "intended"
    ANSWERED = "answered"
    EXAMINING = "examining"
    EXAMINED = "examined"
    REOPEN_INTENDED = "reopen_intended"
    REOPENED = "reopened"
    REOPEN_SETTLED = "reopen_settled"
    LOOKED = "looked"
    SETTLING = "settling"
    SETTLED = "settled"


Checkpoint = Callable[[Point], None]


def nothing(_point: Point) -> None:
    """The checkpoint of the running bridge."""
