"""A password that nothing names, by its shape: words joined with digits and signs as people choose them."""

from __future__ import annotations

import re

from bridge.sensitivity import lexicon, shape

_PARTS = re.compile(r"[^\W\d_]+")
_ODD = re.compile(r"[/:\\=()\[\]{},']")
_DIGIT = re.compile(r"\d")
_SIGN = re.compile(r"[^\w.\-]")
_BETWEEN = re.compile(r"[^\W\d_][!#$%&*+;^?~§@][^\W\d_]")
_YEAR = re.compile(r"-(?:19|20)\d\d$")
_JOINTS = re.compile(r"[-_.]")


def worded(text: str) -> bool:
    """Words joined with digits and signs as people choose passwords: ``Kuusi-Hirvi-93``, ``Gimlet#Harbor2``.

    A machine, a product, a file or a version looks like one, too, where a hyphen alone joins it: then none of its
    words may be technical, and it must hold two words at least or begin in a way that names do not.
    """
    parts = _chosen(text)
    if not parts:
        return False
    word = shape.trim(text)
    if _SIGN.search(word[1:-1]):
        return True
    return len(parts) >= 2 and _joined(word, parts)


def worded_once(text: str) -> bool:
    """One word and up to four digits, joined: for where a password is spoken of. A year behind a hyphen is a year."""
    parts = _chosen(text)
    return bool(parts) and _joined(shape.trim(text), parts) and not _YEAR.search(shape.trim(text))


def worded_alone(text: str) -> bool:
    """Two words with capitals and a sign between them, with digits: a password wherever it stands."""
    word = shape.trim(text)
    named = [part for part in _chosen(text) if len(part) >= 3 and (part[1:].islower() or part.isupper())]
    return len(named) >= 2 and any(c.isupper() for c in word) and _BETWEEN.search(word) is not None


def beside_address(text: str) -> bool:
    """What may be the password of the mail address in front of it."""
    word = shape.trim(text)
    mixed = any(c.isupper() for c in word) and any(c.islower() for c in word) and any(c.isdigit() for c in word)
    return (
        mixed
        and "@" not in word
        and "/" not in word
        and shape.grade(word) >= shape.STRONG
        and _technical(word) is False
    )


def _technical(word: str) -> bool:
    return any(part.casefold() in lexicon.TECHNICAL for part in _PARTS.findall(word))


def _chosen(text: str) -> list[str]:
    """The runs of letters of what may be a chosen password; none of what is not."""
    word = shape.trim(text)
    if not 8 <= len(word) <= 40 or _ODD.search(word) or not _DIGIT.search(word):
        return []
    if not word[0].isalnum() or word.upper() == word or shape.grade(word) < shape.STRONG:
        return []
    parts = _PARTS.findall(word)
    return [] if _technical(word) or sum(map(len, parts)) < 4 else parts


def _joined(word: str, parts: list[str]) -> bool:
    """Hyphens, underscores or full stops join it, a word in it begins with a capital, and digits are few."""
    named = any(len(part) >= 3 and part[0].isupper() and part[1:].islower() for part in parts)
    return _JOINTS.search(word) is not None and named and sum(c.isdigit() for c in word) <= 4
