"""Rule files: what they may say, and how each mistake is told."""

from __future__ import annotations

import re

import pytest

from bridge import sensitivity
from bridge.errors import ConfigurationError
from bridge.sensitivity.rules import SCOPES, Rules

GOOD = """
[[rule]]
id = "badge"
tier = "certain"
pattern = 'BADGE-(\\d{4})'
match = ["BADGE-1234"]
no_match = ["BADGE-12"]
"""
WORDS = """
[[rule]]
id = "customer-word"
tier = "probable"
value = "password"
words = ["kundord*"]
match = ["kundordet är Blåklint77"]
no_match = ["kundordet är fel"]
"""


def flags(rules: sensitivity.Rules, text: str) -> set[str]:
    scan = sensitivity.scan(rules, sensitivity.Content(subject="", posted=text, elided=""), sensitivity.Options())
    return {finding.rule for finding in scan.findings}


def ids(rules: sensitivity.Rules, *, enabled: bool = True) -> set[str]:
    return {rule.id for rule in rules.known if rule.enabled is enabled}


def test_an_operators_file_extends_the_shipped_rules() -> None:
    rules = sensitivity.load(GOOD + WORDS, name="own.toml")
    assert {"badge", "customer-word", "password"} <= ids(rules)
    assert flags(rules, "it is BADGE-1234") == {"badge"}
    assert flags(rules, "Kundordet är nu Blåklint77") == {"customer-word"}


def test_it_replaces_them_when_it_says_so() -> None:
    rules = sensitivity.load("extend = false\n" + GOOD, name="own.toml")
    assert ids(rules) == {"badge"}
    assert flags(rules, "the password is Qz7!kfp2x") == set()


def test_rules_are_switched_off_and_on_and_written_anew() -> None:
    assert "special-category" in ids(sensitivity.load(), enabled=False)
    rules = sensitivity.load('disable = ["iban"]\nenable = ["special-category"]')
    assert "iban" in ids(rules, enabled=False)
    assert flags(rules, "Ich bin krankgeschrieben") == {"special-category"}
    assert flags(sensitivity.load(), "Ich bin krankgeschrieben") == set()
    anew = sensitivity.load(GOOD.replace('"badge"', '"iban"'))
    assert flags(anew, "DE89 3704 0044 0532 0130 00") == set()
    assert flags(anew, "BADGE-1234") == {"iban"}


def test_an_empty_file_changes_nothing() -> None:
    assert ids(sensitivity.load("")) == ids(sensitivity.load())


def test_every_shipped_rule_has_its_examples_and_they_hold() -> None:
    report = sensitivity.run_examples(sensitivity.load())
    assert report.failures == ()
    assert report.rules == len(sensitivity.load().known) >= 45
    assert report.examples >= 200


def test_examples_of_rules_that_are_off_run_too() -> None:
    rules = sensitivity.load('disable = ["password"]')
    assert sensitivity.run_examples(rules).rules == sensitivity.run_examples(sensitivity.load()).rules


BROKEN = {
    "not TOML": ("[[rule]\n", r"own\.toml: not valid TOML: .*line 1"),
    "unknown top key": ("exdend = true\n", r"own\.toml: unknown key 'exdend'; known: disable, enable, extend, rule"),
    "extend is no flag": ('extend = "yes"\n', r"own\.toml: extend must be true or false"),
    "rule is no table array": ("rule = 3\n", r"own\.toml: rules are written as \[\[rule\]\]"),
    "disable is no list": ('disable = "iban"\n', r"own\.toml: disable must be a list of texts"),
    "disable names nothing": ('disable = ["ibam"]\n', r"own\.toml: disable names a rule that does not exist: 'ibam'"),
    "enable names nothing": ('enable = ["x"]\n', r"own\.toml: enable names a rule that does not exist: 'x'"),
    "no id": ('[[rule]]\ntier = "certain"\n', r"own\.toml:1: a rule needs an id"),
    "neither pattern nor words": (
        '\n\n[[rule]]\nid = "x"\n',
        r"own\.toml:3: rule 'x': a rule has either a pattern or words",
    ),
    "both": (GOOD + 'words = ["x"]\n', r"own\.toml:2: rule 'badge': a rule has either a pattern or words"),
    "unknown key": (GOOD + "colour = 1\n", r"own\.toml:2: rule 'badge': unknown key 'colour'"),
    "words' key in a pattern": (GOOD + 'value = "password"\n', r"rule 'badge': unknown key 'value'"),
    "tier": (GOOD.replace("certain", "maybe"), r"rule 'badge': tier must be one of certain, probable"),
    "scope": (GOOD + 'scope = ["footer"]\n', r"rule 'badge': unknown scope 'footer'; known: subject, body"),
    "enabled": (GOOD + "enabled = 1\n", r"rule 'badge': enabled must be true or false"),
    "part": (GOOD + 'part = "no"\n', r"rule 'badge': part must be true or false"),
    "validator": (GOOD + 'validator = "lun"\n', r"rule 'badge': unknown validator 'lun'; known: .*luhn"),
    "pattern is no text": (GOOD.replace("'BADGE-(\\d{4})'", "7"), r"rule 'badge': pattern must be a text"),
    "look-ahead": (GOOD.replace("BADGE", "(?=B)BADGE"), r"rule 'badge': RE2 cannot express the pattern: .*\(\?="),
    "back-reference": (GOOD.replace("'BADGE-", "'(.)\\1"), r"rule 'badge': RE2 cannot express the pattern: .*escape"),
    "matches everything": (GOOD.replace("BADGE-(\\d{4})", "x*"), r"rule 'badge': the pattern matches the empty text"),
    "value": (WORDS.replace('"password"', '"pass"'), r"rule 'customer-word': value must be one of answer, chosen"),
    "no words": (WORDS.replace('["kundord*"]', "[]"), r"rule 'customer-word': words must name one word at least"),
    "stars alone": (WORDS.replace("kundord*", "**"), r"rule 'customer-word': words must name one word at least"),
    "words are no texts": (WORDS.replace('["kundord*"]', "[1]"), r"rule 'customer-word': words must be a list"),
    "no examples": (
        GOOD.replace('no_match = ["BADGE-12"]', ""),
        r"own\.toml:2: rule 'badge': examples are missing: match and no_match",
    ),
    "example that must match": (
        GOOD.replace("BADGE-1234", "BATCH-1"),
        r"own\.toml:2: rule 'badge': match example 1 is not matched",
    ),
    "example that must not": (
        GOOD.replace('"BADGE-12"', '"BADGE-1", "BADGE-9999"'),
        r"own\.toml:2: rule 'badge': no_match example 2 is matched",
    ),
    "twice": (GOOD + "\n" + GOOD, r"own\.toml:10: rule 'badge': this id stands twice in the file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told_by_file_line_rule_and_mistake(case: str) -> None:
    text, message = BROKEN[case]
    with pytest.raises(ConfigurationError) as error:
        sensitivity.load(text, name="own.toml")
    assert re.search(message, str(error.value)), str(error.value)


def test_a_failing_example_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as error:
        sensitivity.load(GOOD.replace("BADGE-1234", "canary-in-example"), name="own.toml")
    assert "canary" not in str(error.value)


def test_the_line_of_a_rule_counts_only_real_headers() -> None:
    text = """[[rule]] # one
id = "a"
tier = "certain"
description = '''
[[rule]]
'''
pattern = "a"
match = ["a"]
no_match = ["b"]
[[ rule ]]
id = "b"
"""
    with pytest.raises(ConfigurationError, match=r"own\.toml:10: rule 'b'"):
        sensitivity.load(text, name="own.toml")


def test_a_rule_written_inline_is_told_by_its_file() -> None:
    with pytest.raises(ConfigurationError, match=r"^own\.toml: rule 'x'"):
        sensitivity.load('rule = [{id = "x"}]', name="own.toml")


def test_an_example_with_too_many_candidates_is_told() -> None:
    text = GOOD.replace('no_match = ["BADGE-12"]', 'no_match = ["' + "BADGE-1234x " * 6000 + '"]')
    with pytest.raises(ConfigurationError, match="no_match example 1 is matched"):
        sensitivity.load(text)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_rule_looks_where_its_scope_says(scope: str) -> None:
    rules = sensitivity.load(f'extend = false\n{GOOD}scope = ["{scope}"]\npart = true\n')
    from bridge.model import Attachment

    everywhere = "BADGE-1234"
    file = Attachment("1", everywhere, "text/plain", 9, "", text=everywhere)
    content = sensitivity.Content(
        everywhere, everywhere, "", attachments=(file,), headers=(("x", everywhere),), protection=(everywhere,)
    )
    scan = sensitivity.scan(rules, content, sensitivity.Options())
    places = {
        "subject": "subject",
        "body": "body line 1",
        "attachment": 'attachment "BADGE-1234"',
        "attachment_name": 'attachment "BADGE-1234"',
        "header": "header",
        "protection": "mail",
    }
    assert [finding.where for finding in scan.findings] == [places[scope]]


def test_a_set_of_patterns_that_has_too_little_memory_makes_every_rule_a_candidate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.sensitivity.rules._MEMORY", 4096)
    rules = Rules(sensitivity.load().known)
    assert list(rules.candidates("body", "nothing")) == [r for r in rules.known if r.enabled and "body" in r.scopes]


def test_many_large_patterns_are_tested_together() -> None:
    big = GOOD.replace("BADGE-(\\d{4})", "BADGE-(\\d{4})|" + "[\\pL\\pN]{1,100}Q")
    text = "extend = false\n" + "".join(big.replace('"badge"', f'"badge{n}"') for n in range(9))
    rules = sensitivity.load(text)
    assert len(flags(rules, "BADGE-1234")) == 9
