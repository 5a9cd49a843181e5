"""Text as the rules see it: compatibility forms folded, invisible characters gone, lines counted as before."""

from __future__ import annotations

import unicodedata

_INVISIBLE = dict.fromkeys(
    [
        *(0x00AD, 0x034F, 0x061C, 0x180E, 0xFEFF),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
    ]
)


def fold(text: str) -> str:
    """NFKC (Unicode Standard Annex #15) without zero-width, bidirectional and variation characters.

    Every line end becomes one ``\\n``, so a line's number is the same before and after. A lone surrogate, which RE2
    cannot take, becomes U+FFFD.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    return text.encode("utf-8", "replace").decode("utf-8")


def line_number(text: str, position: int) -> int:
    """The one-based number of the line of folded text that holds ``position``."""
    return text.count("\n", 0, position) + 1
