"""Looking after a spool on PostgreSQL, beside the bridges that serve it. The server's own files are the server's."""

from __future__ import annotations

from itertools import islice

from bridge.spool import keyring, soundness
from bridge.spool.cipher import Cipher
from bridge.spool.ledger import Ledger
from bridge.spool.upkeep import MOST_FAULTS, STEP, Compacted, Progress, Verified


async def verify(spool: Ledger, cipher: Cipher, progress: Progress) -> Verified:
    """Counters and lanes agree with the entries; every body opens and is what was stored. Raises ``SpoolError``."""
    totals = await spool.carry(lambda _: soundness.totals())
    faults = list(await spool.carry(lambda _: soundness.counters()))
    done = after = 0
    looked = soundness.PAGE
    while looked == soundness.PAGE:
        start = after
        found, looked, after = await spool.carry(lambda _, start=start: soundness.page(cipher, start))  # type: ignore[misc]  # mypy infers no type for a default
        faults += found
        done += looked
        progress(done, totals.entries)
    faults += await spool.carry(lambda _: soundness.texts(cipher))
    return Verified(totals.entries, totals.mails, totals.bytes, tuple(islice(faults, MOST_FAULTS)))


async def compact(spool: Ledger, cipher: Cipher, progress: Progress) -> Compacted:
    """Seal everything with the first key; space is given back by the server's own vacuum."""
    total = await spool.carry(lambda _: keyring.to_reseal(cipher))
    done = 0
    for place in keyring.SEALED:
        after, step = 0, STEP
        while step == STEP:
            start = after
            step, after = await spool.carry(lambda _, p=place, a=start: keyring.reseal(cipher, p, a, STEP))  # type: ignore[misc]
            done += step
            progress(done, max(done, total))
    size = spool.usage().bytes_used
    return Compacted(done, size, size, shrunk=True)
