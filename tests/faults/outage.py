"""An outage of eight hours: ``python -m tests.faults.outage --mails 10000 --tickets 500 [--rate-limit N]``.

The ticket API (a sandbox, a process of its own) answers 503 while the injected clock runs through the eight hours;
the mails are in the spool already. Then it is well again, the clock runs as any clock, and the queue drains. What is
checked is read from the sandbox's database.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx
import structlog

from bridge.delivery import Delivery, Gate, Ledger, Pace, Sending, SendingConfig, TicketApi, nothing
from bridge.model import Address, Authentication, Decision, Envelope, Reference, Verdict
from bridge.reasons import MailClass, Reason
from bridge.spool import Spool, open_spool
from bridge.spool.api import NewMail, State
from tests.faults.programme import KEY, child

OUTAGE_S = 8 * 3600.0
SPEED = 3000.0
"""Seconds of the injected clock in one real second, while the outage lasts."""
WAITING = (State.READY, State.SENDING, State.UNKNOWN)


class Clock:
    """A clock whose speed can be changed, and sleeping by it."""

    def __init__(self) -> None:
        self._at, self._since, self.speed = time.time(), time.monotonic(), 1.0

    def __call__(self) -> float:
        return self._at + (time.monotonic() - self._since) * self.speed

    def run_at(self, speed: float) -> None:
        self._at, self._since, self.speed = self(), time.monotonic(), speed

    async def sleep(self, seconds: float) -> None:
        until = self() + seconds
        while (left := until - self()) > 0:
            await asyncio.sleep(min(left / self.speed, 0.02))


@dataclass
class Result:
    """What was found."""

    mails: int
    wrong: list[str] = field(default_factory=list)
    requests: int = 0
    limited: int = 0
    drained_s: float = 0.0
    tries: int = 0
    """Requests that the outage saw."""

    @property
    def rate(self) -> float:
        """Delivered in a second."""
        return self.mails / self.drained_s

    def said(self) -> str:
        """In one line."""
        return (
            f"{self.mails} mails, {len(self.wrong)} lost, twice or out of order; {self.tries} requests in the outage; "
            f"drained in {self.drained_s:.1f} s ({self.rate:.0f}/s); {self.limited} of {self.requests} answered 429"
        )


def decision(ticket: str, words: str) -> Decision:
    """A reply that is to be posted."""
    return Decision(
        verdict=Verdict("deliver", Reason.REPLY),
        reference=Reference(ticket, "address", unguessable=True),
        mail_class=MailClass.HUMAN,
        class_reason="",
        sender=Address("Kund", "kund@example.net"),
        authentication=Authentication("unknown", ""),
        subject="Re: svar",
        message=words,
        reply=None,
        encrypted=False,
        findings=(),
        attachments=(),
        defects=(),
        message_id=words,
    )


async def fill(spool: Spool, tickets: Sequence[str], mails: int) -> None:
    """Mails that were accepted and read, their tickets in turn."""

    async def one(number: int) -> None:
        ticket = tickets[number % len(tickets)]
        recipient = f"support+{ticket}@example.com"
        await spool.accept(NewMail(b"Subject: x\r\n\r\nx\r\n", (Envelope("k@example.net", recipient),), (ticket,)))

    for begin in range(0, mails, 500):
        # The order of acceptance is the order of these calls: the writer's queue keeps it.
        await asyncio.gather(*(one(number) for number in range(begin, min(begin + 500, mails))))
    done = 0
    while claims := await spool.claim_received(500, 600):
        moves = []
        for claim in claims:
            ticket = claim.entry.envelope.recipient.removeprefix("support+").partition("@")[0]
            made = decision(ticket, f"mail {done:06d}")
            moves.append(spool.decided(claim, made, state=State.READY, lane=ticket, body_digest=""))
            done += 1
        await asyncio.gather(*moves)


async def through(api: httpx.AsyncClient, url: str, spool: Spool, clock: Clock) -> float:
    """The outage and the drain; seconds from the opening of the gate to the last delivery."""
    chance, log, pace = random.Random(8), structlog.get_logger(), Pace()
    client = TicketApi(url, lambda: KEY, timeout_s=30, clock=time.time)
    gate = Gate(client, spool, limit=8, clock=clock, log=log, chance=chance, pace=pace, sleep=clock.sleep)
    ledger = Ledger(spool, clock, chance, pace, log, nothing)

    async def no_attachment(_raw: bytes, path: str) -> BinaryIO:
        raise KeyError(path)

    sending = Sending(ledger, client, gate, SendingConfig(), no_attachment)
    delivery = Delivery(spool, sending, gate, concurrency=8, idle_s=0.5, log=log)
    fault = {"fault": "status", "status": 503, "count": None, "seconds": 3600}
    (await api.post("/sandbox/faults", json=fault)).raise_for_status()
    running = asyncio.create_task(delivery.run())
    began = clock()
    clock.run_at(SPEED)
    while clock() - began < OUTAGE_S:
        await asyncio.sleep(0.02)
    (await api.delete("/sandbox/faults")).raise_for_status()
    while not gate.state().open:
        await asyncio.sleep(0.005)
    clock.run_at(1.0)
    opened = time.monotonic()
    try:
        while not running.done() and await _waiting(spool):
            await asyncio.sleep(0.1)
        return time.monotonic() - opened
    finally:
        delivery.stop()
        await running
        await gate.close()
        await client.close()


async def _waiting(spool: Spool) -> int:
    counts = (await spool.counts()).by_state
    return sum(counts.get(state, 0) for state in WAITING)


def check(result: Result, database: Path, tickets: Sequence[str]) -> None:
    """Every mail once, and in order on its ticket."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        sql = "SELECT ticket_id, body FROM messages WHERE sender = 'customer' AND body LIKE 'mail %' ORDER BY seq"
        posted = connection.execute(sql).fetchall()
        count = "SELECT count(*), sum(status = 429), sum(status = 503) FROM requests"
        result.requests, result.limited, result.tries = connection.execute(count).fetchone()
    if sorted(body for _, body in posted) != [f"mail {number:06d}" for number in range(result.mails)]:
        result.wrong.append("mails are lost or posted twice")
    for ticket in tickets:
        bodies = [body for where, body in posted if where == ticket]
        if bodies != sorted(bodies):
            result.wrong.append(f"out of order on {ticket}")


async def run(mails: int, tickets: int, directory: Path, *, limit: int | None = None, window_s: float = 60) -> Result:
    """The whole programme."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    database, clock = directory / "sandbox.db", Clock()
    limits = [] if limit is None else ["--rate-limit", str(limit), "--rate-window", str(window_s)]
    keys = ["--key", KEY, "--key", "another-key-for-setting-up"]
    arguments = ["-m", "bridge.sandbox", "--bind", "127.0.0.1:0", "--database", str(database), *keys, *limits]
    async with child(arguments, r"(http://\S+)", {}) as sandbox:
        url = (await sandbox.found).rstrip("/")
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as api:
            ids = await _tickets(database, tickets)
            spool = await open_spool(
                f"sqlite:///{directory}/spool.db",
                owner="outage",
                high_water_bytes=1 << 33,
                min_free_bytes=0,
                clock=clock,
            )
            try:
                await fill(spool, ids, mails)
                result = Result(mails)
                result.drained_s = await through(api, url, spool, clock)
            finally:
                await spool.close()
    check(result, database, ids)
    return result


async def _tickets(database: Path, count: int) -> list[str]:
    """Tickets that are just there."""
    made = [f"tkt_{number:026d}" for number in range(count)]
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        known = [row[1] for row in connection.execute("SELECT * FROM pragma_table_info('tickets')")]
        first = dict(zip(known, connection.execute("SELECT * FROM tickets LIMIT 1").fetchone(), strict=True))
        for number, ticket in enumerate(made):
            row = {**first, "id": ticket, "number": str(900_000 + number), "status": "open", "seq": None}
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO tickets ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        connection.commit()
    return made


def main() -> int:
    """Run, and say how it went; 1 when a bound is not kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--tickets", type=int, default=500)
    parser.add_argument("--rate-limit", type=int, default=None, help="requests a minute; none when not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(run(options.mails, options.tickets, Path(directory), limit=options.rate_limit))
    for line in result.wrong:
        print(line)
    print(result.said())
    wanted = 200.0 if options.rate_limit is None else 0.9 * options.rate_limit / 60
    return 1 if result.wrong or result.limited * 100 >= result.requests or result.rate < wanted else 0


if __name__ == "__main__":
    sys.exit(main())
