"""A password that nothing names, by its shape: words joined with digits and signs as people choose them."""

from __future__ import annotations

import re

from bridge.sensitivity import lexicon, shape

_PARTS = re.compile(r"[^\W\d_]+")
_JOINTS = re.compile(r"[-_.]")


def worded(text: str) -> bool:
    """Words joined with digits and signs as people choose passwords: ``Kuusi-Hirvi-93``, ``Gimlet#Harbor2``.

    A machine, a product, a file or a version looks like one, too, where a hyphen alone joins it: then none of its
    words may be technical, and it must hold two words at least or begin in a way that names do not.
    """
    word = shape.trim(text)
    if not 8 <= len(word) <= 40 or shape.grade(word) < shape.STRONG or any(c in "/:\\=()[]{},'" for c in word):
        return False
    if "@" in word and "." in word.partition("@")[2]:
        return False
    if not word[0].isalnum() or not any(c.isdigit() for c in word):
        return False
    signs = [c for c in word[1:-1] if not c.isalnum() and not _JOINTS.match(c)]
    parts = _PARTS.findall(word)
    if any(part.casefold() in lexicon.TECHNICAL for part in parts) or sum(map(len, parts)) < 4:
        return False
    if signs:
        return any(c.islower() for c in word)
    named = [part for part in parts if len(part) >= 3 and part[0].isupper() and part[1:].islower()]
    figures = sum(c.isdigit() for c in word)
    return bool(_JOINTS.search(word)) and len(parts) >= 2 and bool(named) and figures <= 4
