"""A sandbox in a thread of its own, spoken to over real sockets; its database is read from outside as the truth."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bridge.sandbox.server import SandboxServer

EXAMPLE = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
NUMBER = "149943"
CLOSED = "tkt_01hwy5k8q2v7n3r6t9x0b4d1fg"
KEY = "sk-test-full"
WRITE_ONLY = "sk-test-write-only"
TICKETS = "/api/v2/support/tickets"
MESSAGES = f"{TICKETS}/{EXAMPLE}/messages"
ATTACHMENTS = "/api/v2/support/attachments"


class Served:
    """One running sandbox."""

    def __init__(self, url: str, database: Path) -> None:
        self.url = url
        self.database = database
        self.anonymous = httpx.Client(base_url=url, trust_env=False, timeout=10)
        self.api = httpx.Client(
            base_url=url, trust_env=False, timeout=10, headers={"Authorization": f"Bearer {KEY}", "User-Agent": "tests"}
        )

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def arm(self, fault: str, **members: object) -> dict[str, Any]:
        answer = self.anonymous.post("/sandbox/faults", json={"fault": fault, **members})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def armed(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.anonymous.get("/sandbox/faults").json()["data"]
        return data

    def post(self, text: str, **members: object) -> httpx.Response:
        return self.api.post(MESSAGES, json={"message": text, **members})

    def customer_words(self) -> list[str]:
        """What customers have written on the example ticket, in the order in which it was stored."""
        query = "SELECT body FROM messages WHERE ticket_id=? AND sender='customer' ORDER BY seq"
        return [body for (body,) in self.rows(query, EXAMPLE)]

    def close(self) -> None:
        self.api.close()
        self.anonymous.close()


@contextmanager
def serving(database: Path, **options: Any) -> Iterator[Served]:
    ready, stop = threading.Event(), asyncio.Event()
    running: dict[str, Any] = {}

    async def live() -> None:
        running["loop"] = asyncio.get_running_loop()
        try:
            async with SandboxServer(
                keys=[KEY], write_only_keys=[WRITE_ONLY], database=str(database), **options
            ) as server:
                running["url"] = server.url
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert ready.wait(10)
    served = Served(running["url"], database)
    try:
        yield served
    finally:
        served.close()
        running["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()
