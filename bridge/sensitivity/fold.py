"""Text as the rules see it: compatibility forms folded, invisible characters gone, lines counted as before."""

from __future__ import annotations

import unicodedata

import re2

_INVISIBLE = re2.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")


def fold(text: str) -> str:
    """NFKC (Unicode Standard Annex #15) without zero-width, bidirectional and variation characters.

    Every line end becomes one ``\\n``, so a line's number is the same before and after. A lone surrogate, which RE2
    cannot take, becomes a question mark.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    text = text.encode("utf-8", "replace").decode("utf-8")
    if _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return text


def line_number(text: str, position: int) -> int:
    """The one-based number of the line of folded text that holds ``position``."""
    return text.count("\n", 0, position) + 1
