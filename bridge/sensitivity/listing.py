"""Secrets that are not one word: recovery codes, seed phrases, and a user name with the password behind it."""

from __future__ import annotations

import re
from itertools import islice

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.keywords import Reader, Value
from bridge.sensitivity.reading import Token, may_hold_secret, tokens_after

_CODE = re.compile(r"[0-9A-Za-z]{3,8}(?:-[0-9A-Za-z]{3,8}){1,11}|\d{6,10}")
_SOLID = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{6,16}|(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{6,16}")
_DATE = re.compile(r"(?:19|20)\d\d-\d\d.*")
_USER = re.compile(r"[a-z][a-z._-]*\d{0,6}")
_PHRASE = 11


def codes(text: str, _start: int, end: int) -> Value | None:
    """Two codes or more in a list, or one long one."""
    found: list[Token] = []
    for token in islice(tokens_after(text, end), 24):
        word = token.text
        if (
            (_CODE.fullmatch(word) or _SOLID.fullmatch(word))
            and any(c.isdigit() for c in word)
            and not _DATE.fullmatch(word)
        ):
            found.append(token)
            if len(found) >= 2 or word.count("-") >= 2:
                return Value(found[0], certain=True)
    return None


def phrase(text: str, _start: int, end: int) -> Value | None:
    """Eleven lower-case words or more in a row, none of them a function word: nobody writes such a sentence."""
    row: list[Token] = []
    for token in tokens_after(text, end):
        word = token.text
        if token.kind != "word" or word.rstrip(".").isdigit():
            continue
        if word.isalpha() and word.islower() and 3 <= len(word) <= 8 and word not in lexicon.FUNCTION_WORDS:
            row.append(token)
            if len(row) >= _PHRASE:
                return Value(row[0], certain=True)
        else:
            row.clear()
    return None


def login(text: str, _start: int, end: int) -> Value | None:
    """Something behind a user name that looks like its password: ``admin / …``, ``root:…``, or on the next line."""
    if not may_hold_secret(text, end, 27):
        return None
    paired = mail = False
    seen = 0
    lines = 0
    for token in islice(tokens_after(text, end), 26):
        if token.kind == "line":
            lines += 1
            paired = seen > 0
            if lines > 4:
                return None
        elif token.kind in {"link", "comma"} or token.text.casefold() in lexicon.AND:
            paired = True
        else:
            if _is_password(token, paired=paired) or _slashed(token) or (paired and mail and _strong(token)):
                return Value(token, certain=False)
            mail = "@" in token.text
            seen += 1
            paired = False
            if token.text.casefold() in lexicon.FORBIDDING:
                return None
    return None


def _is_password(token: Token, *, paired: bool) -> bool:
    grade = shape.grade(token.text)
    if grade < shape.STRONG or " " in token.text or _USER.fullmatch(token.text):
        return False
    return paired or (grade == shape.SURE and any(c in "!#$%&*+?=^~§" for c in token.text))


def _strong(token: Token) -> bool:
    return shape.grade(token.text) >= shape.STRONG


def _slashed(token: Token) -> bool:
    """``admin/letmein99``, which looks like a path."""
    user, _, secret = token.text.partition("/")
    return user.casefold() in _USERS and shape.grade(secret) >= shape.STRONG


_USERS = frozenset(
    {"admin", "administrator", "root", "user", "test", "webmaster", "demo", "guest", "sysadmin", "operator"}
)


def chosen(text: str, _start: int, end: int) -> Value | None:
    """Within three words something that is hardly anything but a password."""
    if not may_hold_secret(text, end, 6):
        return None
    words = (token for token in tokens_after(text, end) if token.kind in {"word", "quoted"})
    for token in islice(words, 4):
        grade = shape.grade(token.text)
        if grade == shape.SURE or (grade == shape.STRONG and not token.text.isalnum()):
            return Value(token, certain=False)
        if token.stop:
            return None
    return None


READERS: dict[str, Reader] = {"codes": codes, "phrase": phrase, "login": login, "chosen": chosen}
