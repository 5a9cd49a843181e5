"""Giving back a claim on which the spool failed for now: left alone, its lease would block the lane until it ends."""

from __future__ import annotations

import asyncio

from bridge.errors import SpoolError, StaleToken
from bridge.spool.api import Claim, Spool

BUSY_S = 1.0
"""Wait before the spool is asked again after it was busy."""


async def give_back(spool: Spool, claim: Claim) -> None:
    """Defer the claim as soon as the spool can; due at once, not counted.

    An intent that stands open keeps standing: whoever claims the entry next looks first. Raises ``SpoolError`` when
    the spool broke.
    """
    while True:
        await asyncio.sleep(BUSY_S)
        try:
            await spool.defer(claim, 0.0, counted=False)
        except StaleToken:
            return
        except SpoolError as error:
            if not error.temporary:
                raise
        else:
            return
