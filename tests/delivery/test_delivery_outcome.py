"""The outcome table: every phase, status and problem, and what docs/delivery.md says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.delivery.outcome import Failure, Outcome, Phase, classify, outcome_of
from bridge.errors import ApiError, NotSent, Problem, UnknownOutcome

DOCUMENT = (Path(__file__).parents[2] / "docs/delivery.md").read_text("utf-8")
SUCCESSES = (200, 201)


def table(heading: str, number: int = 0) -> list[list[str]]:
    """The cells of a table below a heading of the document, without its head."""
    section = DOCUMENT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)[number]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in found.splitlines()]
    return rows[2:]


def documented(status: int, code: str, *, is_problem: bool) -> str:
    """What the table says of a status that was read, its first fitting row."""
    for phase, number, problem, outcome in table("What an answer means"):
        if phase != "answered" or number.startswith("a success"):
            continue
        if problem != "-" and (problem == "yes") is not is_problem:
            continue
        fits = {
            "500 to 599": status >= 500,
            "any other with code `account_inactive`": code == "account_inactive",
            "any other": True,
        }.get(number, number == str(status))
        if fits:
            return outcome.strip("`")
    raise AssertionError("the table has no row for this")


@pytest.mark.parametrize("is_problem", [True, False])
@pytest.mark.parametrize("code", ["", "account_inactive", "forbidden", "invalid_request", "internal_error"])
def test_every_status_has_the_documented_outcome(code: str, is_problem: bool) -> None:
    if code and not is_problem:
        pytest.skip("a code makes it a problem document")
    for status in range(200, 600):
        problem = Problem(status, code=code, is_problem=is_problem)
        found = outcome_of(status, problem, None, Phase.ANSWERED)
        assert found == documented(status, code, is_problem=is_problem), status
        assert found is classify(problem)
        assert found is not Outcome.DELIVERED


@pytest.mark.parametrize("failure", [None, *Failure])
@pytest.mark.parametrize("phase", Phase)
def test_what_broke_off(phase: Phase, failure: Failure | None) -> None:
    rows = {row[0]: row[3] for row in table("What an answer means")}
    for status in (None, *range(200, 600)):
        found = outcome_of(status, None, failure, phase)
        if phase is Phase.CONNECTING:
            assert found is (Outcome.CERTIFICATE if failure is Failure.CERTIFICATE else Outcome.NOT_SENT)
            assert f"`{found}`" in rows["connecting"]
        else:
            assert found is Outcome.UNKNOWN


def test_errors_of_the_client_carry_all_that_is_asked() -> None:
    assert classify(NotSent("refused")) is Outcome.NOT_SENT
    assert classify(NotSent("bad", certificate=True)) is Outcome.CERTIFICATE
    assert classify(UnknownOutcome("reset")) is Outcome.UNKNOWN
    assert {classify(UnknownOutcome("broken", status=status)) for status in SUCCESSES} == {Outcome.UNKNOWN}
    assert classify(ApiError("a kind that nobody knows")) is Outcome.UNEXPECTED


def test_every_outcome_is_documented() -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(row[3] for row in table("What an answer means"))))
    assert told == set(Outcome) - {Outcome.DELIVERED}
