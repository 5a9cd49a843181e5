"""A sandbox, a spool and delivery, all real and in one event loop, with waits 100 times as short."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import structlog

from bridge.delivery import Delivery, Gate, Ledger, Pace, Sending, SendingConfig, TicketApi, nothing
from bridge.delivery.outgoing import NEW, lane_of_new
from bridge.mail import attachment_bytes
from bridge.model import Attachment, Envelope
from bridge.sandbox.server import SandboxServer
from bridge.spool import Spool, open_spool
from bridge.spool.api import Claim, Detail, NewMail, State
from tests.spool.samples import decision

KEY, WRITE_ONLY = "world-key", "world-write-only"
TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
OTHER = "tkt_01hxa9c8d7e6f5g4h3j2k1m0np"
CLOSED = "tkt_01hwy5k8q2v7n3r6t9x0b4d1fg"
MAIL = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
    b"Content-Type: text/x-log; name=a.log\r\nContent-Disposition: attachment; filename=a.log\r\n\r\nlines\r\n--b--\r\n"
)
FILE = Attachment("2", "a.log", "text/x-log", 5, "d1")
ENDS = frozenset({State.HELD, State.DELIVERED, State.RECORDED, State.DISCARDED})


class World:
    """What a test can do."""

    def __init__(
        self, spool: Spool, api: httpx.AsyncClient, client: TicketApi, gate: Gate, running: asyncio.Task[None]
    ) -> None:
        self.spool, self.api, self.client, self.gate, self.running = spool, api, client, gate, running

    async def claimed(self, words: str) -> Claim:
        """A mail that was accepted and decided, in a worker's hands."""
        self.gate.shut_for_key()
        await self.give(words)
        [claim] = await self.spool.claim_ready(1, 60)
        return claim

    async def give(self, words: str, lane: str = TICKET, **members: Any) -> str:
        """A mail that was accepted and decided; its entry's id."""
        await self.spool.accept(NewMail(MAIL, (Envelope("c@example.net", f"support+{lane}@example.com"),), ("",)))
        [claim] = await self.spool.claim_received(1, 60)
        made = decision(message_id=words, text=words)
        made = replace(made, **{"attachments": (), "findings": (), **members})
        lane = lane_of_new(claim, made) if lane == NEW else lane
        await self.spool.decided(claim, made, state=State.READY, lane=lane, body_digest="")
        return claim.entry.id

    async def end(self, entry: str) -> Detail:
        """The entry once nothing is to be done with it."""
        async with asyncio.timeout(30):
            while (detail := await self.spool.detail(entry)).entry.state not in ENDS:
                await asyncio.sleep(0.02)
        return detail

    async def post(self, words: str, lane: str = TICKET, **members: Any) -> Detail:
        """Give a mail and wait for its end."""
        return await self.end(await self.give(words, lane, **members))

    async def arm(self, fault: str, **members: Any) -> None:
        """Arm a fault of the sandbox."""
        (await self.api.post("/sandbox/faults", json={"fault": fault, **members})).raise_for_status()

    async def close(self, ticket: str) -> None:
        """Close a ticket, as staff do."""
        (await self.api.post(f"/api/v2/support/tickets/{ticket}/actions/close")).raise_for_status()

    async def bodies(self, ticket: str = TICKET) -> list[dict[str, Any]]:
        """The customer's messages that were not there at first."""
        found = (await self.api.get(f"/api/v2/support/tickets/{ticket}")).json()["messages"]
        return [item for item in found if item["senderName"] == "Maja Lindqvist" or item["sender"] == "customer"]


@asynccontextmanager
async def world(directory: Path, *, key: str = KEY, concurrency: int = 8, **config: Any) -> AsyncIterator[World]:
    """A running world."""
    pace, chance, log = Pace().faster(100), random.Random(1), structlog.get_logger()
    keys = {"keys": [KEY], "write_only_keys": [WRITE_ONLY]}
    spool = await open_spool(
        f"sqlite:///{directory}/spool.db", owner="world", high_water_bytes=1 << 30, min_free_bytes=0
    )
    await spool.recover()
    async with SandboxServer("127.0.0.1:0", database=str(directory / "sandbox.db"), **keys) as sandbox:
        client = TicketApi(sandbox.url, lambda: key, timeout_s=1.0)
        gate = Gate(client, spool, limit=concurrency, clock=time.time, log=log, chance=chance, pace=pace)
        ledger = Ledger(spool, time.time, chance, pace, log, nothing)

        async def attachment(raw: bytes, path: str) -> BinaryIO:
            return io.BytesIO(attachment_bytes(raw, path))

        sending = Sending(ledger, client, gate, SendingConfig(department="support", **config), attachment)
        delivery = Delivery(spool, sending, gate, concurrency=concurrency, idle_s=0.02, log=log)
        running = asyncio.create_task(delivery.run())
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as api:
            try:
                yield World(spool, api, client, gate, running)
            finally:
                delivery.stop()
                if not running.cancelled():
                    await running
                await gate.close()
                await client.close()
    await spool.close()
