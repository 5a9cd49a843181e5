"""The labelled set: what it must be, and what the shipped rules must reach on both halves (issue: sensitivity)."""

from __future__ import annotations

import difflib
import re
from itertools import combinations

import pytest

from bridge import sensitivity
from tests.sensitivity.corpus import SETS, Entry, entries, measure

LANGUAGES = {"en", "sv", "no", "da", "fi", "de", "nl", "fr", "es", "it", "pl"}
_SECRET = re.compile(r"\S*[\d!#$%&*+_@]\S*")


def masked(text: str) -> list[str]:
    """The words, with everything that holds a digit or a sign, and so may be the secret, made equal."""
    return ["#" if _SECRET.fullmatch(word) else word for word in text.lower().split()]


def near_duplicates(a: list[str], b: list[str]) -> bool:
    """They differ only by what is masked, or by one word, or hardly at all."""
    if len(a) == len(b):
        differing = sum(x != y for x, y in zip(a, b, strict=True))
        if differing == 0 and a != ["#"]:
            return True
        if differing <= 1 and len(a) >= 4:
            return True
    if len(a) < 4 or abs(len(a) - len(b)) > 2:
        return False
    matcher = difflib.SequenceMatcher(None, " ".join(a), " ".join(b))
    return matcher.real_quick_ratio() > 0.88 and matcher.quick_ratio() > 0.88 and matcher.ratio() > 0.88


@pytest.fixture(scope="module")
def all_entries() -> list[Entry]:
    return [entry for half in SETS for entry in entries(half)]


def test_the_set_is_large_enough_and_speaks_every_language(all_entries: list[Entry]) -> None:
    assert sum(entry.sensitive for entry in all_entries) >= 400
    assert sum(not entry.sensitive for entry in all_entries) >= 600
    for sensitive in (True, False):
        assert {entry.lang for entry in all_entries if entry.sensitive is sensitive} == LANGUAGES


def test_no_two_entries_differ_only_by_the_secret_or_one_word(all_entries: list[Entry]) -> None:
    words = [(masked(entry.text), entry.text) for entry in all_entries]
    twins = [(x, y) for (a, x), (b, y) in combinations(words, 2) if near_duplicates(a, b)]
    assert twins == []


def test_near_duplicates_are_seen() -> None:
    assert near_duplicates(masked("the password is Abc!123 now"), masked("the password is Xyz#999 now"))
    assert near_duplicates(masked("please send my password soon"), masked("please send the password soon"))
    assert not near_duplicates(masked("the password is Abc!123 now"), masked("log in with admin / Abc!123"))


@pytest.mark.parametrize("half", SETS)
def test_the_shipped_rules_reach_their_measures(half: str) -> None:
    rules = sensitivity.load()
    rows = entries(half)
    probable, certain = measure(rules, rows, "probable"), measure(rules, rows, "certain")
    assert probable.recall >= 0.90
    assert probable.precision >= 0.95
    assert certain.precision >= 0.99
    assert certain.recall >= 0.35, "a tier that finds little is no tier"
