"""Mails made to break their reader are delivered or held, soon, and disturb nobody."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable

import anyio
import pytest

from bridge import pipeline
from bridge.errors import UnreadableMail
from bridge.isolation import Isolation
from bridge.model import Context, Envelope
from bridge.reference import AddressKeys
from tests.mail.bombs import BOMBS
from tests.main_job.conftest import api, make_bridge
from tests.main_job.running import TICKET, Api, Bridge, eventually

__all__ = ["api", "make_bridge"]
WALL_S = 4.0
TRIES = 3
"""The clock of a busy machine runs for others too: the best of so many tries counts."""
POLICY = pipeline.Policy(loop_marker="bridge.example.com")
ENVELOPE = Envelope("c@example.net", f"support+{TICKET}@example.com")
ADDRESSED = pipeline.address(
    ENVELOPE,
    domains=frozenset({"example.com"}),
    mailboxes=frozenset({"support"}),
    keys=AddressKeys(),
    signed="off",
)
LIGHT = sorted(set(BOMBS) - {"encoded", "eight_bit", "words", "tables", "formatting", "links", "entities"})


@pytest.mark.parametrize("name", LIGHT)
def test_bomb_is_read(name: str) -> None:
    raw = BOMBS[name]()
    begin = time.process_time()
    mail = pipeline.read(raw)
    assert time.process_time() - begin < WALL_S / 2
    assert mail.size == len(raw)
    assert mail.unseen or mail.attachments or "hello" in (mail.text or "") + (mail.html or "")


async def _answer(reader: Isolation, raw: bytes) -> str:
    try:
        mail = await reader.read(raw)
        return (await reader.decide(mail, ENVELOPE, ADDRESSED, POLICY, Context())).verdict.action
    except UnreadableMail as error:
        return f"hold ({error.defect})"


@pytest.mark.system
@pytest.mark.timeout(300)
def test_every_bomb_is_answered_in_time() -> None:
    async def all_of_them() -> dict[str, tuple[float, str]]:
        reader = Isolation(1)
        await _answer(reader, b"From: c@example.net\r\n\r\nwarm\r\n")
        late = {}
        for name, make in BOMBS.items():
            raw, took, action = make(), [], ""
            while not took or (min(took) > WALL_S and len(took) < TRIES):
                begin = time.perf_counter()
                action = await _answer(reader, raw)
                took.append(time.perf_counter() - begin)
            if min(took) > WALL_S or action.split()[0] not in ("deliver", "hold"):
                late[name] = (min(took), action)
        return late

    assert anyio.run(all_of_them) == {}


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_service_that_is_sent_every_bomb(make_bridge: Callable[..., Bridge], api: Api) -> None:
    bridge = make_bridge()
    pid = bridge.process.child.pid
    for name, make in BOMBS.items():
        raw = make()
        with smtplib.SMTP("127.0.0.1", bridge.port, timeout=60) as client:
            refused = client.sendmail("c@example.net", ["support@example.com"], raw)
            assert refused == {}, name
    bridge.send("From: c@example.net\r\nSubject: x\r\n\r\nan ordinary mail\r\n")
    assert eventually(lambda: "an ordinary mail" in api.bodies(), within_s=120)
    states = eventually(lambda: _settled(bridge), within_s=120)
    assert len(states) == len(BOMBS) + 1
    assert set(states) <= {"held", "delivered"}
    assert bridge.process.child.poll() is None
    assert bridge.process.child.pid == pid


def _settled(bridge: Bridge) -> list[str]:
    states = [str(entry["state"]) for entry in bridge.queue()]
    return [] if {"received", "ready", "sending"} & set(states) else states
