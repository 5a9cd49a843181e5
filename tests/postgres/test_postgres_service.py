"""A whole bridge on PostgreSQL: mail through SMTP while the server is away, the page, queue actions, retention."""

from __future__ import annotations

import asyncio
import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.ops.meter import Meter
from bridge.spool import migrate_postgres, open_spool
from tests.main_job.running import TICKET, Api, Bridge, eventually, sandbox
from tests.ops.test_ops_page import Served
from tests.postgres.server import Database, new_schema, servers
from tests.postgres.several import mail
from tests.spool.samples import Clock

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
TOKEN = "a-token-of-the-operators"
SENDER = "kund@example.net"


@contextmanager
def serving(directory: Path, server: Database, **settings: str) -> Iterator[tuple[Bridge, Api]]:
    url = new_schema(server)
    asyncio.run(migrate_postgres(url))
    with sandbox(directory) as api:
        bridge = Bridge(directory, api.url, BRIDGE_SPOOL_URL=url, **settings)
        try:
            yield bridge, api
        finally:
            bridge.process.kill()


def answer(bridge: Bridge, body: str) -> int:
    """Send one mail; the code of the reply that decided about it."""
    with smtplib.SMTP("127.0.0.1", bridge.port, timeout=60) as client:
        client.ehlo()
        for code, _ in (client.mail(SENDER), client.rcpt(f"support+{TICKET}@example.com")):
            if code != 250:
                return code
        return client.data(mail(body, SENDER))[0]


def test_while_the_server_is_away_the_relay_keeps_the_mail(tmp_path: Path) -> None:
    with servers() as made:
        server = made.server()
        with serving(tmp_path, server) as (bridge, api):
            assert answer(bridge, "before") == 250
            assert eventually(lambda: api.bodies() == ["before"])
            server.stop()
            for body in ("kept by the relay", "kept, too"):
                assert answer(bridge, body) in (451, 452)
            assert bridge.process.child.poll() is None
            server.start()
            assert eventually(lambda: answer(bridge, "kept by the relay") == 250, 60)
            assert eventually(lambda: api.bodies() == ["before", "kept by the relay"], 60)
            assert [entry["state"] for entry in bridge.queue()] == ["delivered"] * 2


def held(bridge: Bridge, *bodies: str) -> list[str]:
    """Mails that name no ticket."""
    for body in bodies:
        bridge.send(mail(body, SENDER).replace(b"your ticket", b"a question"), "support@example.com", SENDER)
    found = eventually(lambda: [entry["id"] for entry in bridge.queue("--state", "held")][len(bodies) - 1 :], 60)
    assert found
    return [entry["id"] for entry in bridge.queue("--state", "held")]


def test_queue_actions_beside_a_bridge_that_serves(tmp_path: Path, postgres_server: Database) -> None:
    with serving(tmp_path, postgres_server) as (bridge, api):
        first, second = held(bridge, "to the right ticket", "advertising")
        assert "done" in bridge.command("queue", "redirect", first, TICKET, "--note", "customer called").stdout
        assert "done" in bridge.command("queue", "discard", second).stdout
        assert eventually(api.bodies) == ["to the right ticket"]
        assert eventually(lambda: [e["state"] for e in bridge.queue()] == ["delivered", "discarded"])
        shown = bridge.command("queue", "show", first).stdout
        assert "customer called" in shown


def test_the_page_shows_and_moves_entries(tmp_path: Path, postgres_server: Database) -> None:
    settings = {"BRIDGE_OPS_BIND": "127.0.0.1:0", "BRIDGE_OPS_TOKEN": TOKEN}
    with serving(tmp_path, postgres_server, **settings) as (bridge, api):
        (entry,) = held(bridge, "to the right ticket")
        (line,) = [line for line in bridge.process.output if '"event": "page"' in line]
        url = re.search(r'"url": "([^"]+)"', line)
        assert url
        clock = Clock()
        browser = Served(url[1], clock, Meter(clock))
        browser.login()
        assert SENDER in browser.client.get(f"/entries/{entry}").text
        assert browser.press(f"/entries/{entry}/redirect", ticket=TICKET).status_code == 303
        assert eventually(api.bodies) == ["to the right ticket"]
        assert browser.client.get("/readyz").status_code == 200
        browser.client.close()


def test_what_is_past_its_retention_is_erased_beside_a_bridge_that_serves(
    tmp_path: Path, postgres_server: Database
) -> None:
    with serving(tmp_path, postgres_server) as (bridge, api):
        assert answer(bridge, "soon forgotten") == 250
        assert eventually(lambda: [e["state"] for e in bridge.queue()] == ["delivered"])
        (waiting,) = held(bridge, "held and kept")

        async def erase() -> int:
            url = bridge.environ["BRIDGE_SPOOL_URL"]
            spool = await open_spool(url, owner="housekeeping", high_water_bytes=1 << 30, min_free_bytes=0)
            try:
                return await spool.erase(ended_before=time.time() + 1, held_before=0)
            finally:
                await spool.close()

        assert asyncio.run(erase()) == 1
        gone = bridge.queue("--state", "delivered")[0]["id"]
        assert "soon forgotten" not in bridge.command("queue", "show", gone, "--text", check=False).stdout
        assert "held and kept" in bridge.command("queue", "show", waiting, "--text").stdout
        assert "done" in bridge.command("queue", "redirect", waiting, TICKET).stdout
        assert eventually(lambda: api.bodies() == ["soon forgotten", "held and kept"])
