"""The fault programme: ``python -m tests.faults.programme --each 40`` runs 4,000 cases.

A sandbox and two bridges (one with a key that may not read) are processes of their own; mail comes by SMTP. Each case
has a ticket of its own: its fault is armed for one request, a message is sent, and another one right behind it. The
bridges' waits are ``FASTER`` times as short; their log only tells when a case has ended. What is checked is read from
the sandbox's database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx

from tests.faults.table import KINDS, Case, cases, expected

FASTER = 40.0
KEY, WRITE_ONLY_KEY = "fault-key", "fault-write-only-key"
TIMEOUT_S = "2"
AT_ONCE = 24
CASE_S = 120.0
_ENDS = frozenset({"delivered", "held", "recorded", "discarded"})


class Child:
    """A process whose JSON log is followed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ended: dict[str, asyncio.Future[str]] = {}
        self.found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lines: list[str] = []

    async def follow(self, announces: str) -> None:
        """Read the output until it ends."""
        assert self.process.stdout
        async for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace")
            self.lines = [*self.lines[-200:], line]
            match = re.search(announces, line)
            if match and not self.found.done():
                self.found.set_result(match[1])
            self._event(line)
        if not self.found.done():
            self.found.set_exception(AssertionError("it did not start: " + "".join(self.lines)))

    def _event(self, line: str) -> None:
        if not line.startswith("{"):
            return
        event = json.loads(line)
        if event.get("event") in _ENDS and "entry" in event:
            self.end(event["entry"], str(event["event"]))
        elif event.get("event") == "decided" and event["state"] in _ENDS:
            self.end(event["entry"], f"{event['state']} when read: {event['reason']}")

    def end(self, entry: str, how: str) -> None:
        future = self.of(entry)
        if not future.done():
            future.set_result(how)

    def of(self, entry: str) -> asyncio.Future[str]:
        """How an entry ended."""
        return self.ended.setdefault(entry, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def child(arguments: list[str], announces: str, environ: dict[str, str]) -> AsyncIterator[Child]:
    """A child process, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environ},
        limit=1 << 22,
    )
    made = Child(process)
    follower = asyncio.create_task(made.follow(announces))
    try:
        async with asyncio.timeout(120):
            await made.found
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await follower


def bridge_settings(directory: Path, name: str, url: str, key: str) -> dict[str, str]:
    """The environment of one bridge."""
    return {
        "BRIDGE_LISTEN": "127.0.0.1:0",
        "BRIDGE_HOSTNAME": "bridge.example.com",
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_API_URL": url,
        "BRIDGE_API_KEY": key,
        "BRIDGE_API_TIMEOUT_SECONDS": TIMEOUT_S,
        "BRIDGE_SPOOL_URL": f"sqlite:///{directory}/{name}.db",
        "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
    }


class Programme:
    """Runs cases and keeps what went wrong."""

    def __init__(self, api: httpx.AsyncClient, bridges: dict[str, Child], database: Path) -> None:
        self.api = api
        self.bridges = bridges
        self.database = database
        self.wrong: list[str] = []
        self.ends: Counter[str] = Counter()

    async def run(self, chosen: list[Case]) -> None:
        """All cases, many at once; those that would look like a wrong address one after another."""
        queue = [case for case in chosen if case.kind != "404"]
        random.Random(4).shuffle(queue)
        alone = [case for case in chosen if case.kind == "404"]
        workers = [asyncio.create_task(self._work(queue)) for _ in range(AT_ONCE)]
        await asyncio.gather(*workers)
        await self._work(alone)

    async def _work(self, queue: list[Case]) -> None:
        while queue:
            case = queue.pop()
            try:
                async with asyncio.timeout(CASE_S):
                    await self._case(case)
            except TimeoutError:
                self.wrong.append(f"{case.name}: has not ended")

    async def _case(self, case: Case) -> None:
        bridge = self.bridges["write_only" if case.view == "write_only" else "full"]
        answer = await self.api.post(
            "/api/v2/support/tickets", json={"departmentSlug": "support", "subject": case.name, "message": "."}
        )
        ticket = answer.raise_for_status().json()["id"]
        if case.view in ("null", "trimmed"):
            await self._arm(f"{case.view}_bodies", ticket, on="read", count=None, seconds=600)
        await self._arm("strike", ticket, on="messages", place=case.place, **KINDS[case.kind])
        port = int(await bridge.found)
        first = await send(port, ticket, f"  {case.name} first  \n\n    och ännu en rad \n", case.name + "a")
        second = await send(port, ticket, f"{case.name} second", case.name + "b")
        end, after = await bridge.of(first), await bridge.of(second)
        self.ends[end] += 1
        self._check(case, ticket, end, after)

    async def _arm(self, fault: str, ticket: str, **members: Any) -> None:
        answer = await self.api.post("/sandbox/faults", json={"fault": fault, "ticket": ticket, **members})
        answer.raise_for_status()

    def _check(self, case: Case, ticket: str, end: str, after: str) -> None:
        """What stands on the ticket, by the sandbox's own database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            sql = "SELECT body FROM messages WHERE ticket_id = ? AND sender = 'customer' ORDER BY seq"
            bodies = [str(row[0]) for row in connection.execute(sql, (ticket,))]
        kinds = ["first" if f"{case.name} first" in body else "second" for body in bodies]
        wanted_end, wanted = expected(case)
        if (end, kinds.count("first")) != (wanted_end, wanted):
            self.wrong.append(f"{case.name}: {end}, posted {kinds.count('first')}: should be {wanted_end}, {wanted}")
        if after != "delivered" or kinds.count("second") != 1:
            self.wrong.append(f"{case.name}: the one behind it {after}, posted {kinds.count('second')}")
        if kinds != sorted(kinds):
            self.wrong.append(f"{case.name}: out of order, {kinds}")


async def send(port: int, ticket: str, words: str, name: str) -> str:
    """Send one mail to the bridge; the entry's id."""
    mail = EmailMessage()
    mail["From"] = f"{abs(hash(name))}@example.net"
    mail["To"] = "support@example.com"
    mail["Subject"] = "Re: svar"
    mail["Message-ID"] = f"<{abs(hash(name))}@example.net>"
    mail.set_content(words)
    _, answer = await aiosmtplib.send(
        mail,
        sender="kund@example.net",
        recipients=[f"support+{ticket}@example.com"],
        hostname="127.0.0.1",
        port=port,
        start_tls=False,
        timeout=60,
    )
    return answer.split()[1]


async def run(each: int, directory: Path) -> Programme:
    """The whole programme; what went wrong stands in ``wrong``."""
    database = directory / "sandbox.db"
    arguments = ["-m", "bridge.sandbox", "--bind", "127.0.0.1:0", "--database", str(database)]
    keys = ["--key", KEY, "--write-only-key", WRITE_ONLY_KEY]
    serving = ["-m", "tests.faults.serving", "--faster", str(FASTER)]
    async with child([*arguments, *keys], r"(http://\S+)", {}) as sandbox:
        url = (await sandbox.found).rstrip("/")
        full = child(serving, r'"port": (\d+)', bridge_settings(directory, "full", url, KEY))
        write_only = child(serving, r'"port": (\d+)', bridge_settings(directory, "write", url, WRITE_ONLY_KEY))
        headers = {"Authorization": f"Bearer {KEY}"}
        client = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60)
        async with full as first, write_only as second, client as api:
            programme = Programme(api, {"full": first, "write_only": second}, database)
            await programme.run(cases(each))
    return programme


def main() -> int:
    """Run, and say how it went; 1 when a case did not end as it must."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=40, help="cases of each kind at each place; 40 make 4,000")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        programme = asyncio.run(run(options.each, Path(directory)))
    for line in programme.wrong:
        print(line)
    total = sum(programme.ends.values())
    ends = ", ".join(f"{number} {end}" for end, number in sorted(programme.ends.items()))
    print(f"{total} cases in {time.monotonic() - started:.0f} s: {ends}; {len(programme.wrong)} not as they must be")
    return 1 if programme.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
