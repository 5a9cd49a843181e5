"""Statements of a secret: a word that names one, what links it to a value, and a value that looks like one.

No list of phrases can hold what people write ("the password is now …", "ftp-lösenord (tillfälligt): …", "use … as
password", the value on the next line), so a statement is read word by word, from the keyword on and back from it: the
weaker the link and the longer the way, the more the value itself must look like a secret (``shape.grade``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.clause import describes, goes_on, in_brackets, introduced, plain
from bridge.sensitivity.keywords import Value
from bridge.sensitivity.reading import Token, ends_line, tokens_after, tokens_before

NOTHING, NEAR, COPULA, COLON = range(4)
"""How a value is linked to its keyword: stands somewhere behind it, right behind it, "is", and ``:`` or ``=``."""

_REACH = 7
"""Words between a keyword and a value that nothing links to it, at most."""
_ASIDE = 5
"""More words that may stand between a keyword and "is" with what is surely no word."""
_TOLD = 6
"""Words between a keyword and the link to a plain word, at most."""
_BEING_BEHIND = {"to": "has", "on": "sal"}
"""Verbs of being in one language and prepositions in others, with the beginning of the keywords of the one."""
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d|\d\d-\d\d-\d\d(?:\d\d)?")
_DIGITS = re.compile(r"\d{1,8}(?:[ -]\d{1,4}){0,7}")


@dataclass(frozen=True, slots=True)
class Manner:
    """What a kind of secret may look like, by its link."""

    numbers: int = COPULA
    """The weakest link that lets four digits or more be one."""
    words: int = COLON
    """The weakest link that lets a plain word at the end of a clause be one."""
    longest_number: int = 12
    """Digits of the longest number that is one."""
    spaced: bool = False
    """Digits in groups are one."""
    shortest: int = 4
    named: int = COLON
    """The weakest link that lets what looks like a product or a reference number be one."""
    reach: int = _REACH
    unlinked: int = 6
    """The shortest value that nothing links to its keyword."""


@dataclass(slots=True)
class State:
    """How far the reading of one statement has come."""

    link: int = NEAR
    skipped: int = 0
    since: int = 0
    """Words since the last link."""
    being: bool = False
    """The last link is a verb of being, not a preposition or a mark."""
    lines: int = 0
    crossed: bool = False
    """The keyword's sentence is over; only a new link counts."""
    fresh_line: bool = False
    naming: bool = False
    """The link is one that only a value follows."""
    aside: bool = False
    """A comma stands right in front."""
    asked: bool = False
    """The keyword ended a question, so that only what looks like a secret can be one."""
    keyword: str = ""
    over: bool = False
    """Another sentence or clause has begun, whose verb is not the keyword's."""
    introduced: bool = False
    """ "With", or a user's name and "and", stands in front of the keyword."""
    forbidden: bool = False
    """The statement speaks of rules for secrets."""


def _after(manner: Manner, text: str, start: int, end: int) -> Value | None:
    """Read on from the keyword until a value, a word that forbids one, or the end of what may belong to it."""
    state = State(asked=text.startswith("?", end), introduced=introduced(text, start))
    state.keyword = text[start : start + 3].casefold()
    for token in tokens_after(text, end):
        if token.kind == "line":
            state.lines += 1
            state.fresh_line = True
            if state.lines > (3 if state.link >= COPULA or state.crossed or not state.skipped else 1):
                return None
            continue
        if token.kind in {"link", "comma"}:
            _linked(state, token)
            continue
        if token.text and _is_value(manner, token, state, text):
            return Value(token, state.link >= COPULA and shape.grade(token.text) >= shape.STRONG)
        if not _passed(manner, state, token):
            return None
        state.fresh_line = False
    return None


def _linked(state: State, token: Token) -> None:
    state.aside = token.kind == "comma"
    if token.kind == "link" and token.text[0] not in "-–—/":
        state.naming = state.naming or state.link == COPULA
        state.link, state.crossed, state.since = COLON, False, 0
    elif token.kind == "link":
        state.link = max(state.link, COPULA)


def _passed(manner: Manner, state: State, token: Token) -> bool:
    """Take a word that is no value; false when nothing behind it can belong to the keyword."""
    word = token.text.casefold()
    if word in lexicon.NEGATING:
        return False
    state.forbidden = state.forbidden or word in lexicon.FORBIDDING
    if word in lexicon.COPULAS:
        state.link, state.crossed, state.since = max(state.link, COPULA), False, 0
        state.being = not state.over and (
            word in lexicon.BEING or word in lexicon.NAMING or state.keyword == _BEING_BEHIND.get(word)
        )
        state.naming = state.naming or word in lexicon.NAMING
        return True
    if word in lexicon.ANSWER or word in lexicon.RELATIVE:
        return True
    state.skipped += 1
    state.since += 1
    state.over = state.over or token.stop or word in lexicon.BUT
    state.aside = False
    state.link = NOTHING if state.link == NEAR else state.link
    if token.stop:
        state.crossed, state.link = True, NOTHING
    return state.skipped <= manner.reach + _ASIDE


def _is_value(manner: Manner, token: Token, state: State, text: str) -> bool:
    if state.crossed:
        return state.fresh_line and shape.grade(token.text) == shape.SURE and ends_line(text, token.end)
    if state.asked and shape.grade(token.text) < shape.STRONG:
        return False
    if state.forbidden:
        return state.link == COLON and shape.grade(token.text) >= shape.STRONG
    if token.kind == "quoted" and (state.link >= COPULA or not state.skipped) and state.skipped <= 1:
        return plain(token.text)
    if token.kind == "quoted" and state.link >= COPULA and state.skipped <= 4 and ends_line(text, token.end):
        return plain(token.text)
    if " " in token.text:
        return False
    if manner.spaced and (state.aside or state.link > NOTHING or state.skipped <= 2) and spaced(token, state, text):
        return True
    if len(token.text) < manner.shortest:
        return False
    return _has_shape(manner, token, state, text)


def _has_shape(manner: Manner, token: Token, state: State, text: str) -> bool:
    alone = state.fresh_line and not state.skipped and ends_line(text, token.end)
    link = max(state.link, COPULA) if alone else state.link
    named = link >= manner.named and (manner.named < COLON or not state.skipped)
    grade = shape.grade(token.text, named=named)
    if state.skipped > manner.reach:
        return grade >= shape.STRONG and state.being and not state.since
    if grade >= shape.STRONG:
        near = state.skipped <= 5 or grade == shape.SURE
        return link >= COPULA or (near and (link == NEAR or len(token.text) >= manner.unlinked))
    if grade == shape.NUMBER:
        if len(token.text) > manner.longest_number:
            return False
        ends = (
            ends_line(text, token.end) or token.stop or len(token.text) >= 6 or text[token.end : token.end + 1] == ","
        )
        return link >= manner.numbers and state.skipped <= 2 and (ends or manner.spaced)
    if grade == shape.MIXED:
        return link >= COPULA and state.skipped <= 2
    if grade != shape.WORD or not _ends_clause(token, state, text):
        return False
    said = (state.being or link == COLON) and not state.since and not describes(token.text, state.keyword)
    named = link == COPULA and manner.words == COLON and (state.naming or token.text.istitle() or said)
    introduced = state.introduced and not state.skipped and not describes(token.text, state.keyword)
    return link >= manner.words or named or (introduced and manner.words == COLON)


def _ends_clause(token: Token, state: State, text: str) -> bool:
    """A plain word is a value only where it is all that is said, and not an aside in brackets."""
    aside = in_brackets(text, token)
    linked = state.naming and state.link == COLON
    said = (state.being or state.link == COLON) and not state.since and not describes(token.text, state.keyword)
    told = not state.skipped or (state.skipped <= _TOLD and (linked or said))
    if text[token.end : token.end + 1] == "?":
        return False
    over = ends_line(text, token.end) or token.stop or ((state.introduced or said) and goes_on(text, token.end))
    return told and not aside and over and plain(token.text)


def spaced(token: Token, state: State, text: str) -> bool:
    """Digits in groups (``559 201``, ``5-5-1-9``), four to eight of them, and no date or telephone number."""
    if state.skipped > (6 if state.link >= COPULA else 3) or not token.text[:1].isdigit():
        return False
    before = text[max(0, token.start - 2) : token.start].strip()
    found = _DIGITS.match(text, token.start)
    if found is None or before[-1:].isdigit() or before[-1:] in {"+", "/", ".", "#", "-"}:
        return False
    after = text[found.end() : found.end() + 2]
    if after[:1].isalnum() or (after[:1] in {".", "/", ":", "-"} and after[1:].isalnum()):
        return False
    digits = sum(character.isdigit() for character in found.group())
    groups = len(found.group().replace("-", " ").split())
    if digits > 8 or digits < 4 or (digits > 6 and groups > 2 and found.group()[1:2].isdigit()):
        return False  # eight digits in three or four groups are a telephone number
    return _DATE.fullmatch(found.group()) is None


_LINKS = lexicon.AS | lexicon.FOR | lexicon.THAT


def _before(manner: Manner, text: str, start: int, end: int) -> Value | None:
    """Read back from the keyword: "X is the password", "use X as password"."""
    near = text[max(0, start - 40) : start].casefold().split()[-5:]
    pointing = any(word in lexicon.THAT for word in near)
    if not pointing and not any(word in _LINKS or word[0] == "(" for word in near):
        return None
    tokens = tokens_before(text, start)[:7]
    linked = used_for = False
    for distance, token in enumerate(tokens):
        if token.stop and not pointing:
            return None
        if linked:
            grade = shape.grade(token.text)
            if grade >= shape.STRONG or (token.kind == "quoted" and plain(token.text)):
                return Value(token, certain=False)
            if manner.spaced and spaced(token, State(), text):
                return Value(token, certain=False)
            if used_for and grade == shape.WORD and plain(token.text) and not describes(token.text):
                return Value(token, certain=False)
            if token.text.casefold() not in lexicon.COPULAS:
                return None
        elif token.text.casefold() in lexicon.FOR:
            used = tokens[distance + 2 : distance + 3]
            linked = bool(used) and used[0].text.casefold() in lexicon.USING
            used_for = linked and manner.words == COLON and text[end : end + 1] in {"", ".", ",", "!", "\n"}
        elif token.text.casefold() in _LINKS or text[token.start - 1] == "(":
            linked = True
        elif distance > 3:
            return None
    return None


def read_statement(manner: Manner, text: str, start: int, end: int) -> Value | None:
    return _after(manner, text, start, end) or _before(manner, text, start, end)
