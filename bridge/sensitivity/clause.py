"""What the words around a plain word say of it: whether it can be a password that somebody states."""

from __future__ import annotations

import re

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.reading import Token

_USER = re.compile(
    r"user|log ?in|logg|användar|bruk|brug|tunnu|käyttäj|benutz|nutzer|gebruik|utilisat|compte|identif|usuario|utente"
    r"|redattore|użytk|zalog|konto|account|anmeld|entrad|entrate|accede"
)
_GOING_ON = re.compile(
    r"[,;)]|\s+[-–—(]|\s+(?:and|but|och|men|og|ja|mutta|und|aber|en|maar|et|mais|y|pero|e|ma|i|ale)\s"
)
_DESCRIBING = re.compile(
    r".*(?:ed|ing|able|ible|ful|less|ous|ive|ly|"  # English
    r"ad|at|ats|ats|et|ts|bar|bart|lig|ligt|lige|isk|iskt|en|"  # Scandinavian
    r"lich|ig|iert|bar|los|gt|"  # German
    r"baar|lijk|eerd|loos|\w{0,4}ge\w+[dt]|"  # Dutch
    r"é|ée|és|ées|ant|elle|"  # French
    r"[aei]do|[aei]da|[aeiu]t[oa]|bile|nte)"  # Spanish, Italian
)
_DESCRIBING_BEHIND = {
    "has": re.compile(r".*(?:ny|na|ne|te|ty|ta|ący|ąca|ące)"),  # Polish
    "sal": re.compile(r".*(?:ttu|tty|nut|nyt|maton|mätön|llinen|va|vä|aa|ää)"),  # Finnish
}
"""Endings that words of other languages have, too, with the beginning of the keywords of the one."""


def introduced(text: str, start: int) -> bool:
    """ "With" stands right in front, an article aside, or "and" or a comma behind a user's name."""
    before = text[max(0, start - 50) : start].casefold()
    words = before.split()
    if words and words[-1] in lexicon.ARTICLES:
        words = words[:-1]
    if not words:
        return False
    if words[-1] in lexicon.WITH:
        return True
    return (words[-1] in lexicon.AND or words[-1].endswith((",", "/"))) and _USER.search(before) is not None


def goes_on(text: str, position: int) -> bool:
    """The clause ends with a comma, a bracket or "and"."""
    return _GOING_ON.match(text, position) is not None


def in_brackets(text: str, token: Token) -> bool:
    line = text.rfind("\n", 0, token.start) + 1
    opened = max(text.rfind(mark, line, token.start) for mark in "([<")
    closed = max(text.rfind(mark, line, token.start) for mark in ")]>")
    return opened > closed


def plain(text: str) -> bool:
    """No placeholder, and not what is said about a secret ("wrong", "expired")."""
    words = text.casefold().split()
    return (
        len(text) >= 3
        and not shape.is_placeholder(text)
        and not any(word in lexicon.STATES for word in words)
        and len(words) <= 6
        and "://" not in text
        and "@" not in text[1:-1]
    )


def describes(word: str, keyword: str = "") -> bool:
    """An adjective or participle by its ending, as stands behind "the password is" when it is no value.

    ``keyword`` is the beginning of the keyword, which tells the language.
    """
    if not word[:1].islower():
        return False
    endings = filter(None, (_DESCRIBING, _DESCRIBING_BEHIND.get(keyword)))
    return len(word) < 5 or any(ending.fullmatch(word) for ending in endings)
