"""A bridge in a hurry, which dies where it is told: ``python -m tests.faults.serving [--faster N] [--die POINT:N]``.

It is ``ticket-bridge serve`` but for the pace of its waits and the checkpoint, which nothing else can set.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from bridge import environment
from bridge.delivery import Pace, Point, nothing
from bridge.service import serve


def dying_at(where: str) -> Callable[[Point], None]:
    """A checkpoint that kills this process, as ``kill -9`` does, the given number of times that it passes a point."""
    name, _, count = where.partition(":")
    wanted, left = Point(name), [int(count or "1")]

    def checkpoint(point: Point) -> None:
        if point is wanted:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faster", type=float, default=1.0)
    parser.add_argument("--die", default="")
    options = parser.parse_args()
    settings, _warnings = environment.load()
    environment.strip()
    checkpoint = dying_at(options.die) if options.die else nothing
    return serve(settings, pace=Pace().faster(options.faster), checkpoint=checkpoint)


if __name__ == "__main__":
    sys.exit(main())
