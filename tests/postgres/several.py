"""Several bridges on one spool, senders that keep an order, and the sandbox's database as the only witness.

``python -m tests.postgres.several --bridges 4 --mails 5000 --tickets 50 --freeze 40`` runs it at full scale.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import smtplib
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from bridge.spool import migrate_postgres
from tests.main_job.running import Api, Bridge, sandbox
from tests.postgres.server import Server, new_schema, servers

SMTP_S = 8.0
SENDERS = 10


@dataclass
class Sent:
    """What was answered with 250, in order, by ticket."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0


def mail(body: str, sender: str) -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"], made["Message-ID"] = sender, "Re: your ticket", f"<{body}@example.net>"
    made.set_content(body)
    return made.as_bytes()


def send(ports: Sequence[int], tickets: Sequence[str], each: int, sent: Sent, stop: threading.Event) -> None:
    """Round robin over the bridges; what is not acknowledged goes to the next one, as a relay would have it."""
    clients: dict[int, smtplib.SMTP] = {}
    turn = 0
    for number in range(each):
        for ticket in tickets:
            body = f"mail-{ticket[-6:]}-{number:05d}"
            raw = mail(body, f"kund-{number}@example.net")
            while not stop.is_set():
                port = ports[turn % len(ports)]
                turn += 1
                try:
                    client = clients.get(port) or smtplib.SMTP("127.0.0.1", port, timeout=SMTP_S)
                    clients[port] = client
                    client.sendmail("c@example.net", [f"support+{ticket}@example.com"], raw)
                except (OSError, smtplib.SMTPException):
                    clients.pop(port, None)
                    sent.repeated += 1
                    time.sleep(0.05)
                    continue
                sent.acknowledged.setdefault(ticket, []).append(body)
                break
    for client in clients.values():
        client.close()


def posted(database: Path, tickets: Sequence[str]) -> dict[str, list[str]]:
    """What stands on each ticket, in order, from the sandbox's database."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT ticket_id, body FROM messages WHERE body LIKE 'mail-%' ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()
    found: dict[str, list[str]] = {ticket: [] for ticket in tickets}
    for ticket, body in rows:
        found[ticket].append(body)
    return found


def make_tickets(api: Api, count: int) -> list[str]:
    made = []
    for number in range(count):
        answer = api.client.post(
            "/api/v2/support/tickets",
            json={"departmentSlug": "support", "subject": f"Ticket {number}", "message": "Hello"},
        )
        answer.raise_for_status()
        made.append(answer.json()["id"])
    return made


@dataclass(frozen=True)
class Result:
    """What came of it."""

    acknowledged: int
    posted: int
    lost: int
    twice: int
    disordered: int
    repeated: int
    sending_s: float
    whole_s: float

    def well(self) -> bool:
        return self.lost == self.twice == self.disordered == 0


def judge(sent: Sent, found: dict[str, list[str]], sending_s: float, whole_s: float) -> Result:
    lost = twice = disordered = 0
    for ticket, bodies in sent.acknowledged.items():
        there = found[ticket]
        lost += len(set(bodies) - set(there))
        twice += sum(number - 1 for number in Counter(there).values())
        disordered += [body for body in there if body in set(bodies)] != bodies
    acknowledged = sum(len(bodies) for bodies in sent.acknowledged.values())
    total = sum(len(bodies) for bodies in found.values())
    return Result(acknowledged, total, lost, twice, disordered, sent.repeated, sending_s, whole_s)


def run(
    server: Server, directory: Path, *, bridges: int, mails: int, tickets: int, freeze_s: float, patience_s: float
) -> Result:
    """Send, freeze one bridge meanwhile, wait until everything acknowledged is there, and judge."""
    url = new_schema(server)
    asyncio.run(migrate_postgres(url))
    with sandbox(directory) as api:
        names = make_tickets(api, tickets)
        running = [Bridge(directory, api.url, BRIDGE_SPOOL_URL=url) for _ in range(bridges)]
        try:
            return _run(running, directory / "sandbox.db", names, mails, freeze_s, patience_s)
        finally:
            for bridge in running:
                bridge.process.kill()


def _run(
    running: Sequence[Bridge], database: Path, names: Sequence[str], mails: int, freeze_s: float, patience_s: float
) -> Result:
    sent, stop = Sent(), threading.Event()
    ports = [bridge.port for bridge in running]
    groups = [names[start::SENDERS] for start in range(SENDERS) if names[start::SENDERS]]
    started = time.monotonic()
    threads = [threading.Thread(target=send, args=(ports, group, mails // len(names), sent, stop)) for group in groups]
    for thread in threads:
        thread.start()
    if freeze_s:
        time.sleep(1.5)
        frozen = running[-1].process.child
        _freeze(frozen.pid, signal.SIGSTOP)
        time.sleep(freeze_s)
        _freeze(frozen.pid, signal.SIGCONT)
    for thread in threads:
        thread.join(patience_s)
    stop.set()
    sending_s = time.monotonic() - started
    deadline = time.monotonic() + patience_s
    while True:
        result = judge(sent, posted(database, names), sending_s, time.monotonic() - started)
        if not result.lost or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    # What would be posted twice would come now: looks for unknown outcomes end after 60 s.
    time.sleep(3.0)
    return judge(sent, posted(database, names), sending_s, result.whole_s)


def _freeze(pid: int, number: int) -> None:
    os.kill(pid, number)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, default in (("bridges", 2), ("mails", 5000), ("tickets", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, seconds in (("freeze", 30.0), ("patience", 600.0)):
        parser.add_argument(f"--{name}", type=float, default=seconds)
    wanted = parser.parse_args()
    with servers() as made, tempfile.TemporaryDirectory() as directory:
        result = run(
            made.server(),
            Path(directory),
            bridges=wanted.bridges,
            mails=wanted.mails,
            tickets=wanted.tickets,
            freeze_s=wanted.freeze,
            patience_s=wanted.patience,
        )
    print(wanted, result)
    return 0 if result.well() else 1


if __name__ == "__main__":
    sys.exit(main())
