"""The power goes at hundreds of moments: nothing acknowledged is lost, and without its syncs something would be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.powercut.replay import build, cut_often, record

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("recorder"))


def test_nothing_acknowledged_is_lost(library: Path) -> None:
    steps = record(library, "FULL", 120)
    assert sum(step.kind == "S" and step.name == "spool.db" for step in steps) >= 2, "the log was never copied"
    found = cut_often(steps, 300, random.Random(1), lambda _: None)
    assert (found.cuts, found.lost, found.damaged) == (300, [], [])
    assert found.acknowledged > 1_000


def test_the_test_can_fail(library: Path) -> None:
    found = cut_often(record(library, "NORMAL", 120), 100, random.Random(2), lambda _: None)
    assert found.lost
