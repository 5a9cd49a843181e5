"""How the process gets its memory, and gives it back when a large mail is through.

glibc raises the size from which it maps a block of its own each time that a large one is freed; a few mails of 25 MB
later such blocks come from its heaps, where what stands above them keeps them. A fixed size stops that (mallopt(3)).
What was freed between smaller blocks is given back now and then (malloc_trim(3)). Elsewhere nothing happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LARGE = 256 * 1024
"""Bytes from which a block is mapped by itself."""
TRIM_S = 20.0


def return_large_blocks() -> None:
    """Fix the sizes for this process, from its start."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, LARGE)


async def keep_trimmed(every_s: float = TRIM_S) -> None:
    """Give back what is free, every so often, beside the loop (milliseconds)."""
    with contextlib.suppress(OSError, AttributeError):
        trim = ctypes.CDLL(None).malloc_trim
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(trim, 0)
