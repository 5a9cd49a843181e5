"""The process whose power is cut: ``python -m tests.powercut.workload DIRECTORY SYNCHRONOUS MAILS``.

Several producers hand mails to a spool while one worker reads and settles them. What was acknowledged is written to
``acks`` in the same directory: the recorder sees there, in order, what the world was told.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import bridge.spool.files
import bridge.spool.sqlite
from bridge.spool import Spool, open_spool
from bridge.spool.api import State
from tests.spool.samples import decision, delivered, lane, mail

PRODUCERS = 6


def body(number: int) -> bytes:
    """The mail of this number: 1 to 9 KB that can be known again."""
    return random.Random(number).randbytes(random.Random(-number).randrange(1_000, 9_000))


async def produce(spool: Spool, numbers: range, acks: int) -> None:
    for number in numbers:
        for entry_id in await spool.accept(mail(raw=body(number), hints=(lane(number % 5),))):
            os.write(acks, f"accepted {entry_id} {number}\n".encode())


async def work(spool: Spool, acks: int) -> None:
    while True:
        for claim in await spool.claim_received(4, 60):
            ticket = lane(claim.entry.seq % 5)
            await spool.decided(claim, decision(), state=State.READY, lane=ticket, body_digest="d")
        for claim in await spool.claim_ready(4, 60):
            await spool.settle(claim, delivered())
            os.write(acks, f"delivered {claim.entry.id}\n".encode())
        await spool.erase(ended_before=0, held_before=0)
        await asyncio.sleep(0.001)


async def main(directory: Path, mails: int) -> None:
    spool = await open_spool(f"sqlite:///{directory}/spool.db", owner="b", high_water_bytes=1 << 40, min_free_bytes=0)
    acks = os.open(directory / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    worker = asyncio.create_task(work(spool, acks))
    await asyncio.gather(*(produce(spool, range(first, mails, PRODUCERS), acks) for first in range(PRODUCERS)))
    worker.cancel()
    os._exit(0)


if __name__ == "__main__":
    bridge.spool.files.SYNCHRONOUS = sys.argv[2]
    # Often enough that many cuts fall into the copying of the log.
    bridge.spool.files.LOG_BYTES = bridge.spool.sqlite.LOG_BYTES = 120_000
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[3])))
