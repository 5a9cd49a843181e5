"""What a look, a person or a busy spool must not turn into a message that is posted twice, or never."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.delivery import giving_back, ledger
from bridge.errors import SpoolBroken, SpoolBusy
from bridge.model import Finding
from bridge.ops.actions import Actions
from bridge.reasons import Reason
from bridge.spool.api import Kind, State
from tests.delivery.test_delivery_states import DELIVERED, ended, play
from tests.delivery.world import CLOSED, FILE, WRITE_ONLY, World


def strike(**members: Any) -> dict[str, Any]:
    """A fault for ``World.arm``; its place is the request's head."""
    return {"place": "head", "how": "answer", **members}


async def count(there: World, words: str) -> int:
    """How often the words stand on the ticket."""
    return [item["body"] for item in await there.bodies()].count(words)


@pytest.mark.parametrize("status", [503, 429, 401])
@pytest.mark.parametrize("refusal", [409, 403])
def test_a_refusal_that_was_applied_and_cannot_be_looked_at_is_not_posted_again(
    tmp_path: Path, refusal: int, status: int
) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", place="applied", status=refusal))
        await there.arm("strike", **strike(on="read", status=status))
        assert ended(await there.post("once")) == DELIVERED
        assert await count(there, "once") == 1

    play(tmp_path, scene)


def test_a_refusal_that_was_none_is_posted_after_the_look(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", status=409))
        await there.arm("strike", **strike(on="read", status=503))
        assert ended(await there.post("once")) == DELIVERED
        assert await count(there, "once") == 1

    play(tmp_path, scene)


def test_a_reopening_that_was_applied_all_the_same_is_this_hours(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="actions", place="applied", how="reset"))
        assert ended(await there.post("one", CLOSED)) == DELIVERED
        await there.close(CLOSED)
        assert ended(await there.post("two", CLOSED)) == (State.HELD, Reason.TICKET_CLOSED)

    play(tmp_path, scene)


def test_a_reopening_that_is_refused_is_a_persons(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="actions", status=422))
        assert ended(await there.post("one", CLOSED)) == (State.HELD, Reason.TICKET_CLOSED)

    play(tmp_path, scene)


def test_a_closed_ticket_that_cannot_be_seen_after_its_reopening_is_posted_to(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("delay", on="read", seconds=0.01)
        await there.arm("strike", **strike(on="read", status=503))
        detail = await there.post("one", CLOSED)
        assert ended(detail) == DELIVERED
        assert [attempt.kind for attempt in detail.attempts].count(Kind.REOPEN) == 1

    play(tmp_path, scene)


def test_a_copy_of_a_mail_opens_no_second_ticket(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        finding = Finding("password", "certain", "body")
        for secret in ({}, {"encrypted": True, "findings": (finding,)}):
            words = "secret" if secret else "plain"
            entries = [await there.give(words, "new:", **secret) for _ in range(3)]
            ends = [ended(await there.end(entry)) for entry in entries]
            assert ends == [DELIVERED, *[(State.RECORDED, Reason.DUPLICATE)] * 2]
        listed = (await there.api.get("/api/v2/support/tickets?limit=100")).json()["data"]
        assert [ticket["subject"] for ticket in listed].count("Secret subject") == 2

    play(tmp_path, scene)


def test_what_a_person_held_in_doubt_is_looked_for_first(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", place="applied", how="reset"))
        await there.arm("strike", **strike(on="read", status=503, count=100))
        entry = await there.give("who knows")
        hold = Actions(there.spool, "anna", lambda: 1.0)
        async with asyncio.timeout(10):
            while (await there.spool.detail(entry)).entry.state is not State.UNKNOWN:
                await asyncio.sleep(0.01)
            while True:
                try:
                    await hold.hold(entry)
                except Exception:  # noqa: BLE001 - it is being worked on right now
                    await asyncio.sleep(0.005)
                else:
                    break
        await there.api.delete("/sandbox/faults")
        await hold.retry(entry)
        assert ended(await there.end(entry)) == DELIVERED
        assert await count(there, "who knows") == 1

    play(tmp_path, scene)


def test_what_reads_otherwise_now_is_not_called_absent(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        entry = await there.claimed("it was sent with a line more")
        attempt = await there.spool.intend(entry, Kind.POST, "of other words")
        assert attempt.number == 1
        await there.spool.defer(entry, 0.0, counted=False)
        assert ended(await there.end(entry.entry.id)) == (State.HELD, Reason.OUTCOME_UNDECIDABLE)

    play(tmp_path, scene)


def test_a_busy_spool_does_not_forget_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BUSY_S", 0.0)
    monkeypatch.setattr(giving_back, "BUSY_S", 0.0)

    async def scene(there: World) -> None:
        honest, failures = there.spool.settle, [SpoolBusy("busy")] * 3

        async def settle(*arguments: Any) -> None:
            if failures:
                raise failures.pop()
            await honest(*arguments)

        monkeypatch.setattr(there.spool, "settle", settle)
        # A key that may only write: no look could tell.
        assert ended(await there.post("answered")) == DELIVERED
        assert await count(there, "answered") == 1

    play(tmp_path, scene, key=WRITE_ONLY)


@pytest.mark.parametrize("method", ["intend", "finish", "extend"])
def test_a_busy_spool_before_the_answer_costs_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(giving_back, "BUSY_S", 0.0)

    async def scene(there: World) -> None:
        honest, failures = getattr(there.spool, method), [SpoolBusy("busy")]

        async def busy(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return await honest(*arguments)

        monkeypatch.setattr(there.spool, method, busy)
        assert ended(await there.post("words", attachments=(FILE,))) == DELIVERED
        assert not failures
        assert (await there.bodies())[-1]["body"] == "words"

    play(tmp_path, scene)


def test_a_mail_whose_bytes_are_damaged_still_brings_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(there: World) -> None:
        async def raw(_: str) -> bytes:
            raise SpoolBroken("damaged")

        monkeypatch.setattr(there.spool, "raw", raw)
        assert ended(await there.post("words", attachments=(FILE,))) == DELIVERED
        assert "could not be read" in (await there.bodies())[-1]["body"]

    play(tmp_path, scene)


def test_a_stop_in_the_middle_of_a_post_is_looked_for_at_the_next_start(tmp_path: Path) -> None:
    words = "stopped in the midst"

    async def first(there: World) -> None:
        await there.arm("strike", on="messages", place="applied", how="stall")
        entry = await there.give(words)
        async with asyncio.timeout(10):
            while await count(there, words) == 0:
                await asyncio.sleep(0.01)
        there.running.cancel()
        await asyncio.gather(there.running, return_exceptions=True)
        detail = await there.spool.detail(entry)
        assert detail.entry.state is State.SENDING
        assert detail.attempts[-1].settled_at is None

    async def second(there: World) -> None:
        assert await there.spool.recover() == 0, "it was taken over at the start"
        async with asyncio.timeout(10):
            while (await there.spool.counts()).by_state[State.DELIVERED] == 0:
                await asyncio.sleep(0.02)
        assert await count(there, words) == 1

    play(tmp_path, first)
    play(tmp_path, second)
