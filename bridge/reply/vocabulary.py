"""What mail clients of the world write around a quotation, read once from the locale tables (``locales/*.toml``).

The tables are data that a translator can edit (docs/replies.md); this module only arranges all languages together for
fast look-ups, since a mail's language need not be its client's. Every word is compared case-folded.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile("[\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts that write no spaces between words, or glue particles to them: phrases are sought anywhere in the line."""


class Device(NamedTuple):
    """A "Sent from my …" line: what stands before and after the device's name."""

    before: str
    after: str


class Vocabulary(NamedTuple):
    """All languages together."""

    verbs: dict[str, tuple[str, ...]]
    """First word of a phrase that says "wrote" → the phrases."""
    glued_verbs: tuple[str, ...]
    """Such phrases of scripts without spaces."""
    leads: frozenset[str]
    """First words of attribution lines ("on", "am", "den")."""
    calendar: frozenset[str]
    """Names of months and weekdays."""
    glued_calendar: tuple[str, ...]
    separators: dict[str, str]
    """``original`` or ``forwarded`` by the words between the dashes."""
    forwarded_by: tuple[str, ...]
    devices: dict[str, tuple[Device, ...]]
    """By the first word; those that begin with the device's name, or in scripts without spaces, are under the empty
    string."""
    device_starts: tuple[str, ...]
    """How the latter begin."""
    device_ends: tuple[str, ...]
    """How those end that begin with the device's name."""
    closings: frozenset[str]
    closing_starts: tuple[str, ...]
    """How sign-offs begin that say more ("Viele Grüße aus …"), written with ``*`` at the end."""
    above: re.Pattern[str]
    """Any of the phrases that helpdesks write above their notifications."""
    disclaimers: tuple[str, ...]
    lists: tuple[str, ...]
    scanners: tuple[str, ...]
    """How lines begin that virus scanners append."""
    forwarding: frozenset[str]
    """What stands before the colon in the subject of a forwarded message."""
    forwarding_here: dict[str, frozenset[str]]
    """The same where other languages have it for answers → the labels of senders above which it counts."""
    labels: dict[str, str]
    """Header label → ``from``, ``date``, ``to``, ``cc``, ``subject`` or ``other``."""
    first_words: frozenset[str]
    """First words of the labels, for a quick look."""


def _group(phrases: set[str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for phrase in sorted(phrases):
        words = WORD.findall(phrase)
        groups.setdefault(words[0] if words else phrase, []).append(phrase)
    return {word: tuple(group) for word, group in groups.items()}


def _device_groups(patterns: set[str]) -> dict[str, tuple[Device, ...]]:
    groups: dict[str, list[Device]] = {}
    for pattern in sorted(patterns):
        before, _, after = pattern.partition("*")
        words = WORD.findall(before)
        key = words[0] if words and not _UNSPACED.search(before) else ""
        groups.setdefault(key, []).append(Device(before.strip(), after.rpartition("*")[2].strip()))
    return {word: tuple(group) for word, group in groups.items()}


def _labels(tables: list[dict[str, Any]]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for kind in ("other", "cc", "to", "subject", "date", "from"):
        for table in tables:
            for label in table["headers"].get(kind, ()):
                labels[label.casefold()] = kind
    return labels


def _forwarding_here(tables: list[dict[str, Any]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for table in tables:
        for prefix in table.get("forwarding_here", ()):
            senders = frozenset(label.casefold() for label in table["headers"]["from"])
            found[prefix.casefold()] = found.get(prefix.casefold(), frozenset()) | senders
    return found


@cache
def vocabulary() -> Vocabulary:
    """Read the tables that are shipped with the package."""
    sources = sorted(
        (entry for entry in files("bridge.reply").joinpath("locales").iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    tables = [tomllib.loads(entry.read_text(encoding="utf-8")) for entry in sources]

    def words(key: str) -> set[str]:
        return {phrase.casefold() for table in tables for phrase in table.get(key, ())}

    verbs, calendar = words("verbs"), words("months") | words("weekdays")
    labels, devices = _labels(tables), _device_groups(words("device"))
    return Vocabulary(
        verbs=_group({verb for verb in verbs if not _UNSPACED.search(verb)}),
        glued_verbs=tuple(sorted(verb for verb in verbs if _UNSPACED.search(verb))),
        leads=frozenset(lead.split()[0] for lead in words("leads")),
        calendar=frozenset(name for name in calendar if not _UNSPACED.search(name)),
        glued_calendar=tuple(sorted(name for name in calendar if len(name) > 1 and _UNSPACED.search(name))),
        separators=dict.fromkeys(words("original"), "original") | dict.fromkeys(words("forwarded"), "forwarded"),
        forwarded_by=tuple(sorted(words("forwarded"))),
        devices=devices,
        device_starts=tuple({device.before for device in devices[""] if device.before}),
        device_ends=tuple({device.after for device in devices[""] if not device.before}),
        closings=frozenset(closing for closing in words("closings") if not closing.endswith("*")),
        closing_starts=tuple(sorted(closing[:-1] for closing in words("closings") if closing.endswith("*"))),
        above=re.compile("|".join(map(re.escape, sorted(words("above"))))),
        disclaimers=tuple(sorted(words("disclaimers"))),
        lists=tuple(sorted(words("lists"))),
        scanners=tuple(sorted(words("scanners"))),
        forwarding=frozenset(words("forwarding")),
        forwarding_here=_forwarding_here(tables),
        labels=labels,
        first_words=frozenset(label.split()[0] for label in labels),
    )
