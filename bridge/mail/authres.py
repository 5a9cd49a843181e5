"""One ``Authentication-Results`` field (RFC 8601 §2.2): what it says of DMARC, if it is ours and beyond doubt."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.domains import exact_a_label
from bridge.mail.structured import MARK, Bare, bare

_SERVED = re.compile(r"\s*([^\s;=]+)(?:\s+([^\s;=]+))?\s*")
_METHOD = re.compile(r"\s*([A-Za-z0-9-]+)\s*(?:/\s*([0-9]+)\s*)?=\s*([A-Za-z]+)(?=\s|$)")
_PROPERTY = re.compile(rf"\s+([A-Za-z][A-Za-z0-9.-]*)\s*=\s*({MARK}|[^\s={MARK}]+)(?=\s|$)")
_NAME = re.compile(r"\s*([A-Za-z0-9-]*)")


@dataclass(frozen=True, slots=True)
class Result:
    """A dmarc result: ``pass``, ``fail``, ``none``, …, and the domain it is about, as an A-label (empty: unclear)."""

    result: str
    domain: str


def dmarc_results(value: str, authserv_id: str) -> list[Result] | None:
    """The field's dmarc results; none when it is another server's; None when it cannot be read for certain.

    Only a field that begins with the bare authserv-id is ours: a relay that strips fields that bear its name looks for
    them there, so the same name in quotes or behind a comment is somebody's way around it.
    """
    field = bare(value)
    if field is None:
        return None
    served, *results = field.text.split(";")
    match = _SERVED.fullmatch(served)
    if match is None or match[1].lower() != authserv_id.lower():
        return None if _in_disguise(field, match, authserv_id) else []
    if match[2] not in (None, "1") or not value.lstrip().lower().startswith(authserv_id.lower()):
        return None
    found: list[Result] = []
    for text, quoted in _with_quoted(results, field.quoted):
        if _NAME.match(text)[1].lower() != "dmarc":  # type: ignore[index]
            continue
        result = _dmarc(text, quoted)
        if result is None:
            return None
        found.append(result)
    return found


def _in_disguise(field: Bare, match: re.Match[str] | None, authserv_id: str) -> bool:
    """The name of ours stands first, but in quotes or with something behind it that does not belong there."""
    if match is not None and match[1] == MARK:
        return field.quoted[0].strip().lower() == authserv_id.lower()
    first = field.text.split(";")[0].split()
    return match is None and bool(first) and authserv_id.lower() in (word.lower() for word in first)


def _with_quoted(results: list[str], quoted: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Each result with the quoted strings that stand in it; the first segment, the name, has none when it is ours."""
    left = list(quoted)
    return [(text, [left.pop(0) for _ in range(text.count(MARK))]) for text in results]


def _dmarc(text: str, quoted: list[str]) -> Result | None:
    head = _METHOD.match(text)
    if head is None or head[2] not in (None, "1"):
        return None
    domains: list[str] = []
    position = head.end()
    while match := _PROPERTY.match(text, position):
        said = quoted.pop(0) if match[2] == MARK else match[2]
        if match[1].lower() == "header.from":
            domains.append(said)
        position = match.end()
    if text[position:].strip() or len(domains) > 1:
        return None
    return Result(head[3].lower(), exact_a_label(domains[0]) if domains else "")
