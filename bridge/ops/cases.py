"""Mails that were cut or flagged wrongly, kept for mending the rules: redacted, and fit for ``ticket-bridge explain``.

Every word that the rules do not know becomes ``x`` (case kept), every digit ``1``; line ends, spaces and signs stay,
and of HTML the elements with their class, id and type. What decides how a mail is cut survives that, what a person
said does not (but for words that the rules know: a name may be the name of a month somewhere). A secret keeps its
shape only, so a case about a checked number (a card, an IBAN) may no longer match.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cache, lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path

from bridge.errors import WrongState
from bridge.mail.dom import VOID, events
from bridge.model import InboundMail
from bridge.sensitivity import DEFAULT, lexicon
from bridge.spool.api import Audit, Spool

KINDS = {
    "cut_wrongly": "It was cut wrongly",
    "should_be_flagged": "It should have been flagged",
    "should_not_be_flagged": "It should not have been flagged",
}
MIN_STEM = 5
"""Letters from which a keyword is looked for inside other words."""
_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_KEPT_ATTRIBUTES = ("class", "id", "type", "dir")


@cache
def known_words() -> frozenset[str]:
    """Words that the rules look for, in every language: they are kept, because without them nothing would match."""
    found = {"re", "fwd", "http", "https", "www", "com", "mailto"}
    for table in (files("bridge.reply") / "locales").iterdir():
        if table.name.endswith(".toml"):
            found |= set(_words_in(tomllib.loads(table.read_text("utf-8"))))
    found |= {word for phrase in _keywords() for word in _words_in(phrase)}
    found |= set(_words_in([value for name, value in vars(lexicon).items() if not name.startswith("__")]))
    return frozenset(found)


@cache
def known_stems() -> tuple[str, ...]:
    """Keywords of the sensitivity rules that stand for their inflections and compounds too (``*`` in the rule file)."""
    return tuple(sorted(word.strip("*").casefold() for word in _keywords() if "*" in word and len(word) > MIN_STEM))


def _keywords() -> Iterator[str]:
    rules = tomllib.loads((files("bridge.sensitivity") / DEFAULT).read_text("utf-8"))
    for rule in rules["rule"]:
        yield from (part for phrase in rule.get("words", []) for part in phrase.split())


@lru_cache(maxsize=10_000)
def _is_known(word: str) -> bool:
    return word in known_words() or any(stem in word for stem in known_stems())


def _words_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (word.casefold() for word in _WORD.findall(value))
    elif isinstance(value, dict):
        yield from (word for pair in value.items() for part in pair for word in _words_in(part))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (word for item in value for word in _words_in(item))


def redact(text: str) -> str:
    """``text`` with every unknown word and every digit replaced."""

    def word(match: re.Match[str]) -> str:
        found = match[0]
        if _is_known(found.casefold()):
            return found
        return "".join("X" if letter.isupper() else "x" for letter in found)

    return _DIGIT.sub("1", _WORD.sub(word, text))


def redact_html(html: str) -> str:
    """The elements with what tells clients apart, and redacted text."""
    out = []
    for event in events(html):
        if event.kind == "text":
            out.append(escape(redact(event.value), quote=False))
        elif event.kind == "start":
            kept = [(name, event.attributes.get(name)) for name in _KEPT_ATTRIBUTES]
            named = "".join(f' {name}="{escape(redact_name(value))}"' for name, value in kept if value)
            out.append(f"<{event.value}{named}>")
        elif event.value not in VOID:
            out.append(f"</{event.value}>")
    return "".join(out)


def redact_name(value: str) -> str:
    """A class or id: names that clients give, without the numbers that tell people apart."""
    return _DIGIT.sub("1", value)


def case(mail: InboundMail) -> bytes:
    """A mail of the same shape, without what was said."""
    made = EmailMessage()
    made["From"] = Address("Xxx Xxx", addr_spec="xxx@xxx.example")
    made["To"] = "support@localhost"
    made["Subject"] = " ".join(redact(mail.subject).split())
    if mail.text is not None:
        made.set_content(redact(mail.text), cte="quoted-printable")
    if mail.html is not None and mail.text is not None:
        made.add_alternative(redact_html(mail.html), subtype="html", cte="quoted-printable")
    elif mail.html is not None:
        made.set_content(redact_html(mail.html), subtype="html", cte="quoted-printable")
    return made.as_bytes()


class Cases:
    """Keeps cases in a directory beside the spool."""

    def __init__(
        self,
        spool: Spool,
        directory: Path,
        read: Callable[[bytes], Awaitable[InboundMail]],
        clock: Callable[[], float],
    ) -> None:
        """``read`` reads a mail where that may be done."""
        self._spool = spool
        self._directory = directory
        self._read = read
        self._clock = clock

    async def keep(self, entry_id: str, kind: str, actor: str) -> Path:
        """Keep one; its file. Raises ``WrongState``, ``UnknownEntry`` and ``UnreadableMail``."""
        detail = await self._spool.detail(entry_id)
        if kind not in KINDS or detail.entry.erased:
            raise WrongState(f"{detail.entry.id}: there is nothing left to keep as a case")
        data = case(await self._read(await self._spool.raw(detail.entry.id)))
        path = self._directory / f"{detail.entry.id}-{kind}.eml"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        await self._spool.note(detail.entry.id, Audit(self._clock(), actor, "case", kind))
        return path
