"""Kills: ``python -m tests.faults.kills --each 25 --random 500``; what is checked is read from the sandbox's database.

At every named point of a mail's way the bridge is killed ``--each`` times (it kills itself there, as ``kill -9`` does),
and ``--random`` times more at random moments under load. After the last one it runs on until nothing waits. Everything
that was acknowledged must then stand on its ticket once, and in order; and each start must be up again within
``WITHIN_S``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx

from bridge.delivery import Point
from tests.faults.programme import FASTER, KEY, Child, bridge_settings, child

WITHIN_S = 5.0
SETTLE_S = 180.0
TICKETS, MAILS = 2, 4
"""Tickets of one round, and mails, on one ticket after another; each point is passed once on every ticket."""
_WITH_A_FILE = frozenset({Point.UPLOAD_INTENDED, Point.UPLOADED, Point.UPLOAD_SETTLED})
_CLOSED = frozenset({Point.EXAMINING, Point.EXAMINED, Point.REOPEN_INTENDED, Point.REOPENED, Point.REOPEN_SETTLED})
_DOUBTFUL = frozenset({Point.LOOKED})


@dataclass
class Result:
    """What was found."""

    kills: int = 0
    mails: int = 0
    wrong: list[str] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)

    def said(self) -> str:
        """In one line."""
        slow = sum(start > WITHIN_S for start in self.starts_s)
        median, most = statistics.median(self.starts_s), max(self.starts_s)
        return (
            f"{self.kills} kills, {self.mails} mails acknowledged, {len(self.wrong)} lost, twice or out of order; "
            f"up again in {median:.1f} s (median), {most:.1f} s (most), {slow} times over {WITHIN_S:.0f} s"
        )


class Killing:
    """One bridge that is killed again and again, and the tickets that it writes on."""

    def __init__(self, api: httpx.AsyncClient, directory: Path, name: str, url: str, result: Result) -> None:
        self.api = api
        self.name = name
        self.environ = bridge_settings(directory, name, url, KEY)
        self.result = result
        self.tickets: list[str] = []
        self.acknowledged: list[tuple[str, str]] = []
        """Ticket and words of every mail that was answered with 250, in order."""
        self.chance = random.Random(name)

    async def prepare(self, tickets: int, *, closed: bool = False, doubtful: bool = False) -> None:
        """Open new tickets, and give them what the point to be tried needs."""
        self.tickets = []
        for number in range(tickets):
            members = {"departmentSlug": "support", "subject": f"{self.name} {number}", "message": "."}
            answer = await self.api.post("/api/v2/support/tickets", json=members)
            self.tickets.append(answer.raise_for_status().json()["id"])
        for ticket in self.tickets:
            if closed:
                (await self.api.post(f"/api/v2/support/tickets/{ticket}/actions/close")).raise_for_status()
            if doubtful:
                fault: dict[str, Any] = {"fault": "strike", "how": "reset", "place": "applied", "on": "messages"}
                (await self.api.post("/sandbox/faults", json={**fault, "ticket": ticket})).raise_for_status()

    def start(self, die: str = "") -> Any:
        """A bridge on the spool, which dies as told."""
        arguments = ["-m", "tests.faults.serving", "--faster", str(FASTER), *(["--die", die] if die else [])]
        return child(arguments, r'"port": (\d+)', self.environ)

    async def send(self, port: int, count: int, *, with_a_file: bool = False) -> None:
        """Send until the bridge dies; what was answered with 250 is acknowledged."""
        try:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=30) as client:
                for number in range(count):
                    ticket = self.tickets[number % len(self.tickets)]
                    words = f"{self.name} mail {len(self.acknowledged)} {self.chance.random():.12f}"
                    await client.send_message(_mail(words, with_a_file=with_a_file), recipients=[_address(ticket)])
                    self.acknowledged.append((ticket, words))
        except (OSError, aiosmtplib.SMTPException):
            return

    async def round(self, point: Point) -> None:
        """One start, some mails, one death."""
        await self.prepare(TICKETS, closed=point in _CLOSED, doubtful=point in _DOUBTFUL)
        started = time.monotonic()
        async with self.start(f"{point}:{self.chance.randint(1, TICKETS)}") as bridge:
            self.result.starts_s.append(time.monotonic() - started)
            await self.send(int(await bridge.found), MAILS, with_a_file=point in _WITH_A_FILE)
            try:
                async with asyncio.timeout(30):
                    await bridge.process.wait()
            except TimeoutError:
                self.result.wrong.append(f"{self.name}: did not die at {point}")
        self.result.kills += 1

    async def round_at_random(self) -> None:
        """One start, load from several senders, one death at any time."""
        started = time.monotonic()
        async with self.start() as bridge:
            self.result.starts_s.append(time.monotonic() - started)
            port = int(await bridge.found)
            sender = asyncio.create_task(self.send(port, 200))
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))
            bridge.process.kill()
            await sender
        self.result.kills += 1

    async def finish(self) -> None:
        """Run on until nothing waits, then compare."""
        async with self.start() as bridge:
            await self._drained(bridge)
        self.result.mails += len(self.acknowledged)

    async def _drained(self, bridge: Child) -> None:
        path = self.environ["BRIDGE_SPOOL_URL"].removeprefix("sqlite:///")
        deadline = time.monotonic() + SETTLE_S
        sql = "SELECT count(*) FROM entries WHERE state IN ('received', 'ready', 'sending', 'unknown')"
        while time.monotonic() < deadline:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                if connection.execute(sql).fetchone()[0] == 0:
                    return
            await asyncio.sleep(0.2)
        self.result.wrong.append(f"{self.name}: mail still waits: {''.join(bridge.lines[-5:])}")

    def check(self, database: Path) -> None:
        """By the sandbox's database: once, and in order; what was not acknowledged may be there, but once too."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            sql = "SELECT ticket_id, body FROM messages WHERE sender = 'customer' AND body LIKE ? ORDER BY seq"
            posted = [(ticket, body.strip()) for ticket, body in connection.execute(sql, (f"{self.name} mail%",))]
        wrong = [
            f"{self.name}: lost: {words}" for item in self.acknowledged if item not in posted for words in item[1:]
        ]
        wrong += [f"{self.name}: posted twice: {item[1]}" for item in set(posted) if posted.count(item) > 1]
        for ticket in {ticket for ticket, _ in posted}:
            there = [item for item in posted if item[0] == ticket and item in self.acknowledged]
            if there != [item for item in self.acknowledged if item[0] == ticket and item in there]:
                wrong.append(f"{self.name}: out of order on {ticket}")
        self.result.wrong += wrong


def _address(ticket: str) -> str:
    return f"support+{ticket}@example.com"


def _mail(words: str, *, with_a_file: bool) -> EmailMessage:
    mail = EmailMessage()
    # Senders differ: more than 20 mails of one sender to one ticket are held, rightly.
    mail["From"] = f"{abs(hash(words))}@example.net"
    mail["To"] = "support@example.com"
    mail["Subject"] = "Re: svar"
    mail["Message-ID"] = f"<{abs(hash(words))}@example.net>"
    mail.set_content(words)
    if with_a_file:
        mail.add_attachment(words.encode(), maintype="text", subtype="x-log", filename="log.txt")
    return mail


async def _points(work: list[Point], each: int, api: httpx.AsyncClient, directory: Path, url: str) -> list[Killing]:
    """Points one after another, each with a spool of its own."""
    done = []
    result = Result()
    while work:
        point = work.pop(0)
        killing = Killing(api, directory, f"at_{point}", url, result)
        for _ in range(each):
            await killing.round(point)
        await killing.finish()
        done.append(killing)
    return done


async def _at_random(rounds: int, api: httpx.AsyncClient, directory: Path, url: str) -> list[Killing]:
    killing = Killing(api, directory, "at_random", url, Result())
    await killing.prepare(20)
    for _ in range(rounds):
        await killing.round_at_random()
    await killing.finish()
    return [killing]


async def run(each: int, rounds: int, directory: Path) -> Result:
    """Both programmes; two bridges are killed at a time."""
    database = directory / "sandbox.db"
    arguments = ["-m", "bridge.sandbox", "--bind", "127.0.0.1:0", "--database", str(database), "--key", KEY]
    async with child(arguments, r"(http://\S+)", {}) as sandbox:
        url = (await sandbox.found).rstrip("/")
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as api:
            work = list(Point) if each else []
            done = await asyncio.gather(*(_points(work, each, api, directory, url) for _ in range(2)))
            if rounds:
                done.append(await _at_random(rounds, api, directory, url))
    total = Result()
    for killing in (killing for group in done for killing in group):
        killing.check(database)
    for result in {id(killing.result): killing.result for group in done for killing in group}.values():
        total.kills += result.kills
        total.mails += result.mails
        total.wrong += result.wrong
        total.starts_s += result.starts_s
    return total


def main() -> int:
    """Run, and say how it went; 1 when something was lost, posted twice or out of order, or a start took too long."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=25, help="kills at each named point")
    parser.add_argument("--random", type=int, default=500, help="kills at random moments under load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(run(options.each, options.random, Path(directory)))
    for line in result.wrong:
        print(line)
    print(result.said())
    return 1 if result.wrong or statistics.median(result.starts_s) > WITHIN_S else 0


if __name__ == "__main__":
    sys.exit(main())
