"""Hostile mail costs work in proportion to its size. Work is counted in calls, not in seconds."""

from __future__ import annotations

import sys
import time
from types import FrameType

import pytest

from bridge.model import Hints, Reply
from bridge.reply import extract
from tests.reply.hostile import HOSTILE

ALL = Hints(cut_signoff=True, cut_disclaimer=True, known_texts=("On Monday we wrote:\n\na b c d e f g\n",))


def work(text: str | None, html: str | None, hints: Hints | None) -> tuple[int, Reply]:
    """The calls (of Python and of C functions) that one extraction makes, and its result."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        reply = extract(text, html, hints=hints)
    finally:
        sys.setprofile(None)
    return calls, reply


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("hints", [None, ALL], ids=["defaults", "everything"])
def test_twice_the_input_is_at_most_twice_the_work(name: str, hints: Hints | None) -> None:
    make, full = HOSTILE[name]
    size = max(full // 20, 1000)
    extract("a\n> b\n", "<p>x", hints=hints)
    once, _ = work(*make(size), hints)
    twice, _ = work(*make(2 * size), hints)
    assert twice <= 2.2 * once + 2000


MOST_S = 4.0
"""Processor time of one extraction, several times what it takes: calls do not show the work inside an expression."""


@pytest.mark.parametrize("name", HOSTILE)
def test_the_full_size_is_read_whole(name: str) -> None:
    make, full = HOSTILE[name]
    text, html = make(full)
    begin = time.process_time()
    reply = extract(text, html, hints=ALL)
    assert time.process_time() - begin < MOST_S
    if text is not None:
        assert len(reply.lines) == text.count("\n") + 1
    kept = sum(line.kept for line in reply.lines)
    assert reply.text.count("\n") + 1 == max(kept, 1)


def test_work_is_bounded_per_character() -> None:
    for name, (make, full) in HOSTILE.items():
        text, html = make(max(full // 20, 1000))
        calls, _ = work(text, html, None)
        assert calls <= 60 * len(text or html or "") + 5000, name
