"""The state machine over real sockets: what docs/delivery.md says of closed tickets, uploads, creating and the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.delivery import sending
from bridge.delivery.outgoing import Outgoing
from bridge.model import Decision, Finding
from bridge.ops.actions import Actions
from bridge.reasons import MailClass, Reason
from bridge.spool.api import Claim, Detail, Kind, State
from tests.delivery.world import CLOSED, FILE, OTHER, WRITE_ONLY, World, world


def play(directory: Path, scene: Callable[[World], Awaitable[None]], **config: Any) -> None:
    async def run() -> None:
        async with world(directory, **config) as there:
            await scene(there)

    asyncio.run(run())


def ended(detail: Detail) -> tuple[State, Reason]:
    return detail.entry.state, detail.entry.reason


DELIVERED = (State.DELIVERED, Reason.DELIVERED)


def test_a_closed_ticket_is_reopened_once_an_hour_and_never_by_a_machine(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        automatic = await there.post("by a list", CLOSED, mail_class=MailClass.LIST)
        assert ended(automatic) == (State.HELD, Reason.TICKET_CLOSED)
        first = await there.post("one", CLOSED)
        assert ended(first) == DELIVERED
        assert [attempt.kind for attempt in first.attempts] == [Kind.POST, Kind.REOPEN, Kind.POST]
        assert [attempt.status for attempt in first.attempts] == [409, 200, 201]
        await there.close(CLOSED)
        assert ended(await there.post("two", CLOSED)) == (State.HELD, Reason.TICKET_CLOSED)

    play(tmp_path, scene)


def test_policy_hold_leaves_it_closed(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        assert ended(await there.post("one", CLOSED)) == (State.HELD, Reason.TICKET_CLOSED)

    play(tmp_path, scene, closed_tickets="hold")


@pytest.mark.parametrize("status", [503, 429])
def test_a_reopening_that_fails_is_tried_again(tmp_path: Path, status: int) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="actions", place="head", how="answer", status=status)
        detail = await there.post("one", CLOSED)
        assert ended(detail) == DELIVERED
        assert [attempt.kind for attempt in detail.attempts].count(Kind.REOPEN) == 2

    play(tmp_path, scene)


def test_an_upload_is_sent_once_whatever_its_message_meets(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="messages", place="head", how="reset")
        detail = await there.post("with a file", attachments=(FILE,))
        assert ended(detail) == DELIVERED
        assert [attempt.kind for attempt in detail.attempts] == [Kind.UPLOAD, Kind.POST, Kind.POST]
        assert all(attempt.request_id and attempt.settled_at for attempt in detail.attempts if attempt.status == 201)
        message = (await there.bodies())[-1]
        assert [file["filename"] for file in message["attachments"]] == ["a.log"]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("faults", "tries", "named"),
    [
        ([{"place": "head", "status": 400}], 1, "refused"),
        ([{"place": "head", "status": 403}], 1, "refused"),
        ([{"place": "head", "status": 413}], 1, "too large"),
        ([{"place": "head", "status": 503}], 2, ""),
        ([{"place": "head", "status": 503, "count": 2}], 2, "failed"),
        ([{"place": "head", "status": 409, "count": 2}], 2, "refused"),
        ([{"place": "head", "status": 429}], 2, ""),
    ],
)
def test_uploads_never_stop_the_words(tmp_path: Path, faults: list[dict[str, Any]], tries: int, named: str) -> None:
    async def scene(there: World) -> None:
        for fault in faults:
            await there.arm("strike", on="attachments", how="answer", **fault)
        detail = await there.post("with a file", attachments=(FILE,))
        assert ended(detail) == DELIVERED
        assert [attempt.kind for attempt in detail.attempts].count(Kind.UPLOAD) == tries
        body = (await there.bodies())[-1]["body"]
        assert body.startswith("with a file")
        assert ('[attachment "a.log" (5 bytes) could not be added' in body) is bool(named)
        assert named in body

    play(tmp_path, scene)


def test_uploads_for_another_ticket_do_not_count_after_a_redirect(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="messages", place="head", how="answer", status=422)
        held = await there.post("with a file", attachments=(FILE,))
        assert ended(held) == (State.HELD, Reason.REFUSED_BY_API)
        await Actions(there.spool, "anna", lambda: 1.0).redirect(held.entry.id, OTHER)
        [claim] = await there.spool.claim_received(1, 60)
        assert held.decision is not None
        await there.spool.decided(claim, held.decision, state=State.READY, lane=OTHER, body_digest="")
        assert ended(await there.end(held.entry.id)) == DELIVERED
        assert [file["filename"] for file in (await there.bodies(OTHER))[-1]["attachments"]] == ["a.log"]

    play(tmp_path, scene)


def test_a_damaged_or_changed_mail_has_its_files_named(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.post("with a file", attachments=(replace(FILE, path="9"), replace(FILE, digest="d2", size=10**8)))
        body = (await there.bodies())[-1]["body"]
        assert "could not be read" in body
        assert "larger than allowed" in body

    play(tmp_path, scene)


def test_a_new_ticket(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="create", place="applied", how="reset")
        detail = await there.post("no ticket yet", "new:", attachments=(FILE,), cc=("bo@example.org",))
        assert ended(detail) == DELIVERED
        opened = (await there.api.get(f"/api/v2/support/tickets/{detail.entry.lane}")).json()
        assert opened["body"].startswith("no ticket yet\n\n[attachment")
        assert opened["ccEmails"] == ["bo@example.org"]
        listed = (await there.api.get("/api/v2/support/tickets?limit=100")).json()["data"]
        assert [ticket["subject"] for ticket in listed].count("Secret subject") == 1

    play(tmp_path, scene)


def test_a_new_ticket_that_was_not_opened_is_opened_once(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="create", place="head", how="reset")
        assert ended(await there.post("no ticket yet", "new:")) == DELIVERED
        await there.arm("strike", on="create", place="head", how="answer", status=400)
        assert ended(await there.post("refused", "new:")) == (State.HELD, Reason.REFUSED_BY_API)

    play(tmp_path, scene)


def test_a_sensitive_new_ticket_is_announced_and_its_words_follow_encrypted(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        finding = Finding("password", "certain", "subject")
        detail = await there.post("the secret", "new:", encrypted=True, findings=(finding,), attachments=(FILE,))
        assert ended(detail) == DELIVERED
        opened = (await there.api.get(f"/api/v2/support/tickets/{detail.entry.lane}")).json()
        assert opened["subject"] == "(sensitive subject)"
        assert "secret" not in opened["body"].lower().replace("sensitive", "")
        [reply] = opened["messages"]
        assert (reply["body"], reply["encrypted"], len(reply["attachments"])) == ("the secret", True, 1)

    play(tmp_path, scene)


def test_duplicates_are_recorded_and_a_person_may_post_them(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        assert ended(await there.post("twice")) == DELIVERED
        second = await there.post("twice")
        assert ended(second) == (State.RECORDED, Reason.DUPLICATE)
        await Actions(there.spool, "anna", lambda: 1.0).replay(second.entry.id)
        assert ended(await there.end(second.entry.id)) == DELIVERED

    play(tmp_path, scene)


def test_shadow_posts_only_what_a_person_replays(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        before = len(await there.bodies())
        detail = await there.post("in the shadow")
        assert ended(detail) == (State.RECORDED, Reason.SHADOW)
        assert len(await there.bodies()) == before
        await Actions(there.spool, "anna", lambda: 1.0).replay(detail.entry.id)
        assert ended(await there.end(detail.entry.id)) == DELIVERED

    play(tmp_path, scene, shadow=True)


def test_a_key_that_may_only_write(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        assert ended(await there.post("goes well")) == DELIVERED
        await there.arm("strike", on="messages", place="applied", how="reset")
        assert ended(await there.post("who knows")) == (State.HELD, Reason.OUTCOME_UNDECIDABLE)
        await there.arm("strike", on="messages", place="head", how="answer", status=403)
        assert ended(await there.post("forbidden")) == (State.HELD, Reason.TICKET_FORBIDDEN)
        assert there.gate.state().open

    play(tmp_path, scene, key=WRITE_ONLY)


def test_a_bad_key_pauses_and_nothing_is_tried(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        entry = await there.give("waits")
        async with asyncio.timeout(10):
            while there.gate.state().open:
                await asyncio.sleep(0.01)
        assert there.gate.state().reason == "key"
        await asyncio.sleep(1.5)
        detail = await there.spool.detail(entry)
        assert (detail.entry.reason, detail.entry.attempts, len(detail.attempts)) == (Reason.PAUSED, 0, 1)

    play(tmp_path, scene, key="nobody's")


def test_an_answer_for_another_ticket_is_looked_for(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("garbled_body", on="messages")
        detail = await there.post("garbled")
        assert ended(detail) == DELIVERED
        assert detail.attempts[-1].status == 201
        await there.arm("strike", on="messages", place="head", how="answer", status=201)
        assert ended(await there.post("never there")) == (State.HELD, Reason.OUTCOME_UNDECIDABLE)

    play(tmp_path, scene)


@pytest.mark.parametrize("status", [400, 403, 409, 429])
def test_a_refusal_that_was_applied_all_the_same_is_found(tmp_path: Path, status: int) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="messages", place="applied", how="answer", status=status)
        assert ended(await there.post("it is there")) == DELIVERED
        assert [item["body"] for item in await there.bodies()].count("it is there") == 1

    play(tmp_path, scene)


def test_a_fault_of_ours_holds_its_mail_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = sending.outgoing

    def outgoing(claim: Claim, decision: Decision, *others: Any) -> Outgoing:
        if decision.message == "poison":
            raise ZeroDivisionError
        return honest(claim, decision, *others)

    monkeypatch.setattr(sending, "outgoing", outgoing)

    async def scene(there: World) -> None:
        assert ended(await there.post("poison")) == (State.HELD, Reason.INTERNAL_ERROR)
        assert ended(await there.post("good")) == DELIVERED

    play(tmp_path, scene)


def test_a_404_that_is_no_problem_document_every_time_is_held_at_last(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", on="messages", place="head", how="answer", status=404, form="html", count=3)
        detail = await there.post("blocked by a proxy")
        assert ended(detail) == (State.HELD, Reason.UNEXPECTED_ANSWER)
        assert ended(await there.post("and the next")) == DELIVERED

    play(tmp_path, scene)
