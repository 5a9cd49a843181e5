"""The labelled set (tests/corpus/sensitivity), and what the rules make of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bridge import sensitivity

DIRECTORY = Path(__file__).parents[1] / "corpus" / "sensitivity"
HALVES = ("first", "second")
HELD_OUT = ("third", "fourth", "fifth", "sixth", "seventh", "eighth")
"""Each written before any rule met it; benchmarks/results/sensitivity.md says what the rules made of it then."""
SETS = (*HALVES, *HELD_OUT)
GUARD = "␟"
"""Stands inside vendors' tokens, so that nobody's scanner takes the made-up ones for leaked keys."""


@dataclass(frozen=True)
class Entry:
    lang: str
    sensitive: bool
    text: str


def entries(half: str) -> list[Entry]:
    lines = (DIRECTORY / f"{half}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Entry(row["lang"], row["sensitive"], row["text"].replace(GUARD, "")) for row in rows]


@dataclass(frozen=True)
class Measure:
    """Counts at one tier: disclosures flagged and missed, negatives flagged and left alone."""

    hit: int
    missed: int
    false: int
    quiet: int

    @property
    def recall(self) -> float:
        return self.hit / (self.hit + self.missed)

    @property
    def precision(self) -> float:
        return self.hit / (self.hit + self.false)


def flagged(rules: sensitivity.Rules, text: str, tier: str) -> bool:
    content = sensitivity.Content(subject="", posted=text, elided="")
    return sensitivity.scan(rules, content, sensitivity.Options(tier=tier)).encrypted


def measure(rules: sensitivity.Rules, rows: list[Entry], tier: str) -> Measure:
    counts = {(label, outcome): 0 for label in (True, False) for outcome in (True, False)}
    for row in rows:
        counts[row.sensitive, flagged(rules, row.text, tier)] += 1
    return Measure(counts[True, True], counts[True, False], counts[False, True], counts[False, False])
