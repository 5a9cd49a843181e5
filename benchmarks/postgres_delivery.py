"""What several bridges deliver from one spool: ``python -m benchmarks.postgres_delivery [--mails 1500]``.

Mail is put into the spool first; then the bridges are started, and the time is taken from when all of them listen to
the last message on the sandbox's tickets. Bridges, server, sandbox and worker processes share this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from bridge.model import Envelope
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import NewMail
from tests.main_job.running import Bridge, sandbox
from tests.postgres.server import Server, new_schema, servers
from tests.postgres.several import mail, make_tickets

TICKETS = 50
PATIENCE_S = 170.0


async def fill(url: str, tickets: list[str], mails: int) -> None:
    await migrate_postgres(url)
    spool = await open_spool(url, owner="fill", high_water_bytes=1 << 40, min_free_bytes=0)
    for number in range(mails):
        ticket = tickets[number % len(tickets)]
        sender = f"kund-{number}@example.net"
        envelope = Envelope(sender, f"support+{ticket}@example.com", helo="mx", received_at=time.time())
        await spool.accept(NewMail(mail(f"mail-{number:06d}", sender), (envelope,), (ticket,)))
    await spool.close()


def count(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        found: int = connection.execute("SELECT count(*) FROM messages WHERE body LIKE 'mail-%'").fetchone()[0]
        return found
    finally:
        connection.close()


def rate(server: Server, bridges: int, mails: int) -> float:
    """Messages a second."""
    url = new_schema(server)
    with tempfile.TemporaryDirectory() as name, sandbox(directory := Path(name)) as api:
        asyncio.run(fill(url, make_tickets(api, TICKETS), mails))
        running = [Bridge(directory, api.url, BRIDGE_SPOOL_URL=url) for _ in range(bridges)]
        database, deadline = directory / "sandbox.db", time.monotonic() + PATIENCE_S
        before, started = count(database), time.monotonic()
        while (done := count(database)) < mails and time.monotonic() < deadline:
            time.sleep(0.1)
        spent = time.monotonic() - started
        for bridge in running:
            bridge.process.kill()
    assert done > before, "all was delivered before the last bridge listened: more mails are needed"
    return (done - before) / spent


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=1500)
    parser.add_argument("--bridges", type=int, nargs="+", default=[1, 2])
    wanted = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    with servers() as made:
        server = made.server()
        for bridges in wanted.bridges:
            print(f"{bridges} bridges: {rate(server, bridges, wanted.mails):.1f} messages/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
