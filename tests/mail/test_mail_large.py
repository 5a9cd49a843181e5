"""One mail of 25 MB goes through a bridge; what that costs in memory, and others in time, is bounded."""

from __future__ import annotations

import pytest

from benchmarks.reading import SIZE, one_large
from tests.mail.bombs import eight_bit, encoded

AFTER_S = 60.0
"""The minute of the promise."""


@pytest.mark.system
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["base64", "8-bit"])
def test_memory_for_a_large_mail_is_bounded_and_given_back(kind: str) -> None:
    raw = encoded(SIZE) if kind == "base64" else eight_bit(SIZE)
    rows = one_large(kind, raw, AFTER_S)
    # The first row is of time, which a machine that runs other tests cannot promise.
    assert [str(row) for row in rows[1:] if not row.kept] == []
