"""Reading and resolving against a sandbox and a spool that are real; only the worker processes are left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge import composition, pipeline
from bridge.delivery import Reading, ReadingConfig, Resolver, giving_back, reading
from bridge.delivery.resolver import Resolution, staff_texts
from bridge.environment import load
from bridge.errors import SpoolBroken, SpoolBusy, UnreadableMail
from bridge.model import Envelope, InboundMail
from bridge.reasons import Reason
from bridge.spool.api import NewMail, State
from tests.delivery.test_delivery_states import play
from tests.delivery.world import TICKET, WRITE_ONLY, World

NUMBER = "149943"
MAIL = (
    b"From: Maja <maja@example.org>\r\nTo: support@example.com\r\nSubject: hello\r\nMessage-ID: <1@x>\r\n"
    b"\r\nThanks a lot!\r\n"
)


class Here:
    """Reads and decides in this process, and fails as it is told to."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []

    async def read(self, raw: bytes) -> InboundMail:
        if self.failures:
            raise self.failures.pop(0)
        return pipeline.read(raw)

    async def decide(self, *arguments: Any) -> Any:
        return pipeline.decide(*arguments)


class Desk:
    """A world with a reader."""

    def __init__(self, there: World, **config: Any) -> None:
        settings, _ = load({"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY": "k"})
        policy = replace(composition.policy(settings), **{k: v for k, v in config.items() if k != "shadow"})
        self.there, self.here = there, Here()
        self.resolver = Resolver(there.client, there.gate, there.spool)
        here: Any = self.here
        self.reading = Reading(
            there.spool,
            here,
            self.resolver,
            ReadingConfig(policy, shadow=bool(config.get("shadow")), idle_s=0.02),
            composition.addresser(settings),
            clock=time.time,
            log=structlog.get_logger(),
        )
        self.reading.adopt(policy)

    async def take(self, recipient: str, raw: bytes = MAIL) -> str:
        [entry] = await self.there.spool.accept(NewMail(raw, (Envelope("maja@example.org", recipient),), ("",)))
        return entry


def read(directory: Path, scene: Callable[[Desk], Awaitable[None]], *, key: str = "world-key", **config: Any) -> None:
    async def run(there: World) -> None:
        desk = Desk(there, **config)
        running = asyncio.create_task(desk.reading.run())
        try:
            await scene(desk)
        finally:
            desk.reading.stop()
            await running

    play(directory, run, key=key)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RESOLVE_DELAYS_S", (0.05,))
    monkeypatch.setattr(reading, "BUSY_S", 0.01)
    monkeypatch.setattr(giving_back, "BUSY_S", 0.01)


def test_a_number_is_resolved_once_and_kept(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        await desk.there.arm("strike", on="read", place="head", how="answer", status=503)
        detail = await desk.there.end(await desk.take(f"support+{NUMBER}@example.com"))
        assert (detail.entry.state, detail.entry.lane) == (State.DELIVERED, TICKET)
        assert await desk.there.spool.ticket_of(NUMBER) == TICKET
        await desk.there.arm("strike", on="read", place="head", how="answer", status=404, count=100)
        again = MAIL.replace(b"<1@x>", b"<2@x>").replace(b"a lot", b"again")
        detail = await desk.there.end(await desk.take(f"support+{NUMBER}@example.com", again))
        assert (detail.entry.state, detail.entry.lane) == (State.DELIVERED, TICKET)

    read(tmp_path, scene)


def test_a_number_that_nobody_has_is_held(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        detail = await desk.there.end(await desk.take("support+1@example.com"))
        assert (detail.entry.state, detail.entry.reason) == (State.HELD, Reason.TICKET_NOT_FOUND)

    read(tmp_path, scene)


def test_a_number_that_a_proxy_blocks_does_not_stop_all_mail_for_ever(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        await desk.there.arm("strike", on="read", place="head", how="answer", status=404, form="html", count=100)
        blocked = await desk.take(f"support+{NUMBER}@example.com")
        behind = await desk.take(f"support+{TICKET}@example.com", MAIL.replace(b"<1@x>", b"<2@x>"))
        detail = await desk.there.end(blocked)
        assert (detail.entry.state, detail.entry.reason) == (State.HELD, Reason.TICKET_UNRESOLVED)
        assert (await desk.there.end(behind)).entry.state is State.DELIVERED

    read(tmp_path, scene)


def test_a_mail_that_breaks_its_reader_is_held_and_no_other(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        for failure in (UnreadableMail("timeout"), ZeroDivisionError(), SpoolBroken("one mail is damaged")):
            desk.here.failures = [failure]
            detail = await desk.there.end(await desk.take(f"support+{TICKET}@example.com"))
            assert (detail.entry.state, detail.entry.reason) == (State.HELD, Reason.UNREADABLE)
        desk.here.failures = [SpoolBusy("busy")]
        detail = await desk.there.end(await desk.take(f"support+{TICKET}@example.com"))
        assert detail.entry.state is State.DELIVERED

    read(tmp_path, scene)


def test_a_busy_spool_and_a_lost_claim_cost_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(desk: Desk) -> None:
        spool = desk.there.spool
        honest, failures = spool.claim_received, [SpoolBusy("busy")]

        async def claim(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return await honest(*arguments)

        monkeypatch.setattr(spool, "claim_received", claim)
        detail = await desk.there.end(await desk.take(f"support+{TICKET}@example.com"))
        assert detail.entry.state is State.DELIVERED
        assert not failures

    read(tmp_path, scene)


def test_a_mail_without_a_ticket_opens_one(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        entries = [await desk.take("support@example.com") for _ in range(2)]
        ends = [(await desk.there.end(entry)).entry for entry in entries]
        assert [entry.state for entry in ends] == [State.DELIVERED, State.RECORDED]
        assert ends[0].lane.startswith("tkt_")

    read(tmp_path, scene, no_ticket="create")


def test_in_the_shadow_only_what_a_person_released_goes_out(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        detail = await desk.there.end(await desk.take(f"support+{TICKET}@example.com"))
        assert (detail.entry.state, detail.entry.reason) == (State.RECORDED, Reason.SHADOW)

    read(tmp_path, scene, shadow=True)


@pytest.mark.parametrize(
    ("faults", "failures", "found"),
    [
        ([], 0, Resolution(TICKET)),
        ([{"status": 503}], 0, Resolution(counted=True)),
        ([{"status": 503}], 2, Resolution(hold=Reason.TICKET_UNRESOLVED)),
        ([{"status": 403}], 0, Resolution(hold=Reason.TICKET_FORBIDDEN)),
        ([{"status": 401}], 2, Resolution()),
        ([{"status": 404, "form": "html"}], 0, Resolution(counted=True)),
        ([{"status": 403}, {"on": "list", "status": 503}], 0, Resolution()),
        ([{"status": 403}, {"on": "list", "status": 403}, {"on": "messages", "status": 403}], 0, Resolution()),
    ],
)
def test_what_a_lookup_leads_to(tmp_path: Path, faults: list[dict[str, Any]], failures: int, found: Resolution) -> None:
    async def scene(there: World) -> None:
        for fault in faults:
            await there.arm("strike", **{"on": "read", "place": "head", "how": "answer", **fault})
        resolver = Resolver(there.client, there.gate, there.spool)
        assert await resolver.resolve(NUMBER, failures) == found

    play(tmp_path, scene)


def test_a_key_that_may_not_read_resolves_nothing(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        resolver = Resolver(there.client, there.gate, there.spool)
        assert await resolver.resolve(NUMBER, 0) == Resolution(hold=Reason.TICKET_UNRESOLVED)
        there.gate.shut_for_key()
        assert await resolver.resolve(NUMBER, 0) == Resolution()
        assert await resolver.copied(TICKET) is None

    play(tmp_path, scene, key=WRITE_ONLY)


def test_whom_a_ticket_copies(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        resolver = Resolver(there.client, there.gate, there.spool)
        made = await there.client.create("support", "subject", "words", ("Bo@Example.org",))
        assert await resolver.copied(str(made.body["id"])) == {"bo@example.org"}
        await there.arm("strike", on="read", place="head", how="answer", status=403)
        assert await resolver.copied(TICKET) == frozenset()
        await there.arm("strike", on="read", place="head", how="answer", status=401)
        assert await resolver.copied(TICKET) is None

    play(tmp_path, scene)


def test_an_answer_that_names_no_ticket_is_no_resolution(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        resolver = Resolver(there.client, there.gate, there.spool)
        honest = there.client.get_ticket

        async def other(ticket: str) -> Any:
            found = await honest(ticket)
            return replace(found, body={**found.body, "number": 7})

        there.client.get_ticket = other  # type: ignore[method-assign]
        assert await resolver.resolve(NUMBER, 0) == Resolution(counted=True)

    play(tmp_path, scene)


def test_texts_of_others_newest_first() -> None:
    said = [{"sender": "staff", "body": str(number)} for number in range(7)]
    hidden = [{"sender": "customer", "body": "mine"}, {"sender": "staff", "body": "s", "encrypted": True}, 3, {}]
    assert staff_texts({"messages": [*said, *hidden]}) == ("6", "5", "4", "3", "2")
    assert staff_texts({"messages": None}) == ()
