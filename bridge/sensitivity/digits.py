"""Codes that no word right beside them names: six digits as people read them out (``662 905``).

What is spoken of around them, a code or a text message, is the rule's affair (its words).
"""

from __future__ import annotations

import re

from bridge.sensitivity import lexicon
from bridge.sensitivity.keywords import Value
from bridge.sensitivity.naming import other_kind
from bridge.sensitivity.reading import Token

_AHEAD, _BACK = 90, 45
_ALONE = r"(?<![\w+/.,#\-])(?<!\d[ ])(?:%s)(?![ \-.,/:]?\d)(?!\w)"
_GROUPED = re.compile(_ALONE % r"\d{3}[ -]\d{3}|\d\d \d\d \d\d|\d(?:[ -]\d){3,7}")
_SOLID = re.compile(_ALONE % r"\d{6}")
_SENTENCE_END = re.compile(r"[.!?](?=\s+[\"'(]?[^\W\d_a-z])|\n\s*\n")
_AMOUNT = re.compile(r"\s*(?:kr|sek|nok|dkk|eur|euro|usd|gbp|pln|zł|mb|gb|kb|ms|€|\$|£|%)(?!\w)", re.IGNORECASE)


def grouped(text: str, start: int, end: int) -> Value | None:
    """Six digits in groups, in the keyword's sentence behind it or close in front of it."""
    return _digits(_GROUPED, text, start, end)


def sent(text: str, start: int, end: int) -> Value | None:
    """Like ``grouped``, and six digits in one group: for words that say how a code came (a text message, an app)."""
    return _digits(_GROUPED, text, start, end) or _digits(_SOLID, text, start, end)


def _digits(shaped: re.Pattern[str], text: str, start: int, end: int) -> Value | None:
    if other_kind(text, start):
        return None
    sentence = _SENTENCE_END.search(text, end, end + _AHEAD)
    ahead = shaped.search(text, end, sentence.start() if sentence else end + _AHEAD)
    line = max(text.rfind("\n", 0, start) + 1, start - _BACK)
    for found in (ahead, *reversed(list(shaped.finditer(text, line, start)))):
        if found is not None and _is_code(text, found, min(line, start)):
            return Value(Token("word", found.group(), *found.span()), certain=False)
    return None


def _is_code(text: str, found: re.Match[str], begin: int) -> bool:
    """No amount, and nothing in front says that the number counts or numbers something else."""
    if found.group().endswith("000") or _AMOUNT.match(text, found.end()):
        return False
    words = text[max(begin, found.start() - 30) : found.start()].casefold().split()[-2:]
    return not any(word.strip(":.,#()") in lexicon.NUMBERED for word in words)
