"""A wall clock that jumps: what waits for a time waits as long as it would have without the jump.

A server's clock is set once it finds the time on the network, or by hand. Without care a jump forth would end every
lease at once, so that a message is sent beside itself, and a jump back would keep mail waiting until the old time comes
again.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.spool.steps import Steps, ask

TOLERATED_S = 1.0
"""Up to here it is the clock's adjustment, which leases and waits need not follow."""
LONGEST_WAIT_S = 7_200.0
"""Longer than any backoff: whoever waits longer saw another clock."""
_WAITING = "state IN ('received', 'ready', 'sending', 'unknown')"


class JumpWatch:
    """Compares the wall clock with one that never jumps."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        """Both in seconds; where ``steady`` starts means nothing."""
        self._wall, self._steady = wall, steady
        self._offset = wall() - steady()

    def jump(self) -> float:
        """Seconds by which the wall clock jumped since this was last asked; 0 when it did not."""
        offset = self._wall() - self._steady()
        jump, self._offset = offset - self._offset, offset
        return jump if abs(jump) > TOLERATED_S else 0.0


def follow(jump: float) -> Steps[None]:
    """Move leases, waits, ages and the times of requests whose outcome is open along with the clock."""
    yield from ask("UPDATE entries SET lease_until = lease_until + ? WHERE owner <> ''", jump)
    yield from ask(f"UPDATE entries SET next_at = next_at + ?, paused_s = paused_s + ? WHERE {_WAITING}", jump, jump)
    yield from ask(
        "UPDATE attempts SET intent_at = intent_at + ?, settled_at = settled_at + ? WHERE entry IN "
        "(SELECT seq FROM entries WHERE state IN ('sending', 'unknown'))",
        *(jump, jump),
    )


def forget_waits(now: float) -> Steps[None]:
    """At a start: nothing waits for a time that only another clock could have meant."""
    yield from ask(
        f"UPDATE entries SET next_at = ? WHERE {_WAITING} AND next_at > ? AND (accepted_at > ? OR next_at > ?)",
        *(now, now, now, now + LONGEST_WAIT_S),
    )
