"""The schedule: every outcome at every age and number of tries, and what docs/delivery.md says of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.circuit import Budget, Circuit
from bridge.delivery.outcome import Outcome
from bridge.delivery.schedule import (
    MAX_AGE_S,
    RATE_LIMIT_CAP_S,
    WAITS,
    Act,
    Pace,
    again,
    backoff,
    looks_like_wrong_url,
    next_look,
    next_step,
    rate_limit_pause,
)
from bridge.reasons import Reason
from tests.delivery.test_delivery_outcome import table

NOW = 1_000_000.0
PACE = Pace()
WORDS = {
    "done": Act.DONE,
    "retry after the backoff": Act.RETRY,
    "look": Act.LOOK,
    "wait for the gate": Act.WAIT,
    "wait for the gate, then look once": Act.CHECK,
    "examine the ticket": Act.EXAMINE,
    "hold": Act.HOLD,
}
ROWS = {row[0].strip("`"): row for row in table("What follows an outcome")}


def test_every_outcome_has_a_row() -> None:
    assert set(ROWS) == set(Outcome)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_at_every_age(outcome: Outcome) -> None:
    _, word, _state, reason, _counts = ROWS[outcome]
    ages = (0.0, 60.0, 86_400.0, MAX_AGE_S, MAX_AGE_S + 1, 100 * MAX_AGE_S)
    for attempts, age, chance in itertools.product(range(12), ages, (0.0, 0.5, 1.0)):
        step = next_step(outcome, attempts, age, NOW, chance=chance, pace=PACE)
        if outcome is Outcome.NOT_SENT and age > MAX_AGE_S:
            assert (step.act, step.reason) == (Act.HOLD, Reason.TOO_OLD)
            continue
        assert step.act is WORDS[word]
        assert step.act is Act.EXAMINE or step.reason == reason.strip("`")
        assert (step.act in (Act.WAIT, Act.CHECK)) is (outcome in WAITS)
        if step.act is Act.RETRY:
            assert step.at == NOW + backoff(attempts, chance, PACE)
        if step.act is Act.LOOK:
            assert step.at == NOW + 2


def test_the_backoff_is_the_documented_one() -> None:
    middle = [backoff(attempts, 0.5, PACE) for attempts in range(8)]
    assert middle == pytest.approx([5, 30, 120, 600, 1800, 3600, 3600, 3600])
    for attempts in range(8):
        assert backoff(attempts, 0.0, PACE) == pytest.approx(0.8 * middle[attempts])
        assert backoff(attempts, 1.0, PACE) == pytest.approx(1.2 * middle[attempts])
    assert again(1, 0.0, NOW, chance=0.5, pace=PACE).at == NOW + 30


def test_three_looks_then_no_more() -> None:
    assert [next_look(looks, 60.0, 0.0, PACE) for looks in range(4)] == [2, 13, 45, None]
    assert [next_look(looks, 900.0, 0.0, PACE) for looks in range(4)] == [2, 2, 2, None]
    assert sum(PACE.looks_s) == 60


def test_a_faster_pace_is_the_same_pace() -> None:
    fast = PACE.faster(10)
    assert (fast.backoff_s[0], fast.looks_s[2], fast.circuit_probe_s, fast.key_probe_s) == (0.5, 4.5, 3, 6)
    assert fast.idle_s == 0.5


@given(st.none() | st.floats(0, 1e9), st.floats(0, 1))
def test_a_rate_limit_is_waited_for_and_never_for_more_than_an_hour(asked: float | None, chance: float) -> None:
    pause = rate_limit_pause(asked, chance)
    assert 1 <= pause <= RATE_LIMIT_CAP_S
    assert pause >= min(asked if asked is not None else 5, RATE_LIMIT_CAP_S)
    assert pause <= max(1.0, 5.0 if asked is None else asked) * 1.1 + 1e-6


def test_many_tickets_that_are_not_there_at_once_look_like_a_wrong_address() -> None:
    many = [(NOW + number, f"tkt_{number}") for number in range(5)]
    assert looks_like_wrong_url(many, NOW + 10)
    assert not looks_like_wrong_url(many[:4], NOW + 10)
    assert not looks_like_wrong_url([(NOW, "tkt_1")] * 50, NOW)
    assert not looks_like_wrong_url(many, NOW + 302)


def test_the_circuit_opens_after_three_tickets_and_ramps_up() -> None:
    circuit = Circuit(8).failure("a").failure("a").failure("b")
    assert not circuit.is_open
    assert circuit.success().failed == ()
    circuit = circuit.failure("c")
    assert circuit.is_open
    circuit = circuit.probed()
    seen = [circuit.capacity()]
    for _ in range(4):
        circuit = circuit.success()
        seen.append(circuit.capacity())
    assert seen == [1, 2, 4, 8, 8]
    ramping = Circuit(8).failure("a").probed().success().success()
    assert ramping.failure("a").capacity() == 1, "a failure while it ramps up starts over"
    assert Circuit(8).failure("a").capacity() == 8


def test_the_budget_is_the_least_that_a_window_said() -> None:
    budget = Budget().answered(None, 60.0, NOW).answered(5, None, NOW)
    assert budget.capacity(NOW) is None
    budget = budget.answered(5, 60.0, NOW).answered(7, 59.5, NOW + 0.5)
    assert budget.capacity(NOW + 1) == 5
    budget = budget.answered(0, 59.0, NOW + 1)
    assert budget.capacity(NOW + 2) == 0
    assert budget.capacity(NOW + 60) is None, "the window is over"
    assert budget.answered(9, 60.0, NOW + 61).capacity(NOW + 62) == 9
