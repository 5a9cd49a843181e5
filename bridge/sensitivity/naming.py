"""Readers for each kind of secret that words name: passwords, codes, keys, passphrases and answers."""

from __future__ import annotations

import re
from functools import partial

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.keywords import Reader, Value
from bridge.sensitivity.reading import Token, may_hold_code, tokens_after
from bridge.sensitivity.statement import COLON, COPULA, NEAR, NOTHING, Manner, State, read_statement, spaced

_NAME = re.compile(r"\s*:\s*([^\W\d_]{3,20}(?: [^\W\d_]{2,20}){1,2})[ .]*(?:\n|$)")
"""Two or three words that are all the line holds behind ``:``."""


def _sure(text: str, start: int, end: int) -> Value | None:
    """For words that mostly name no secret ("code"): what is surely one, or digits that it is said to be."""
    link, words, colon = NEAR, 0, False
    if not may_hold_code(text, end) or other_kind(text, start):
        return None
    for token in tokens_after(text, end):
        if token.kind in {"line", "comma"}:
            continue
        word = token.text.casefold()
        if token.kind == "link" or word in lexicon.COPULAS:
            link, colon = COPULA, colon or token.text[0] in ":="
            continue
        grade = shape.grade(token.text)
        telling = token.kind == "quoted" or not (token.text.isalnum() or token.text.isupper())
        told = colon and not words and any(character.islower() for character in token.text)
        reached = words <= 2 or link == COPULA
        generated = len(token.text) >= 16 and grade == shape.STRONG and link == COPULA
        strong = grade == shape.STRONG and (telling or told or generated)
        if reached and " " not in token.text and (grade == shape.SURE or strong):
            return Value(token, certain=False)
        if link == COPULA and not words and spaced(token, State(link=link), text):
            return Value(token, certain=False)
        words += 1
        if token.stop or words > 4:
            return None
    return None


def other_kind(text: str, start: int) -> bool:
    """The word in front says that it is a code or key of another kind: an error's, a product's, a public one."""
    return (
        text[max(0, start - 30) : start].casefold().rstrip(" -").rpartition(" ")[2].lstrip("\n(") in lexicon.OTHER_CODES
    )


def _sentence(least: int, shortest: int, text: str, _start: int, end: int) -> Value | None:
    """``least`` words or more behind ``:``, to the end of the line, and not the small words of a remark."""
    link = NOTHING
    words: list[Token] = []
    for token in tokens_after(text, end):
        if token.kind == "link":
            link, words = COLON, []
        elif token.kind == "quoted" and len(token.text.split()) >= least:
            return Value(token, certain=False)
        elif token.kind == "line" and link != COLON and words and words[-1].text.casefold() in lexicon.BEING:
            link, words = COLON, []
        elif token.kind == "line" and (words or link != COLON):
            break
        elif token.kind in {"word", "quoted"}:
            words.append(token)
    if link != COLON or not least <= len(words) <= 12 or text[words[0].start - 1] in "([<":
        return None
    if any(token.stop for token in words[:-1]) or any(len(token.text) < shortest for token in words):
        return None
    opening = words[:2] if least < 4 and len(words) > 4 else words  # "du" is a remark's in one language only
    said = any(token.text.casefold() in lexicon.REMARKS for token in opening)
    said = said or not all(token.text.isalpha() for token in words)
    return (
        None
        if said or any(token.text.casefold() in lexicon.STATES for token in words)
        else Value(words[0], certain=False)
    )


def _answer(text: str, start: int, end: int) -> Value | None:
    """An answer: a plain word will do, and so will two or three behind ``:``."""
    return read_statement(Manner(words=NEAR, reach=9), text, start, end) or _name(text, end)


def _name(text: str, end: int) -> Value | None:
    found = _NAME.match(text, end)
    if found is None or any(word.casefold() in lexicon.REMARKS | lexicon.STATES for word in found[1].split()):
        return None
    return Value(Token("quoted", found[1], *found.span(1)), certain=False)


READERS: dict[str, Reader] = {
    "password": partial(read_statement, Manner()),
    "code": partial(read_statement, Manner(numbers=NEAR, longest_number=10, words=COLON + 1, spaced=True)),
    "key": partial(read_statement, Manner(words=COLON + 1, shortest=8, named=NEAR, reach=9, unlinked=12)),
    "sure": _sure,
    "sentence": partial(_sentence, 3, 1),
    "words": partial(_sentence, 4, 4),
    "answer": _answer,
}
"""Chosen secrets, short codes, generated keys, and answers to security questions (plain words)."""
