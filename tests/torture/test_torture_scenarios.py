"""What no other test does: the wall clock of a running bridge jumps (Debian: faketime). More: ``make torture``."""

from __future__ import annotations

import pytest

from torture.processes import clock_jumps

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_clock_jumps() -> None:
    outcome = list(clock_jumps(0.1))
    assert len(outcome) >= 2
    assert [criterion for criterion in outcome if not criterion.passed] == []
