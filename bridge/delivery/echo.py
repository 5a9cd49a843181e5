"""What the API says of a request, without the customer's words that it may repeat. Pure, but for a file's reading."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

REPEATS = "(it repeats what was sent)"
_WORD = re.compile(r"[^\s\"'`,;:()\[\]{}<>\\]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[bfnrt])")
_TEXT = 1_000_000
"""Bytes of an upload that are looked at, as far as the sensitivity rules look."""
_OURS = frozenset(
    """
    ticket tickets message messages reply body field value text string characters character file attachment name
    subject closed open status archived must most least more than less long short large small maximum minimum limit
    size bytes been cannot could would should does have this that with from not found unknown invalid valid required
    missing allowed empty blank forbidden permission scope account department email address number already exists
    please again later only when what your their into access error request server
    """.split()  # noqa: SIM905 - a list of eighty words in quotes reads worse
)
"""Words of the API itself: that a customer uses them, too, hides nothing."""


def texts(sent: Mapping[str, Any]) -> str:
    """Everything readable that a request carried; ``sent`` is what httpx was given to send."""
    return "\n".join(_texts(sent)).casefold()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value[:_TEXT].decode("utf-8", "ignore")
    elif isinstance(value, io.IOBase):
        value.seek(0)
        yield value.read(_TEXT).decode("utf-8", "ignore")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def without_echo(detail: str, sent: str) -> str:
    """``detail`` with ``…`` for each word that was sent (``sent``: from ``texts``), except the API's own words.

    An API may quote what it refuses, and neither the ledger nor the log must carry it. Where a third of the words went,
    the rest is hardly the API's, and goes, too.
    """
    plain = _ESCAPE.sub(_unescaped, detail)
    words = _WORD.findall(plain)
    echoed = sum(_echoes(word, sent) for word in words)
    if echoed * 3 > len(words):
        return REPEATS
    return _WORD.sub(lambda found: "…" if _echoes(found.group(), sent) else found.group(), plain)


def _unescaped(found: re.Match[str]) -> str:
    """JSON's escapes (RFC 8259, section 7) as what they stand for; control characters as a blank."""
    return chr(int(found[1], 16)) if found[1] else " "


def _echoes(word: str, sent: str) -> bool:
    word = word.casefold().strip(".!?…")
    telling = len(word) >= 4 or (len(word) >= 3 and any(character.isdigit() for character in word))
    return telling and word not in _OURS and word in sent
