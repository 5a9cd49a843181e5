"""What every store does, written against the interface only: accepting, claiming, lanes, attempts, leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bridge.errors import SpoolFull, StaleToken, UnknownEntry, WrongState
from bridge.reasons import Reason
from bridge.spool.api import AttemptResult, Audit, Claim, Filter, Kind, NewMail, Settlement, Spool, State
from tests.spool.samples import Clock, decision, delivered, lane, mail

Run = Callable[[Callable[[Spool], Awaitable[None]]], None]
LEASE = 60.0


async def read(spool: Spool, ticket: str, *, message_id: str = "m1@example.org") -> str:
    """Read the oldest entry and make it ready on ``ticket``."""
    (claim,) = await spool.claim_received(1, LEASE)
    await spool.decided(
        claim, decision(message_id=message_id), state=State.READY, lane=ticket, body_digest="digest of the body"
    )
    return claim.entry.id


async def ready(spool: Spool, ticket: str, count: int = 1) -> list[str]:
    """Entries that are ready on ``ticket``."""
    for _ in range(count):
        await spool.accept(mail())
    return [await read(spool, ticket) for _ in range(count)]


async def one(spool: Spool) -> Claim:
    """The only head there is."""
    (claim,) = await spool.claim_ready(10, LEASE)
    return claim


async def state_of(spool: Spool, entry_id: str) -> State:
    return (await spool.detail(entry_id)).entry.state


def test_accepted_mail_is_there_byte_for_byte(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        raw = bytes(range(256)) * 3
        ids = await spool.accept(mail("a@example.com", "b@example.com", raw=raw))
        assert len(set(ids)) == 2
        assert all(len(i) == 26 for i in ids)
        assert [await spool.raw(i) for i in ids] == [raw, raw]
        first, second = await spool.list(Filter())
        assert (first.id, second.id) == ids
        assert first.seq < second.seq
        assert first.envelope.recipient == "a@example.com"
        assert first.envelope.received_at == 1.5
        assert (first.state, first.reason, first.size) == (State.RECEIVED, Reason.WAITING, len(raw))
        assert (first.accepted_at, first.attempts, first.sender) == (clock.now, 0, "anna@example.org")

    run(work)


@pytest.mark.parametrize("size", [0, 1, 300_000, 1_300_000])
def test_any_size_is_kept(run: Run, size: int) -> None:
    async def work(spool: Spool) -> None:
        (entry_id,) = await spool.accept(mail(raw=b"\0" * size))
        assert await spool.raw(entry_id) == b"\0" * size

    run(work)


def test_a_mail_with_a_wrong_number_of_hints_leaves_nothing_behind(run: Run) -> None:
    async def work(spool: Spool) -> None:
        bad = replace(mail("a@example.com", "b@example.com"), hints=("",))
        with pytest.raises(ValueError, match="zip"):
            await spool.accept(bad)
        good = await asyncio.gather(spool.accept(mail()), *(_refused(spool, bad) for _ in range(3)))
        assert [entry.id for entry in await spool.list(Filter())] == list(good[0])

    run(work)


async def _refused(spool: Spool, bad: NewMail) -> None:
    with pytest.raises(ValueError, match="zip"):
        await spool.accept(bad)


def test_text_that_is_no_text_is_kept_as_question_marks(run: Run) -> None:
    async def work(spool: Spool) -> None:
        new = mail()
        odd = replace(new.envelopes[0], mail_from="\udcff@example.org", helo="\udc80")
        await spool.accept(replace(new, envelopes=(odd,)))
        (claim,) = await spool.claim_received(1, LEASE)
        assert claim.entry.sender == "?@example.org"
        assert claim.entry.envelope.helo == "?"
        made = decision(text="a\ud800b", message_id="\udc80")
        await spool.decided(claim, made, state=State.READY, lane=lane(1), body_digest="")
        claim = await one(spool)
        assert claim.decision is not None
        assert claim.decision.message == "a?b"
        attempt = await spool.intend(claim, Kind.POST, "")
        result = AttemptResult("refused", detail="\ud800", code="\ud800", request_id="\ud800")
        await spool.settle(claim, Settlement(State.HELD, Reason.REFUSED_BY_API, attempt.number, result))
        await spool.note(claim.entry.id, Audit(1.0, "\udc80", "looked", "\udc80"))
        assert (await spool.detail(claim.entry.id)).attempts[0].detail == "?"

    run(work)


def test_a_decision_comes_back_whole_but_for_the_attachments_text(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        claim = await one(spool)
        made = decision()
        lean = tuple(replace(item, text=None) for item in made.attachments)
        assert claim.decision == replace(made, attachments=lean)
        assert (await spool.detail(claim.entry.id)).decision == claim.decision
        assert claim.entry.message_id == "m1@example.org"
        assert claim.entry.reason is Reason.WAITING

    run(work)


def test_received_entries_are_claimed_once_oldest_first(run: Run) -> None:
    async def work(spool: Spool) -> None:
        ids = [(await spool.accept(mail()))[0] for _ in range(5)]
        first = await spool.claim_received(3, LEASE)
        second = await spool.claim_received(3, LEASE)
        assert [claim.entry.id for claim in (*first, *second)] == ids
        assert await spool.claim_received(3, LEASE) == []

    run(work)


def test_a_lease_that_ran_out_makes_the_old_claim_stale(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (old,) = await spool.claim_received(1, LEASE)
        clock.advance(LEASE - 1)
        await spool.extend(old, LEASE)
        clock.advance(LEASE - 1)
        assert await spool.claim_received(1, LEASE) == []
        clock.advance(1)
        (new,) = await spool.claim_received(1, LEASE)
        assert new.token > old.token
        for attempt in (
            spool.extend(old, LEASE),
            spool.unreadable(old, "crash"),
            spool.defer(old, 0.0, counted=False),
            spool.decided(old, decision(), state=State.HELD, lane="", body_digest=""),
            spool.settle(old, delivered()),
            spool.intend(old, Kind.POST, ""),
            spool.finish(old, 1, AttemptResult("x")),
        ):
            with pytest.raises(StaleToken):
                await attempt
        await spool.unreadable(new, "crash")
        with pytest.raises(StaleToken):
            await spool.unreadable(new, "crash")

    run(work)


def test_deferred_entries_wait(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (claim,) = await spool.claim_received(1, LEASE)
        await spool.defer(claim, clock.now + 10, counted=True)
        assert await spool.claim_received(1, LEASE) == []
        clock.advance(10)
        (claim,) = await spool.claim_received(1, LEASE)
        assert claim.entry.attempts == 1
        await spool.defer(claim, clock.now, counted=False)
        assert (await spool.claim_received(1, LEASE))[0].entry.attempts == 1

    run(work)


def test_unreadable_is_held_and_says_why(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (claim,) = await spool.claim_received(1, LEASE)
        await spool.unreadable(claim, "timeout")
        detail = await spool.detail(claim.entry.id)
        assert (detail.entry.state, detail.entry.reason) == (State.HELD, Reason.UNREADABLE)
        assert detail.decision is None
        assert detail.audit[0].note == "timeout"

    run(work)


@pytest.mark.parametrize("state", [State.HELD, State.RECORDED, State.DISCARDED])
def test_what_is_not_to_be_sent_keeps_the_verdicts_reason(run: Run, state: State) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (claim,) = await spool.claim_received(1, LEASE)
        await spool.decided(
            claim, decision(action="hold", reason=Reason.LOOP), state=state, lane=lane(1), body_digest=""
        )
        assert await spool.claim_ready(1, LEASE) == []
        (entry,) = await spool.list(Filter())
        assert (entry.state, entry.reason) == (state, Reason.LOOP)

    run(work)


def test_moves_that_make_no_sense_are_refused(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (claim,) = await spool.claim_received(1, LEASE)
        with pytest.raises(WrongState):
            await spool.decided(claim, decision(), state=State.READY, lane="", body_digest="")
        with pytest.raises(WrongState):
            await spool.intend(claim, Kind.POST, "")
        await spool.decided(claim, decision(), state=State.READY, lane=lane(1), body_digest="")
        claim = await one(spool)
        with pytest.raises(WrongState):
            await spool.decided(claim, decision(), state=State.READY, lane=lane(1), body_digest="")
        with pytest.raises(WrongState):
            await spool.unreadable(claim, "crash")

    run(work)


def test_a_lane_sends_one_at_a_time_in_order(run: Run) -> None:
    async def work(spool: Spool) -> None:
        ids = await ready(spool, lane(1), 3)
        other = await ready(spool, lane(2))
        sent = []
        heads = list(await spool.claim_ready(10, LEASE))
        assert [claim.entry.id for claim in heads] == [ids[0], *other]
        assert await spool.claim_ready(10, LEASE) == []
        while heads:
            claim = heads.pop(0)
            await spool.settle(claim, delivered())
            sent.append(claim.entry.id)
            heads += await spool.claim_ready(10, LEASE)
        assert sent == [ids[0], *other, *ids[1:]]

    run(work)


def test_a_head_that_waits_delays_its_lane(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        first, second = await ready(spool, lane(1), 2)
        claim = await one(spool)
        await spool.settle(claim, Settlement(State.READY, Reason.RETRY, next_at=clock.now + 30))
        assert await spool.claim_ready(10, LEASE) == []
        clock.advance(30)
        claim = await one(spool)
        assert (claim.entry.id, claim.entry.attempts, claim.entry.reason) == (first, 1, Reason.RETRY)
        await spool.settle(claim, delivered())
        assert (await one(spool)).entry.id == second

    run(work)


@pytest.mark.parametrize("state", [State.HELD, State.EXPIRED, State.DISCARDED])
def test_a_head_that_ends_frees_its_lane(run: Run, state: State) -> None:
    async def work(spool: Spool) -> None:
        _, second = await ready(spool, lane(1), 2)
        await spool.settle(await one(spool), Settlement(state, Reason.TOO_OLD))
        assert (await one(spool)).entry.id == second

    run(work)


def test_an_unknown_head_blocks_its_lane_until_it_is_held(run: Run) -> None:
    async def work(spool: Spool) -> None:
        first, second = await ready(spool, lane(1), 2)
        claim = await one(spool)
        attempt = await spool.intend(claim, Kind.POST, "f1")
        assert (attempt.number, attempt.kind, attempt.fingerprint, attempt.outcome) == (1, Kind.POST, "f1", "")
        assert await state_of(spool, first) is State.SENDING
        result = AttemptResult("unknown", status=502)
        await spool.settle(claim, Settlement(State.UNKNOWN, Reason.RETRY, attempt.number, result, counted=False))
        claim = await one(spool)
        assert (claim.entry.id, claim.entry.state, claim.entry.attempts) == (first, State.UNKNOWN, 0)
        assert [(a.outcome, a.status) for a in claim.attempts] == [("unknown", 502)]
        assert await spool.claim_ready(10, LEASE) == []
        await spool.settle(claim, Settlement(State.HELD, Reason.OUTCOME_UNDECIDABLE))
        assert (await one(spool)).entry.id == second

    run(work)


def test_an_earlier_unread_mail_keeps_back_what_it_might_belong_before(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail(hints=(lane(1),)))
        (hinted,) = await spool.claim_received(1, LEASE)
        (same, other) = [(await spool.accept(mail()))[0] for _ in range(2)]
        assert same == await read(spool, lane(1))
        assert other == await read(spool, lane(2))
        await spool.accept(mail())
        assert (await one(spool)).entry.id == other
        await spool.decided(hinted, decision(), state=State.READY, lane=lane(1), body_digest="")
        head = await one(spool)
        assert head.entry.id == hinted.entry.id
        await spool.settle(head, delivered())
        assert (await one(spool)).entry.id == same

    run(work)


def test_an_earlier_unread_mail_without_a_hint_keeps_back_every_lane(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail())
        (first,) = await spool.claim_received(1, LEASE)
        (later,) = await ready(spool, lane(1))
        assert await spool.claim_ready(10, LEASE) == []
        await spool.decided(first, decision(), state=State.RECORDED, lane="", body_digest="")
        assert (await one(spool)).entry.id == later

    run(work)


def test_a_lane_found_late_moves_the_entry_and_its_ledger(run: Run) -> None:
    async def work(spool: Spool) -> None:
        (entry_id,) = await ready(spool, "new:1")
        (second,) = await ready(spool, lane(7))
        claims = await spool.claim_ready(10, LEASE)
        creating = next(claim for claim in claims if claim.entry.id == entry_id)
        assert claims[1].entry.id == second
        attempt = await spool.intend(creating, Kind.CREATE, "f")
        await spool.settle(creating, delivered(attempt.number, message=lane(7), lane=lane(7)))
        assert [entry.id for entry in await spool.list(Filter(ticket=lane(7)))] == [entry_id, second]
        context = (await spool.detail(entry_id)).attempts[0]
        assert (context.outcome, context.message_id) == ("delivered", lane(7))
        await spool.settle(claims[1], Settlement(State.READY, Reason.RETRY, lane=lane(8)))
        assert (await one(spool)).entry.lane == lane(8)

    run(work)


def test_attempts_are_numbered_and_uploads_do_not_move_the_entry(run: Run) -> None:
    async def work(spool: Spool) -> None:
        (entry_id,) = await ready(spool, lane(1))
        claim = await one(spool)
        upload = await spool.intend(claim, Kind.UPLOAD, "a")
        assert await state_of(spool, entry_id) is State.READY
        await spool.finish(claim, upload.number, AttemptResult("uploaded", 201, message_id="satt_1"))
        reopen = await spool.intend(claim, Kind.REOPEN, "b")
        post = await spool.intend(claim, Kind.POST, "c")
        assert [a.number for a in (upload, reopen, post)] == [1, 2, 3]
        result = AttemptResult("refused", 422, "invalid", "no body", "req_1")
        await spool.settle(claim, Settlement(State.HELD, Reason.REFUSED_BY_API, post.number, result))
        done = (await spool.detail(entry_id)).attempts
        assert [(a.kind, a.outcome) for a in done] == [
            (Kind.UPLOAD, "uploaded"),
            (Kind.REOPEN, ""),
            (Kind.POST, "refused"),
        ]
        assert (done[2].status, done[2].code, done[2].detail, done[2].request_id) == (
            422,
            "invalid",
            "no body",
            "req_1",
        )
        assert done[2].settled_at is not None
        assert done[1].settled_at is None
        assert await spool.confirmed_ids(lane(1)) == frozenset()
        assert {a.ticket for a in (upload, reopen, post, *done)} == {lane(1)}
        assert await spool.last_reopened(lane(1)) is None, "it stands open: its process died"

    run(work)


def test_a_reopening_that_failed_does_not_count(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        claim = await one(spool)
        reopen = await spool.intend(claim, Kind.REOPEN, "")
        await spool.finish(claim, reopen.number, AttemptResult("unknown", 503))
        assert await spool.last_reopened(lane(1)) is None
        again = await spool.intend(claim, Kind.REOPEN, "")
        await spool.finish(claim, again.number, AttemptResult("delivered", 200))
        assert await spool.last_reopened(lane(1)) == again.intent_at
        assert await spool.last_reopened(lane(2)) is None

    run(work)


@pytest.mark.parametrize("kind", [None, Kind.UPLOAD, Kind.POST, Kind.CREATE])
def test_a_worker_that_died_leaves_what_can_be_known(run: Run, clock: Clock, kind: Kind | None) -> None:
    async def work(spool: Spool) -> None:
        (entry_id,) = await ready(spool, lane(1))
        claim = await one(spool)
        if kind is not None:
            await spool.intend(claim, kind, "")
        clock.advance(LEASE)
        again = await one(spool)
        assert again.entry.id == entry_id
        unsure = kind in (Kind.POST, Kind.CREATE)
        assert again.entry.state is (State.UNKNOWN if unsure else State.READY)
        assert await state_of(spool, entry_id) is again.entry.state
        with pytest.raises(StaleToken):
            await spool.settle(claim, delivered())

    run(work)


def test_a_closed_post_before_the_death_is_no_unknown(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        claim = await one(spool)
        attempt = await spool.intend(claim, Kind.POST, "")
        await spool.finish(claim, attempt.number, AttemptResult("not_sent"))
        clock.advance(LEASE)
        assert (await one(spool)).entry.state is State.READY

    run(work)


def test_a_sending_entry_that_is_deferred_is_unknown_when_claimed(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        claim = await one(spool)
        await spool.intend(claim, Kind.POST, "")
        await spool.defer(claim, clock.now, counted=False)
        assert (await one(spool)).entry.state is State.UNKNOWN

    run(work)


def test_recover_takes_over_what_the_dead_process_held(opener: Callable[..., Awaitable[Spool]], clock: Clock) -> None:
    async def main() -> None:
        spool = await opener()
        await ready(spool, lane(1))
        await ready(spool, lane(2))
        sending, _idle = await spool.claim_ready(10, LEASE)
        await spool.intend(sending, Kind.POST, "")
        await spool.accept(mail())
        (reading,) = await spool.claim_received(1, LEASE)
        await spool.close()
        spool = await opener()
        assert await spool.claim_ready(10, LEASE) == []
        assert await spool.recover() == 3
        assert await spool.recover() == 0
        with pytest.raises(StaleToken):
            await spool.unreadable(reading, "x")
        assert [c.entry.state for c in await spool.claim_ready(10, LEASE)] == [State.UNKNOWN, State.READY]
        assert (await spool.claim_received(1, LEASE))[0].entry.id == reading.entry.id
        await spool.close()

    asyncio.run(main())


def test_ids_grow_even_when_the_clock_goes_back(opener: Callable[..., Awaitable[Spool]], clock: Clock) -> None:
    async def main() -> None:
        made = []
        for _ in range(3):
            spool = await opener()
            made += [(await spool.accept(mail()))[0] for _ in range(3)]
            await spool.close()
            clock.advance(-1000)
        assert made == sorted(made)

    asyncio.run(main())


def test_past_the_high_water_mark_nothing_is_accepted_and_nothing_lost(opener: Callable[..., Awaitable[Spool]]) -> None:
    async def main() -> None:
        spool = await opener(high_water_bytes=400_000)
        kept = []
        while spool.usage().accepting:
            kept += await spool.accept(mail(raw=b"x" * 50_000))
            await asyncio.sleep(0.01)
        assert 5 < len(kept) < 100
        with pytest.raises(SpoolFull):
            await spool.accept(mail())
        usage = spool.usage()
        assert not usage.accepting
        assert usage.bytes_used >= usage.high_water == 400_000
        assert [entry.id for entry in await spool.list(Filter())] == kept
        await spool.close()

    asyncio.run(main())


def test_waiting_ends_with_new_work_and_not_before(run: Run) -> None:
    async def work(spool: Spool) -> None:
        loop = asyncio.get_running_loop()
        await spool.wait(0.05)
        started = loop.time()
        await spool.wait(0.05)
        assert loop.time() - started >= 0.04
        accepting = asyncio.create_task(spool.accept(mail()))
        started = loop.time()
        await spool.wait(30)
        assert loop.time() - started < 0.9
        await accepting
        await asyncio.create_task(spool.wait(0.01))

    run(work)


def test_a_change_between_claim_and_wait_is_not_missed(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.wait(0)
        assert await spool.claim_received(1, LEASE) == []
        await spool.accept(mail())
        started = asyncio.get_running_loop().time()
        await spool.wait(30)
        assert asyncio.get_running_loop().time() - started < 0.5

    run(work)


def test_a_cancelled_caller_does_not_undo_the_commit(run: Run) -> None:
    async def work(spool: Spool) -> None:
        task = asyncio.create_task(spool.accept(mail()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not await spool.list(Filter()):
            await asyncio.sleep(0.01)

    run(work)


def test_unknown_entries(run: Run) -> None:
    async def work(spool: Spool) -> None:
        for call in (spool.raw("0" * 26), spool.detail("0" * 26), spool.detail("0"), spool.note("x", Audit(0, "", ""))):
            with pytest.raises(UnknownEntry):
                await call

    run(work)


def test_a_beginning_of_an_id_will_do_when_it_is_the_only_one(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        (first,) = await spool.accept(mail())
        clock.advance(3600)
        second, third = await spool.accept(mail("a@example.com", "b@example.com"))
        assert (await spool.detail(first[:9])).entry.id == first
        with pytest.raises(UnknownEntry, match="8 characters"):
            await spool.detail(first[:7])
        with pytest.raises(UnknownEntry, match="more than one"):
            await spool.detail(second[:10])
        assert (await spool.detail(third)).entry.id == third

    run(work)
