"""Any order of moves, against a model that says in plain words what the interface promises (hypothesis, stateful).

The model knows nothing of heads, indexes or transactions: it looks at all entries at every step.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, reject, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.errors import StaleToken, UnknownEntry, WrongState
from bridge.reasons import Reason
from bridge.spool.api import (
    ENDED,
    AttemptResult,
    Audit,
    Claim,
    ContextQuery,
    Filter,
    Kind,
    Settlement,
    Spool,
    State,
)
from tests.spool.conftest import Factory
from tests.spool.samples import DAY, Clock, decision, lane, mail

LANES = ("", lane(1), lane(2))
WAITING = (State.READY, State.SENDING, State.UNKNOWN)
IN_FLIGHT = (State.SENDING, State.UNKNOWN)
LEASE = 60.0
KEPT = 14 * DAY


@dataclass(eq=False)
class Model:
    """One entry, as the interface describes it."""

    id: str
    raw: bytes
    hint: str
    at: float
    updated: float
    state: State = State.RECEIVED
    reason: str = "waiting"
    lane: str = ""
    next_at: float = 0.0
    attempts: int = 0
    claim: Claim | None = None
    """The newest one, when it has not been given back."""
    decided: bool = False
    released: bool = False
    erased: bool = False
    open_post: bool = False
    confirmed: set[str] = field(default_factory=set)
    audits: int = 0

    def leased(self, now: float) -> bool:
        return self.claim is not None and self.claim.lease_until > now


class Machine(RuleBasedStateMachine):
    """Runs every move on a real spool and on the model."""

    factory: Factory

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.entries: list[Model] = []
        self.claims: list[tuple[Model, Claim]] = []
        self.attempts: dict[str, list[int]] = {}
        self.keys: dict[str, tuple[str, float]] = {}
        self.posted = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.opener = self.factory(Path(self.directory.name), self.clock)
        self.spool: Spool = self.do(self.opener())

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.do(self.spool.close())
        self.loop.close()
        self.directory.cleanup()

    # Intake and reading

    @rule(hints=st.lists(st.sampled_from(LANES), min_size=1, max_size=3), size=st.integers(0, 50))
    def accept(self, hints: list[str], size: int) -> None:
        raw = b"%d " % len(self.entries) + b"x" * size
        recipients = (f"r{number}@example.com" for number in range(len(hints)))
        ids = self.do(self.spool.accept(mail(*recipients, raw=raw, hints=tuple(hints))))
        assert len(ids) == len(hints)
        now = self.clock.now
        self.entries += [Model(i, raw, h, now, now) for i, h in zip(ids, hints, strict=True)]

    @rule(limit=st.integers(1, 4))
    def claim_received(self, limit: int) -> None:
        now = self.clock.now
        due = [e for e in self.entries if e.state is State.RECEIVED and e.next_at <= now and not e.leased(now)][:limit]
        self.take(self.do(self.spool.claim_received(limit, LEASE)), due)

    def take(self, claims: list[Claim], expected: list[Model]) -> None:
        assert [claim.entry.id for claim in claims] == [entry.id for entry in expected]
        for claim, entry in zip(claims, expected, strict=True):
            entry.claim = claim
            self.claims.append((entry, claim))

    def pick(self, data: st.DataObject) -> tuple[Model, Claim]:
        """A claim, nearly always one that still holds."""
        live = [pair for pair in self.claims if pair[0].claim is pair[1] and not self.overtaken(pair[0])]
        self.claims = [pair for pair in self.claims if pair in live or pair[0].claim is not pair[1]] or live
        if not self.claims:
            reject()
        stale = data.draw(st.integers(0, 7)) == 0
        chosen: tuple[Model, Claim] = data.draw(st.sampled_from(self.claims[-6:] if stale or not live else live[-4:]))
        return chosen

    def move(self, entry: Model, claim: Claim, allowed: tuple[State, ...], work: Coroutine[Any, Any, Any]) -> Any:
        """Run ``work``; what it returned, or None when the model says that it had to be refused."""
        if entry.claim is not claim:
            with pytest.raises(StaleToken):
                self.do(work)
        elif allowed and entry.state not in allowed:
            with pytest.raises(WrongState):
                self.do(work)
        else:
            return (self.do(work),)
        return None

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        state=st.sampled_from([State.READY, State.READY, State.READY, State.HELD, State.RECORDED, State.DISCARDED]),
        ticket=st.sampled_from(LANES[1:]),
        wait=st.sampled_from([0.0, 0.0, 30.0]),
    )
    def decided(self, data: st.DataObject, state: State, ticket: str, wait: float) -> None:
        entry, claim = self.pick(data)
        made = decision(action="deliver", reason=Reason.REPLY, message_id=f"m{entry.id}@example.org")
        until = self.clock.now + wait if wait else 0.0
        work = self.spool.decided(claim, made, state=state, lane=ticket, body_digest="d", not_before=until)
        if self.move(entry, claim, (State.RECEIVED,), work):
            reason = "waiting" if state is State.READY else "reply"
            self.became(entry, state, reason, ticket, until)

    @rule(tickets=st.lists(st.sampled_from(LANES[1:]), min_size=1, max_size=3))
    def answers_arrive(self, tickets: list[str]) -> None:
        """Accepted, read and made ready in one go: what most mails do."""
        self.accept(hints=tickets, size=0)
        self.claim_received(limit=50)
        for entry, claim in [pair for pair in self.claims if pair[0].claim is pair[1]]:
            if entry.state is State.RECEIVED:
                ticket = entry.hint or LANES[1]
                made = decision(message_id=f"m{entry.id}@example.org")
                self.do(self.spool.decided(claim, made, state=State.READY, lane=ticket, body_digest="d"))
                self.became(entry, State.READY, "waiting", ticket, 0.0)

    def became(self, entry: Model, state: State, reason: str, ticket: str, until: float) -> None:
        entry.state, entry.reason, entry.lane, entry.decided, entry.claim = state, reason, ticket, True, None
        entry.attempts, entry.next_at, entry.updated = 0, max(until, entry.at), self.clock.now

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def unreadable(self, data: st.DataObject) -> None:
        entry, claim = self.pick(data)
        if self.move(entry, claim, (State.RECEIVED,), self.spool.unreadable(claim, "crash")):
            entry.state, entry.reason, entry.claim = State.HELD, "unreadable", None
            entry.audits, entry.updated = entry.audits + 1, self.clock.now

    # Claims

    def waiting_in(self, ticket: str) -> list[Model]:
        return [e for e in self.entries if e.lane == ticket and e.state in WAITING]

    def head(self, ticket: str) -> Model | None:
        """Who may go next: none while one is in flight or worked on, else the earliest."""
        now, waiting = self.clock.now, self.waiting_in(ticket)
        flying = [e for e in waiting if e.state in IN_FLIGHT]
        assert len(flying) <= 1, "two of one lane in flight"
        if flying:
            (head,) = flying
            if head.next_at > now or head.leased(now):
                return None
            return head
        return None if any(e.leased(now) for e in waiting) else next(iter(waiting), None)

    def may_go(self, entry: Model) -> bool:
        """Due, and no earlier mail that is still unread might belong before it."""
        before = self.entries[: self.entries.index(entry)]
        kept_back = any(e.state is State.RECEIVED and e.hint in ("", entry.lane) for e in before)
        return entry.next_at <= self.clock.now and not kept_back

    @rule()
    def claim_ready(self) -> None:
        """Two looks: the first one may only find that the one who held a lane is gone."""
        for entry in self.entries:
            if entry.state is State.SENDING and not entry.leased(self.clock.now) and entry.next_at <= self.clock.now:
                self.lost(entry)
        heads = [self.head(ticket) for ticket in LANES[1:]]
        expected = [e for e in heads if e is not None and self.may_go(e)]
        lost = {e for e in self.entries if e.claim is not None and not e.leased(self.clock.now)}
        found = [*self.do(self.spool.claim_ready(50, LEASE)), *self.do(self.spool.claim_ready(50, LEASE))]
        in_order = sorted(expected, key=lambda e: [claim.entry.id for claim in found].index(e.id))
        self.take(found, in_order)
        # Whose lease ran out is fenced off once another one goes; before that nothing is promised either way.
        for entry in lost - set(in_order):
            if any(other.lane == entry.lane for other in in_order):
                entry.claim = None
            else:
                self.claims = [pair for pair in self.claims if pair[0] is not entry]
        for entry, claim in zip(in_order, found, strict=True):
            assert (claim.entry.state, claim.entry.lane) == (entry.state, entry.lane)
            assert claim.decision is not None
            assert claim.decision.message_id == f"m{entry.id}@example.org"

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        entry, claim = self.pick(data)
        if self.move(entry, claim, (), self.spool.extend(claim, LEASE * 2)):
            longer = replace(claim, lease_until=self.clock.now + LEASE * 2)
            entry.claim = longer
            self.claims[self.claims.index((entry, claim))] = (entry, longer)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), wait=st.sampled_from([0.0, 30.0]), counted=st.booleans())
    def defer(self, data: st.DataObject, wait: float, counted: bool) -> None:
        entry, claim = self.pick(data)
        if self.move(entry, claim, (), self.spool.defer(claim, self.clock.now + wait, counted=counted)):
            entry.next_at, entry.claim = self.clock.now + wait, None
            entry.attempts += counted

    def lost(self, entry: Model) -> None:
        """Nobody knows how the request of an entry ended whose worker is gone, if there was one."""
        if entry.state is State.SENDING:
            entry.state = State.UNKNOWN if entry.open_post else State.READY
            entry.reason = "retry" if entry.open_post else "waiting"

    def overtaken(self, entry: Model) -> bool:
        """Its lease ran out and another one is to go first: it may be fenced off already."""
        if entry.state is not State.READY or entry.leased(self.clock.now):
            return False
        return self.waiting_in(entry.lane)[0] is not entry

    # Delivery

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), kind=st.sampled_from(Kind))
    def intend(self, data: st.DataObject, kind: Kind) -> None:
        entry, claim = self.pick(data)
        done = self.move(entry, claim, WAITING, self.spool.intend(claim, kind, "f"))
        if done:
            numbers = self.attempts.setdefault(entry.id, [])
            numbers.append(done[0].number)
            assert numbers == list(range(1, len(numbers) + 1))
            if kind in (Kind.POST, Kind.CREATE):
                entry.state, entry.reason, entry.updated, entry.open_post = (
                    State.SENDING,
                    "waiting",
                    self.clock.now,
                    True,
                )

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        state=st.sampled_from([State.HELD, State.UNKNOWN, State.READY, State.DELIVERED, State.EXPIRED]),
        wait=st.sampled_from([0.0, 30.0]),
        key=st.sampled_from(["", "k1", "k2"]),
    )
    def settle(self, data: st.DataObject, state: State, wait: float, key: str) -> None:
        entry, claim = self.pick(data)
        if entry.state is State.RECEIVED and entry.claim is claim:
            return
        open_ = self.attempts.get(entry.id, [])
        number = open_[-1] if open_ else None
        self.posted += 1
        result = AttemptResult("x", message_id=f"tmsg_{self.posted}")
        reason = {State.DELIVERED: Reason.DELIVERED, State.HELD: Reason.REFUSED_BY_API}.get(state, Reason.RETRY)
        until = self.clock.now + wait
        settlement = Settlement(
            state, reason, attempt=number, result=None if number is None else result, next_at=until, dedupe_key=key
        )
        if self.move(entry, claim, (), self.spool.settle(claim, settlement)):
            entry.state, entry.reason, entry.next_at, entry.claim = state, reason, until, None
            entry.updated = self.clock.now
            entry.attempts += 1
            if number is not None:
                entry.confirmed = {text for text in entry.confirmed if not text.startswith(f"{number}:")}
                entry.confirmed.add(f"{number}:tmsg_{self.posted}")
                entry.open_post = False
            if state is State.DELIVERED and key:
                self.keys[key] = (entry.id, self.clock.now)

    # People, time, restarts

    @precondition(lambda self: self.entries)
    @rule(
        data=st.data(),
        state=st.sampled_from([State.READY, State.RECEIVED, State.HELD, State.DISCARDED]),
        ticket=st.sampled_from([None, None, None, *LANES[1:]]),
        allowed=st.sampled_from([frozenset(State), frozenset({State.HELD}), frozenset(State), ENDED]),
    )
    def operate(self, data: st.DataObject, state: State, ticket: str | None, allowed: frozenset[State]) -> None:
        held = [e for e in self.entries if e.state is State.HELD] or self.entries
        entry: Model = data.draw(st.sampled_from(held if data.draw(st.booleans()) else self.entries))
        audit = Audit(self.clock.now, "anna", "move", "why")
        work = self.spool.operate(
            entry.id, audit, allowed=allowed, state=state, reason=Reason.BY_OPERATOR, lane=ticket, released=True
        )
        goal = entry.lane if ticket is None else ticket
        back = state in (State.READY, State.RECEIVED)
        refused = entry.state not in allowed or entry.leased(self.clock.now) or (back and entry.erased)
        if refused or (state is State.READY and not (goal and entry.decided)):
            with pytest.raises(WrongState):
                self.do(work)
            return
        self.do(work)
        entry.state, entry.reason, entry.lane, entry.hint = state, "by_operator", goal, ""
        entry.attempts, entry.claim, entry.next_at, entry.updated = 0, None, self.clock.now, self.clock.now
        entry.audits, entry.released = entry.audits + 1, True

    @rule(seconds=st.sampled_from([1.0, 31.0, 31.0, 61.0, 61.0, 15 * DAY]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def erase(self) -> None:
        before = self.clock.now - KEPT
        self.do(self.spool.erase(ended_before=before, held_before=before))
        for entry in self.entries:
            if entry.state is State.HELD and not entry.erased and entry.updated < before:
                entry.state, entry.reason, entry.erased = State.EXPIRED, "retention", True
                entry.audits, entry.updated = entry.audits + 1, self.clock.now
            elif entry.state in ENDED and entry.updated < before:
                entry.erased = True

    @rule()
    def restart(self) -> None:
        self.do(self.spool.close())
        self.spool = self.do(self.opener())
        claimed = [e for e in self.entries if e.claim is not None]
        assert self.do(self.spool.recover()) >= 0
        for entry in claimed:
            entry.claim = None
            self.lost(entry)

    # What is true at all times

    @invariant()
    def the_lists_and_counts_agree(self) -> None:
        if not hasattr(self, "spool"):
            return
        listed = self.do(self.spool.list(Filter()))
        assert [e.id for e in listed] == [e.id for e in self.entries]
        for entry, found in zip(self.entries, listed, strict=True):
            assert (found.state, found.reason, found.lane) == (entry.state, entry.reason, entry.lane), entry
            assert (found.attempts, found.erased, found.released) == (entry.attempts, entry.erased, entry.released)
            assert (found.next_at if found.state in WAITING else 0) == (entry.next_at if entry.state in WAITING else 0)
        counts = self.do(self.spool.counts())
        assert counts.by_state == {s: sum(e.state is s for e in self.entries) for s in State}
        assert sum(counts.held_by_reason.values()) == counts.by_state[State.HELD]
        waits = [e.at for e in self.entries if e.state is State.RECEIVED or e.state in WAITING]
        assert counts.oldest_waiting == min(waits, default=None)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def look_closely(self, data: st.DataObject) -> None:
        entry: Model = data.draw(st.sampled_from(self.entries))
        if entry.erased:
            with pytest.raises(UnknownEntry):
                self.do(self.spool.raw(entry.id))
        else:
            assert self.do(self.spool.raw(entry.id)) == entry.raw
        detail = self.do(self.spool.detail(entry.id))
        assert (detail.decision is not None) == entry.decided
        assert [a.number for a in detail.attempts] == self.attempts.get(entry.id, [])
        assert len(detail.audit) == entry.audits
        assert (detail.decision is None or detail.decision.message == "") == (entry.erased or not entry.decided)
        if entry.lane:
            mine = {text.partition(":")[2] for e in self.entries if e.lane == entry.lane for text in e.confirmed}
            assert self.do(self.spool.confirmed_ids(entry.lane)) >= mine if mine else True
        for key in ("k1", "k2"):
            owner, at = self.keys.get(key, ("", 0.0))
            valid = owner not in ("", entry.id) and at >= self.clock.now - 30 * DAY
            assert self.do(self.spool.duplicate_of(key, entry.id)) == (owner if valid else None)
        query = ContextQuery((f"m{entry.id}@example.org",), "x@example.org", (), "", entry.id)
        assert self.do(self.spool.context(query)).released == entry.released


def machine(store: Factory) -> Callable[[], RuleBasedStateMachine]:
    return type("Machine", (Machine,), {"factory": staticmethod(store)})


@pytest.mark.timeout(120)
def test_any_order_of_moves(store: Factory) -> None:
    run_state_machine_as_test(machine(store), settings=_settings(7, 20))  # type: ignore[no-untyped-call]  # hypothesis


@pytest.mark.system
@pytest.mark.timeout(600)
def test_any_order_of_many_moves(store: Factory) -> None:
    run_state_machine_as_test(machine(store), settings=_settings(100, 60))  # type: ignore[no-untyped-call]  # hypothesis


def _settings(examples: int, steps: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=checks,
    )
