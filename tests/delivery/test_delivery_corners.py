"""The corners of the state machine that the other scenes do not reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.delivery import reconciling, schedule
from bridge.delivery.ledger import result_of
from bridge.delivery.outgoing import lane_of_new
from bridge.delivery.uploads import Limits, failures, todo
from bridge.errors import ApiError
from bridge.model import Finding
from bridge.reasons import Reason
from bridge.spool.api import AttemptResult, Claim, Kind, Settlement, State
from tests.delivery.test_delivery_states import DELIVERED, ended, play
from tests.delivery.world import FILE, WRITE_ONLY, World


def strike(**members: Any) -> dict[str, Any]:
    """A fault for ``World.arm``; its place is the request's head."""
    return {"place": "head", "how": "answer", **members}


def test_more_files_than_allowed_are_named_and_not_sent() -> None:
    files = [FILE, replace(FILE, name="b.log", digest="d2"), replace(FILE, name="c.log", digest="d3", size=11)]
    limits = Limits(10, 2)
    assert todo(files, (), limits) == files[:2]
    [line] = failures(files, (), limits)
    assert "c.log" in line
    assert "more than allowed" in line
    assert "larger than allowed" in failures(files[2:], (), limits)[0]


def test_an_error_that_nobody_knows_is_still_told() -> None:
    assert result_of(ApiError("odd"), "unexpected") == AttemptResult("unexpected", detail="odd")


def test_what_was_never_decided_is_held(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        honest = there.spool.claim_ready

        async def undecided(*arguments: Any) -> list[Claim]:
            return [replace(claim, decision=None) for claim in await honest(*arguments)]

        there.spool.claim_ready = undecided  # type: ignore[method-assign]
        assert ended(await there.post("words")) == (State.HELD, Reason.UNREADABLE)

    play(tmp_path, scene)


def test_in_doubt_of_nothing_it_is_ready(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        claim = await there.claimed("words")
        await there.spool.settle(claim, Settlement(State.UNKNOWN, Reason.RETRY))
        assert ended(await there.end(claim.entry.id)) == DELIVERED

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("probe", "end"),
    [
        (strike(on="list", status=503), DELIVERED),
        (strike(on="list", status=401), DELIVERED),
        (strike(on="list", status=403, count=1), (State.HELD, Reason.TICKET_FORBIDDEN)),
    ],
)
def test_a_refusal_while_the_key_is_in_doubt(tmp_path: Path, probe: dict[str, Any], end: tuple[State, Reason]) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", status=403))
        await there.arm("strike", **probe)
        assert ended(await there.post("words")) == end

    play(tmp_path, scene)


def test_a_key_that_may_do_nothing_pauses_and_the_mail_goes_out_later(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", status=403, count=2))
        await there.arm("strike", **strike(on="list", status=403))
        assert ended(await there.post("words")) == DELIVERED

    play(tmp_path, scene)


@pytest.mark.parametrize(("status", "end"), [(404, Reason.OUTCOME_UNDECIDABLE), (403, Reason.OUTCOME_UNDECIDABLE)])
def test_a_look_that_will_never_tell_is_a_persons(tmp_path: Path, status: int, end: Reason) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", place="applied", how="reset"))
        await there.arm("strike", **strike(on="read", status=status))
        assert ended(await there.post("words")) == (State.HELD, end)

    play(tmp_path, scene)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"status": 401}, {"status": 404, "form": "html"}])
def test_a_look_that_fails_for_now_is_tried_again(tmp_path: Path, fault: dict[str, Any]) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", place="applied", how="reset"))
        await there.arm("strike", **strike(on="read", **fault))
        assert ended(await there.post("words")) == DELIVERED
        assert [item["body"] for item in await there.bodies()].count("words") == 1

    play(tmp_path, scene)


def test_a_limit_behind_which_nobody_may_look_is_over_with_it(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        await there.arm("strike", **strike(on="messages", status=429))
        assert ended(await there.post("words")) == DELIVERED

    play(tmp_path, scene, key=WRITE_ONLY)


@pytest.mark.parametrize(
    ("first", "reason"),
    [({"how": "reset", "place": "applied"}, Reason.OUTCOME_UNDECIDABLE), ({"status": 409}, Reason.TOO_OLD)],
)
def test_an_old_mail_gets_its_try_and_then_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: dict[str, Any], reason: Reason
) -> None:
    monkeypatch.setattr(schedule, "MAX_AGE_S", -1.0)

    async def scene(there: World) -> None:
        await there.arm("strike", **{**strike(on="messages"), **first})
        await there.arm("strike", **strike(on="read", status=503))
        assert ended(await there.post("old")) == (State.HELD, reason)

    play(tmp_path, scene)


@pytest.mark.parametrize("pages", [1, 50])
def test_a_new_ticket_is_looked_for_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    monkeypatch.setattr(reconciling, "PAGES", pages)
    monkeypatch.setattr(reconciling, "PAGE", 1)

    async def scene(there: World) -> None:
        for _ in range(3):
            await there.client.create("support", "Secret subject", "of somebody else", ())
        await there.arm("strike", **strike(on="create", place="head", how="reset"))
        detail = await there.post("no ticket yet", "new:")
        assert ended(detail) == (DELIVERED if pages > 1 else (State.HELD, Reason.OUTCOME_UNDECIDABLE))
        assert detail.attempts[0].kind is Kind.CREATE

    play(tmp_path, scene)


def test_an_announcement_that_was_made_is_found_again(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        finding = Finding("password", "certain", "body")
        await there.arm("strike", **strike(on="create", place="applied", how="reset"))
        detail = await there.post("the secret", "new:", encrypted=True, findings=(finding,))
        assert ended(detail) == DELIVERED
        listed = (await there.api.get("/api/v2/support/tickets?limit=100")).json()["data"]
        assert [ticket["subject"] for ticket in listed].count("Secret subject") == 1

    play(tmp_path, scene)


def test_copies_without_a_message_id_share_a_lane_by_their_bytes(tmp_path: Path) -> None:
    async def scene(there: World) -> None:
        claim = await there.claimed("words")
        assert claim.decision is not None
        nameless = replace(claim.decision, message_id="")
        assert lane_of_new(claim, nameless) == lane_of_new(claim, nameless) != lane_of_new(claim, claim.decision)
        await there.spool.defer(claim, 0.0, counted=False)

    play(tmp_path, scene)
