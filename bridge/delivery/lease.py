"""Keeping a claim while it is worked on: leases are short, so that others soon take over what a dead bridge held.

Promises: a lease is prolonged three times before it ends. One that could not be prolonged lapses: the spool refuses
what its holder then wants to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.errors import SpoolError
from bridge.spool.api import Claim, Spool

LEASE_S = 20.0
"""After this time without a sign of life another bridge takes over."""


@asynccontextmanager
async def kept(spool: Spool, claim: Claim) -> AsyncIterator[None]:
    """Prolong the lease of ``claim`` while the block runs."""
    task = asyncio.create_task(_prolong(spool, claim))
    try:
        yield
    finally:
        task.cancel()


async def _prolong(spool: Spool, claim: Claim) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 4)
        try:
            await spool.extend(claim, LEASE_S)
        except SpoolError as error:
            if not error.temporary:
                return
