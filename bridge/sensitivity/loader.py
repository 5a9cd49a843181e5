"""Rule files: TOML text to ``Rules``, with every mistake named by file, line and rule, and every example run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import re2

from bridge.errors import ConfigurationError
from bridge.sensitivity import digits, listing, naming
from bridge.sensitivity.fold import fold
from bridge.sensitivity.keywords import KeywordMatcher, Reader
from bridge.sensitivity.rules import DEFAULT_SCOPES, SCOPES, TIERS, Matcher, PatternMatcher, Rule, Rules, TooMuch
from bridge.sensitivity.validators import VALIDATORS

DEFAULT = "default.toml"
_TOP = {"extend", "disable", "enable", "rule"}
_COMMON = {"id", "description", "tier", "scope", "match", "no_match", "enabled"}
_PATTERN = {"pattern", "validator", "near", "unless", "part", "word"}
_KEYWORD = {"words", "value"}
READERS: dict[str, Reader] = {
    **naming.READERS,
    **listing.READERS,
    "digits": digits.grouped,
    "sent-digits": digits.sent,
}
"""What a rule with words may name as ``value``."""


def load(text: str | None = None, *, name: str = DEFAULT) -> Rules:
    """The shipped rules, or the operator's file ``text``, which extends (``extend = true``) or replaces them.

    Raises ``ConfigurationError`` naming file, line, rule and what is wrong, examples that fail all at once.
    """
    if text is None:
        return _shipped()
    file = _File(name, text)
    base = _shipped() if file.flag("extend", default=True) else Rules(())
    return _merge(base, file)


@cache
def _shipped() -> Rules:
    text = resources.files("bridge.sensitivity").joinpath(DEFAULT).read_text("utf-8")
    return _merge(Rules(()), _File(DEFAULT, text))


class _File:
    """One parsed rule file, which knows the line of each of its rules."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        try:
            self.table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{name}: not valid TOML: {error}") from None
        self._lines = tuple(_rule_lines(text))
        for key in self.table.keys() - _TOP:
            raise ConfigurationError(f"{name}: unknown key {key!r}; known: {', '.join(sorted(_TOP))}")
        rules = self.table.get("rule", [])
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ConfigurationError(f"{name}: rules are written as [[rule]]")
        self.rules: list[dict[str, Any]] = rules

    def at(self, index: int) -> str:
        """Where the rule with this index stands: ``file:line``."""
        return f"{self.name}:{self._lines[index]}" if index < len(self._lines) else self.name

    def flag(self, key: str, *, default: bool) -> bool:
        return _flag(self.table, key, self.name, default=default)

    def ids(self, key: str, known: set[str]) -> tuple[str, ...]:
        """A list of rule ids that exist."""
        ids = _texts(self.table, key, self.name)
        for unknown in set(ids) - known:
            raise ConfigurationError(f"{self.name}: {key} names a rule that does not exist: {unknown!r}")
        return ids


def _rule_lines(text: str) -> Iterator[int]:
    """The lines of the ``[[rule]]`` headers, not counting what stands inside a multi-line string."""
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not quote and "".join(line.split("#")[0].split()) == "[[rule]]":
            yield number
        for mark in ("'''", '"""'):
            if (not quote or quote == mark) and line.count(mark) % 2:
                quote = "" if quote else mark


def _merge(base: Rules, file: _File) -> Rules:
    rules = {rule.id: rule for rule in base.known}
    own: set[str] = set()
    failures: list[str] = []
    for index, table in enumerate(file.rules):
        rule = _rule(table, file.at(index))
        if rule.id in own:
            raise ConfigurationError(f"{rule.origin}: rule {rule.id!r}: this id stands twice in the file")
        own.add(rule.id)
        failures += _failures(rule)
        rules[rule.id] = rule
    if failures:
        raise ConfigurationError("\n".join(failures))
    for key, enabled in (("enable", True), ("disable", False)):
        for identifier in file.ids(key, set(rules)):
            rules[identifier] = replace(rules[identifier], enabled=enabled)
    return Rules(tuple(rules.values()))


def _rule(table: Mapping[str, Any], origin: str) -> Rule:
    identifier = table.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise ConfigurationError(f"{origin}: a rule needs an id")
    where = f"{origin}: rule {identifier!r}"
    kinds = [kind for kind in ("pattern", "words") if kind in table]
    if len(kinds) != 1:
        raise ConfigurationError(f"{where}: a rule has either a pattern or words")
    for key in table.keys() - _COMMON - (_PATTERN if kinds == ["pattern"] else _KEYWORD):
        raise ConfigurationError(f"{where}: unknown key {key!r}")
    tier = table.get("tier")
    if tier not in TIERS:
        raise ConfigurationError(f"{where}: tier must be one of {', '.join(TIERS)}")
    scopes = frozenset(_texts(table, "scope", where)) or DEFAULT_SCOPES
    for scope in scopes - set(SCOPES):
        raise ConfigurationError(f"{where}: unknown scope {scope!r}; known: {', '.join(SCOPES)}")
    enabled = _flag(table, "enabled", where, default=True)
    matcher = _pattern(table, tier, where) if kinds == ["pattern"] else _keywords(table, tier, where)
    match, no_match = _texts(table, "match", where), _texts(table, "no_match", where)
    if not match or not no_match:
        raise ConfigurationError(f"{where}: examples are missing: match and no_match need one text each at least")
    return Rule(identifier, tier, matcher, scopes, match, no_match, enabled, origin)


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ConfigurationError(f"{where}: {key} must be a list of texts, none empty")
    return tuple(value)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: {key} must be a text")
    return value


def _pattern(table: Mapping[str, Any], tier: str, where: str) -> Matcher:
    pattern = compile_pattern(_text(table, "pattern", where), where)
    if pattern.search("") is not None:
        raise ConfigurationError(f"{where}: the pattern matches the empty text, and so everything")
    validator = _text(table, "validator", where)
    if validator and validator not in VALIDATORS:
        raise ConfigurationError(f"{where}: unknown validator {validator!r}; known: {', '.join(sorted(VALIDATORS))}")
    part, word = (_flag(table, key, where) for key in ("part", "word"))
    return PatternMatcher(
        pattern,
        tier,
        VALIDATORS.get(validator),
        any_word(_texts(table, "near", where)),
        any_word(_texts(table, "unless", where)),
        part,
        pattern.groupindex.get("secret", min(1, pattern.groups)),
        word,
    )


def _flag(table: Mapping[str, Any], key: str, where: str, *, default: bool = False) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{where}: {key} must be true or false")
    return value


def compile_pattern(pattern: str, where: str) -> Any:
    """Compile with RE2, which has no construct that could take more than linear time.

    Raises ``ConfigurationError`` for what RE2 cannot express (look-around, back-references, possessive groups).
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise ConfigurationError(f"{where}: RE2 cannot express the pattern: {reason}") from None


def any_word(words: tuple[str, ...]) -> Any:
    """One pattern for any of the words, whatever their case, at the start of a word; None without words."""
    if not words:
        return None
    alternatives = "|".join(re2.escape(fold(word)) for word in words)
    return re2.compile(rf"(?i)(?:^|[^\pL\pN])(?:{alternatives})")


def _keywords(table: Mapping[str, Any], tier: str, where: str) -> Matcher:
    value = _text(table, "value", where)
    if value not in READERS:
        raise ConfigurationError(f"{where}: value must be one of {', '.join(sorted(READERS))}")
    words = _texts(table, "words", where)
    if not words or not all(word.strip("* -_") for word in words):
        raise ConfigurationError(f"{where}: words must name one word at least, and none of stars alone")
    return KeywordMatcher.of(words, READERS[value], tier)


@dataclass(frozen=True, slots=True)
class ExampleReport:
    """What running the examples of some rules gave."""

    rules: int
    examples: int
    failures: tuple[str, ...]
    """One line each, without the example's text."""


def run_examples(rules: Rules) -> ExampleReport:
    """Run every example of every rule, those that are off included."""
    failures = tuple(failure for rule in rules.known for failure in _failures(rule))
    return ExampleReport(len(rules.known), sum(len(rule.match) + len(rule.no_match) for rule in rules.known), failures)


def _failures(rule: Rule) -> Iterator[str]:
    for wanted, examples in ((True, rule.match), (False, rule.no_match)):
        for number, example in enumerate(examples, 1):
            try:
                found = next(rule.matcher.find(fold(example)), None) is not None
            except TooMuch:
                found = not wanted
            if found is not wanted:
                which, what = ("match", "is not matched") if wanted else ("no_match", "is matched")
                yield f"{rule.origin}: rule {rule.id!r}: {which} example {number} {what}"
