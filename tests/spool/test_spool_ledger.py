"""What every store remembers: people's moves, retention, de-duplication, context, lists and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.errors import UnknownEntry, WrongState
from bridge.reasons import Reason
from bridge.spool.api import Audit, ContextQuery, Filter, Kind, Settlement, Spool, State
from tests.spool.samples import DAY, Clock, decision, delivered, lane, mail
from tests.spool.test_spool_conformance import LEASE, one, read, ready

Run = Callable[[Callable[[Spool], Awaitable[None]]], None]
ANY = frozenset(State)
WHO = Audit(5.0, "anna", "retry", "because")


async def deliver(spool: Spool, ticket: str, **extra: object) -> str:
    """Accept, read and deliver one mail on ``ticket``."""
    await ready(spool, ticket)
    claim = await one(spool)
    attempt = await spool.intend(claim, Kind.POST, "f")
    await spool.settle(claim, delivered(attempt.number, **extra))  # type: ignore[arg-type]  # members by name
    return claim.entry.id


async def held(spool: Spool, ticket: str = "") -> str:
    await spool.accept(mail())
    (claim,) = await spool.claim_received(1, LEASE)
    made = decision(action="hold", reason=Reason.NO_TICKET)
    await spool.decided(claim, made, state=State.HELD, lane=ticket, body_digest="")
    return claim.entry.id


def query(
    *tickets: str, ids: tuple[str, ...] = (), sender: str = "anna@example.org", entry_id: str = "", digest: str = ""
) -> ContextQuery:
    return ContextQuery(ids, sender, tickets, digest, entry_id)


def test_a_person_moves_an_entry_and_the_audit_says_so(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        entry_id = await held(spool)
        await spool.operate(
            entry_id,
            WHO,
            allowed=frozenset({State.HELD}),
            state=State.READY,
            reason=Reason.BY_OPERATOR,
            lane=lane(3),
            released=True,
            remember_sender=True,
        )
        claim = await one(spool)
        assert (claim.entry.id, claim.entry.lane, claim.entry.released) == (entry_id, lane(3), True)
        assert (await spool.detail(entry_id)).audit == (WHO,)
        assert (await spool.context(query(lane(3)))).known_sender_of == {lane(3)}
        await spool.settle(claim, Settlement(State.HELD, Reason.TICKET_NOT_FOUND))
        await spool.operate(entry_id, WHO, allowed=ANY, state=State.READY, reason=Reason.BY_OPERATOR)
        assert (await one(spool)).entry.attempts == 0

    run(work)


def test_a_redirected_entry_is_read_anew(run: Run) -> None:
    async def work(spool: Spool) -> None:
        entry_id = await held(spool)
        (other,) = await ready(spool, lane(4))
        await spool.operate(
            entry_id, WHO, allowed=ANY, state=State.RECEIVED, reason=Reason.BY_OPERATOR, override=lane(3)
        )
        assert (await one(spool)).entry.id == other
        context = await spool.context(query(entry_id=entry_id))
        assert (context.override, context.released) == (lane(3), False)
        (claim,) = await spool.claim_received(1, LEASE)
        assert claim.entry.override == lane(3)
        await spool.decided(claim, decision(), state=State.READY, lane=lane(3), body_digest="")
        assert (await one(spool)).entry.id == entry_id

    run(work)


def test_moves_that_a_state_does_not_allow(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        async def move(entry_id: str, state: State, allowed: frozenset[State] = ANY) -> None:
            await spool.operate(entry_id, WHO, allowed=allowed, state=state, reason=Reason.BY_OPERATOR)

        entry_id = await held(spool)
        with pytest.raises(WrongState, match="held"):
            await move(entry_id, State.DISCARDED, frozenset({State.DELIVERED}))
        with pytest.raises(WrongState, match="no ticket"):
            await move(entry_id, State.READY)
        await move(entry_id, State.DISCARDED)
        await ready(spool, lane(1))
        claim = await one(spool)
        with pytest.raises(WrongState, match="worked on"):
            await move(claim.entry.id, State.HELD)
        assert len((await spool.detail(claim.entry.id)).audit) == 0
        clock.advance(LEASE)
        await move(claim.entry.id, State.HELD)
        await spool.accept(mail())
        (reading,) = await spool.claim_received(1, LEASE)
        await spool.unreadable(reading, "crash")
        with pytest.raises(WrongState, match="never read"):
            await spool.operate(
                reading.entry.id, WHO, allowed=ANY, state=State.READY, reason=Reason.REPLY, lane=lane(1)
            )
        with pytest.raises(UnknownEntry):
            await move("0" * 26, State.HELD)

    run(work)


def test_an_earlier_entry_that_comes_back_goes_first_when_the_head_is_free(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        first, second = await ready(spool, lane(1), 2)
        await spool.settle(await one(spool), Settlement(State.HELD, Reason.TICKET_NOT_FOUND))
        working = await one(spool)
        await spool.operate(first, WHO, allowed=ANY, state=State.READY, reason=Reason.BY_OPERATOR)
        assert await spool.claim_ready(10, LEASE) == []
        clock.advance(LEASE)
        again = await one(spool)
        assert again.entry.id == first
        await spool.defer(again, clock.now, counted=False)
        assert (await one(spool)).entry.id == first
        assert working.entry.id == second

    run(work)


def test_bodies_of_ended_entries_are_erased_and_the_ledger_stays(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        entry_id = await deliver(spool, lane(1))
        await spool.remember_texts(lane(1), ["old words"])
        waiting = await ready(spool, lane(2))
        clock.advance(14 * DAY)
        assert await spool.erase(ended_before=clock.now - 14 * DAY, held_before=0) == 0
        assert await spool.erase(ended_before=clock.now - 14 * DAY + 1, held_before=0) == 1
        assert await spool.erase(ended_before=clock.now, held_before=0) == 0
        with pytest.raises(UnknownEntry):
            await spool.raw(entry_id)
        detail = await spool.detail(entry_id)
        assert detail.entry.erased
        assert detail.decision is not None
        left = repr(detail.decision)
        assert "hello" not in left
        assert "Secret" not in left
        assert "account" not in left
        assert detail.entry.digest
        assert detail.attempts[0].message_id == "tmsg_1"
        assert (await spool.context(query(lane(1)))).known_texts == ()
        assert await spool.raw(waiting[0])
        for state in (State.READY, State.RECEIVED):
            with pytest.raises(WrongState, match="erased"):
                await spool.operate(entry_id, WHO, allowed=ANY, state=state, reason=Reason.BY_OPERATOR)

    run(work)


def test_a_shared_body_stays_as_long_as_one_entry_needs_it(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        first, second = await spool.accept(mail("a@example.com", "b@example.com"))
        claims = await spool.claim_received(2, LEASE)
        made = decision(action="record", reason=Reason.SIBLING_HAS_TICKET)
        await spool.decided(claims[0], made, state=State.RECORDED, lane="", body_digest="")
        clock.advance(DAY)
        assert await spool.erase(ended_before=clock.now, held_before=0) == 1
        assert await spool.raw(second)
        await spool.unreadable((await spool.claim_received(1, LEASE))[0], "crash")
        clock.advance(DAY)
        assert await spool.erase(ended_before=clock.now, held_before=clock.now - DAY) == 0
        assert await spool.erase(ended_before=0, held_before=clock.now) == 1
        detail = await spool.detail(second)
        assert (detail.entry.state, detail.entry.reason) == (State.EXPIRED, Reason.RETENTION)
        assert detail.audit[-1].action == "expired"
        for entry_id in (first, second):
            with pytest.raises(UnknownEntry):
                await spool.raw(entry_id)

    run(work)


def test_erasing_goes_on_until_everything_is_erased(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await spool.accept(mail(*(f"r{n}@example.com" for n in range(450))))
        for claim in await spool.claim_received(1000, LEASE):
            await spool.unreadable(claim, "crash")
        clock.advance(DAY)
        assert await spool.erase(ended_before=0, held_before=clock.now) == 450
        assert (await spool.counts()).by_state[State.EXPIRED] == 450

    run(work)


def test_de_duplication_lasts_thirty_days(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        entry_id = await deliver(spool, lane(1), dedupe="key")
        assert await spool.duplicate_of("key", "another") == entry_id
        assert await spool.duplicate_of("key", entry_id) is None
        assert await spool.duplicate_of("other", "another") is None
        clock.advance(30 * DAY)
        assert await spool.duplicate_of("key", "another") == entry_id
        clock.advance(1)
        assert await spool.duplicate_of("key", "another") is None
        await spool.erase(ended_before=0, held_before=0)
        assert await deliver(spool, lane(1), dedupe="key") == await spool.duplicate_of("key", "")

    run(work)


def test_what_a_delivery_teaches(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        assert (await spool.context(query(lane(1), ids=("m1@example.org",)))).threads == {}
        entry_id = await deliver(spool, lane(1), remember_sender=True)
        await spool.remember_number("149943", lane(1))
        context = await spool.context(query("149943", "99", ids=("x", "m1@example.org"), sender="ANNA@example.org"))
        assert context.threads == {"m1@example.org": lane(1)}
        assert context.known_sender_of == {lane(1), "149943"}
        assert context.numbers == {"149943": lane(1)}
        assert not context.empty
        assert (await spool.context(query(lane(1), sender="bo@example.org"))).known_sender_of == frozenset()
        assert await spool.confirmed_ids(lane(1)) == {"tmsg_1"}
        assert await spool.confirmed_ids(lane(2)) == frozenset()
        assert await spool.ticket_of("149943") == lane(1)
        assert await spool.ticket_of("1") is None
        await deliver(spool, lane(2), message="tmsg_2")
        assert (await spool.context(query(ids=("m1@example.org",)))).threads == {"m1@example.org": lane(1)}
        clock.advance(401 * DAY)
        await spool.erase(ended_before=0, held_before=0)
        assert (await spool.context(query(ids=("m1@example.org",)))).threads == {}
        assert (await spool.detail(entry_id)).entry.state is State.DELIVERED

    run(work)


def test_a_held_mail_teaches_nothing(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        claim = await one(spool)
        await spool.settle(claim, Settlement(State.HELD, Reason.REFUSED_BY_API, dedupe_key="key", remember_sender=True))
        context = await spool.context(query(lane(1), ids=("m1@example.org",)))
        assert (context.threads, context.known_sender_of) == ({}, frozenset())
        assert await spool.duplicate_of("key", "") is None

    run(work)


def test_the_newest_texts_are_kept_and_bounded(run: Run) -> None:
    async def work(spool: Spool) -> None:
        await spool.remember_texts(lane(1), ["before"])
        await spool.remember_texts(lane(1), [f"text {n} \ud800" for n in range(4)] + ["å" * 40_000, "sixth"])
        texts = (await spool.context(query(lane(1)))).known_texts
        assert texts[:4] == tuple(f"text {n} ?" for n in range(4))
        assert texts[4] == "å" * 32_768
        assert len(texts) == 5

    run(work)


def test_frequencies_of_one_sender_on_one_ticket(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        await ready(spool, lane(1))
        clock.advance(3000)
        await ready(spool, lane(1))
        await ready(spool, lane(2))
        clock.advance(599)
        (mine,) = await spool.accept(mail())
        context = await spool.context(query(lane(1), entry_id=mine, digest="digest of the body"))
        assert (context.recent_from_sender, context.equal_bodies) == (1, 2)
        clock.advance(5000)
        context = await spool.context(query(lane(1), entry_id=mine, digest="digest of the body"))
        assert (context.recent_from_sender, context.equal_bodies) == (1, 2)
        context = await spool.context(query(lane(1), entry_id=mine, digest="another"))
        assert context.equal_bodies == 0
        context = await spool.context(query(lane(1), digest="digest of the body"))
        assert (context.recent_from_sender, context.equal_bodies) == (0, 0)
        assert (await spool.context(query(lane(1), sender="bo@example.org"))).recent_from_sender == 0

    run(work)


def test_lists(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        sent = await deliver(spool, lane(1))
        await spool.remember_number("7", lane(1))
        clock.advance(100)
        kept = await held(spool)
        clock.advance(100)
        await spool.accept(mail())
        (new,) = [entry.id for entry in await spool.list(Filter(states=(State.RECEIVED,)))]

        async def ids(**members: object) -> list[str]:
            return [entry.id for entry in await spool.list(Filter(**members))]  # type: ignore[arg-type]  # by name

        assert await ids() == [sent, kept, new]
        assert await ids(newest_first=True) == [new, kept, sent]
        assert await ids(limit=2) == [sent, kept]
        assert await ids(states=(State.HELD, State.DELIVERED)) == [sent, kept]
        assert await ids(ticket=lane(1)) == await ids(ticket=lane(1).upper()) == await ids(ticket="7") == [sent]
        assert await ids(ticket="8") == []
        assert await ids(sender="ANNA@example.org", reason="no_ticket") == [kept]
        assert await ids(ids=(kept, "0" * 26)) == [kept]
        assert await ids(older_than_s=100) == [sent]
        assert await ids(older_than_s=0.5) == [sent, kept]
        first = (await spool.list(Filter(limit=1)))[0]
        assert await ids(after_seq=first.seq) == [kept, new]

    run(work)


def test_counts_follow_every_move(run: Run, clock: Clock) -> None:
    async def work(spool: Spool) -> None:
        counts = await spool.counts()
        assert (sum(counts.by_state.values()), counts.oldest_waiting, counts.held_by_reason) == (0, None, {})
        assert set(counts.by_state) == set(State)
        await deliver(spool, lane(1))
        entry_id = await held(spool)
        assert (await spool.counts()).oldest_waiting is None
        started = clock.now
        await ready(spool, lane(1))
        clock.advance(5)
        await spool.accept(mail())
        counts = await spool.counts()
        assert {s: n for s, n in counts.by_state.items() if n} == {
            State.DELIVERED: 1,
            State.HELD: 1,
            State.READY: 1,
            State.RECEIVED: 1,
        }
        assert counts.held_by_reason == {"no_ticket": 1}
        assert counts.oldest_waiting == started
        await spool.operate(entry_id, WHO, allowed=ANY, state=State.HELD, reason=Reason.LOOP)
        assert (await spool.counts()).held_by_reason == {"loop": 1}

    run(work)


def test_paused_time_counts_for_those_who_wait(run: Run) -> None:
    async def work(spool: Spool) -> None:
        kept = await held(spool)
        (waiting,) = await ready(spool, lane(1))
        await spool.pause_all(10.5)
        await spool.pause_all(1.0)
        assert (await spool.detail(waiting)).entry.paused_s == 11.5
        assert (await spool.detail(kept)).entry.paused_s == 0.0

    run(work)


def test_small_values_are_shared(opener: Callable[..., Awaitable[Spool]]) -> None:
    async def main() -> None:
        spool, other = await opener(), await opener(owner="cli", exclusive=False)
        assert await spool.get_meta("paused") is None
        await spool.put_meta("paused", "yes")
        await other.put_meta("circuit", "open")
        await spool.put_meta("paused", "no")
        assert await other.get_meta("paused") == "no"
        assert await spool.get_meta("circuit") == "open"
        await other.close()
        await spool.close()

    asyncio.run(main())


def test_a_command_line_tool_works_beside_the_one_who_serves(opener: Callable[..., Awaitable[Spool]]) -> None:
    async def main() -> None:
        spool, tool = await opener(), await opener(owner="cli", exclusive=False)
        entry_id = await held(spool)
        assert [entry.id for entry in await tool.list(Filter())] == [entry_id]
        await tool.note(entry_id[:20], Audit(1.0, "bo", "reveal"))
        await tool.operate(entry_id, WHO, allowed=ANY, state=State.READY, reason=Reason.BY_OPERATOR, lane=lane(1))
        await spool.wait(5)
        await spool.wait(5)
        assert (await one(spool)).entry.id == entry_id
        assert [line.action for line in (await spool.detail(entry_id)).audit] == ["reveal", "retry"]
        assert await tool.recover() == 0
        await tool.close()
        await read_one_more(spool)
        await spool.close()

    asyncio.run(main())


async def read_one_more(spool: Spool) -> None:
    """The one who serves goes on after the tool has closed."""
    await spool.accept(mail())
    await read(spool, lane(9))
    assert (await one(spool)).entry.lane == lane(9)
