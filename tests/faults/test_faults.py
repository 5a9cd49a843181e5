"""A part of the fault and kill programmes (``make test-faults`` runs all of them)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.delivery import Point
from tests.faults import kills, outage, programme
from tests.faults.table import KINDS, PLACES, VIEWS, cases, expected


def test_there_are_25_kinds_and_every_case_has_an_end() -> None:
    assert len(KINDS) == 25
    chosen = cases(40)
    assert len(chosen) == 4000
    assert {(case.place, case.view) for case in chosen} == {(place, view) for place in PLACES for view in VIEWS}
    assert {expected(case)[0] for case in chosen} == {"delivered", "held"}


@pytest.mark.system
@pytest.mark.timeout(600)
def test_every_fault_at_every_place(tmp_path: Path) -> None:
    done = asyncio.run(programme.run(len(VIEWS), tmp_path))
    assert done.wrong == []
    assert sum(done.ends.values()) == len(KINDS) * len(PLACES) * len(VIEWS)


@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_kill_at_every_named_point(tmp_path: Path) -> None:
    done = asyncio.run(kills.run(1, 4, tmp_path))
    assert done.wrong == []
    assert done.kills == len(Point) + 4
    assert done.mails > done.kills


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("limit", [None, 200])
def test_an_outage_of_eight_hours(tmp_path: Path, limit: int | None) -> None:
    done = asyncio.run(outage.run(1000, 50, tmp_path, limit=limit, window_s=2))
    assert done.wrong == []
    assert done.tries > 10, "it was an outage"
    assert done.limited * 100 < done.requests
