"""The labelled set: what it must be, and what the shipped rules must reach on both halves (issue: sensitivity)."""

from __future__ import annotations

import difflib
import re
from collections import Counter

import pytest

from bridge import sensitivity
from tests.sensitivity.corpus import SETS, Entry, entries, measure

LANGUAGES = {"en", "sv", "no", "da", "fi", "de", "nl", "fr", "es", "it", "pl"}
_ALIKE = 0.88
_SECRET = re.compile(r"\S*[\d!#$%&*+_@]\S*")


def masked(text: str) -> list[str]:
    """The words, with everything that holds a digit or a sign, and so may be the secret, made equal."""
    return ["#" if _SECRET.fullmatch(word) else word for word in text.lower().split()]


def twins(texts: list[str]) -> set[tuple[str, str]]:
    """Pairs that differ only by what is masked or by one word."""
    seen: dict[tuple[str | int, ...], str] = {}
    found = set()
    for text in texts:
        words = masked(text)
        keys: list[tuple[str | int, ...]] = [] if words == ["#"] else [tuple(words)]
        if len(words) >= 4:
            keys += [(at, *words[:at], *words[at + 1 :]) for at in range(len(words))]
        found |= {(seen[key], text) for key in keys if key in seen}
        seen.update(dict.fromkeys(keys, text))
    return found


def alike(texts: list[str]) -> set[tuple[str, str]]:
    """Pairs of four words or more that are hardly different, letter by letter."""
    rows = [(words, " ".join(words), text) for text in texts for words in [masked(text)] if len(words) >= 4]
    rows.sort(key=lambda row: len(row[1]))
    found = set()
    for at, (words, joined, text) in enumerate(rows):
        matcher = difflib.SequenceMatcher(None, "", joined)
        counts = Counter(joined)
        for others, other, twin in rows[at + 1 :]:
            if 2 * len(joined) <= _ALIKE * (len(joined) + len(other)):
                break
            if abs(len(words) - len(others)) > 2:
                continue
            if 2 * (counts & Counter(other)).total() <= _ALIKE * (len(joined) + len(other)):
                continue
            matcher.set_seq1(other)
            if matcher.ratio() > _ALIKE:
                found.add((text, twin))
    return found


@pytest.fixture(scope="module")
def all_entries() -> list[Entry]:
    return [entry for half in SETS for entry in entries(half)]


def test_the_set_is_large_enough_and_speaks_every_language(all_entries: list[Entry]) -> None:
    assert sum(entry.sensitive for entry in all_entries) >= 400
    assert sum(not entry.sensitive for entry in all_entries) >= 600
    for sensitive in (True, False):
        assert {entry.lang for entry in all_entries if entry.sensitive is sensitive} == LANGUAGES


def test_no_two_entries_differ_only_by_the_secret_or_one_word(all_entries: list[Entry]) -> None:
    assert twins([entry.text for entry in all_entries]) == set()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_two_entries_of_a_language_are_nearly_the_same(all_entries: list[Entry], language: str) -> None:
    assert alike([entry.text for entry in all_entries if entry.lang == language]) == set()


def test_near_duplicates_are_seen() -> None:
    assert twins(["the password is Abc!123 now", "the password is Xyz#999 now"])
    assert twins(["please send my password soon", "please send the password soon"])
    assert alike(["please could you send my password soon", "please could you send me passwords soon"])
    different = ["the password is Abc!123 now", "log in with admin / Abc!123", "Abc!1", "Xyz#9"]
    assert not twins(different)
    assert not alike(different)


@pytest.mark.parametrize("half", SETS)
def test_the_shipped_rules_reach_their_measures(half: str) -> None:
    rules = sensitivity.load()
    rows = entries(half)
    probable, certain = measure(rules, rows, "probable"), measure(rules, rows, "certain")
    assert probable.recall >= 0.90
    assert probable.precision >= 0.95
    assert certain.precision >= 0.99


def test_the_certain_tier_finds_much(all_entries: list[Entry]) -> None:
    assert measure(sensitivity.load(), all_entries, "certain").recall >= 0.45, "a tier that finds little is no tier"
