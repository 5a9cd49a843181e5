"""What a hostile mail could make a worker do. Functions of a module, so that a worker can import them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def surroundings() -> tuple[dict[str, str], list[str], bytes]:
    """The worker's environment, its arguments, and its environment as the kernel has it."""
    return dict(os.environ), sys.argv, Path("/proc/self/environ").read_bytes()


def die() -> None:
    """The process ends at once."""
    os._exit(9)


def die_first(directory: str) -> str:
    """The process ends the first time."""
    mark = Path(directory) / "died"
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return "alive"


def die_slowly(directory: str) -> None:
    """The process notes when it began and ended, and ends."""
    begin = time.monotonic()
    time.sleep(0.3)
    Path(directory, f"{os.getpid()}").write_text(f"{begin} {time.monotonic()}")
    os._exit(9)


def raise_error() -> None:
    """An error that no reader foresaw."""
    raise ZeroDivisionError("customer's words")


def sleep() -> None:
    """Nothing, for long."""
    time.sleep(60)


def spin() -> None:
    """Processor time, without end."""
    from bridge import isolation

    isolation._limit(0)
    while True:
        pass


def hoard() -> int:
    """Memory, without end."""
    from bridge import isolation

    isolation._limit(0)
    return len(bytes(isolation.MEMORY_BASE * 2))
