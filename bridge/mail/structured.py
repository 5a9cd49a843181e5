"""Structured header fields (RFC 5322 §3.2) laid bare: without comments, and with quoted strings that cannot mislead."""

from __future__ import annotations

from dataclasses import dataclass

MARK = "\x00"
"""Stands for a quoted string; no field that holds control characters is laid bare, so nothing else can be it."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A field's text."""

    text: str
    """Every comment is a space, every quoted string a ``MARK``: what is left means what it looks like."""
    quoted: tuple[str, ...]
    """What the quoted strings say, in order, unescaped."""


def bare(value: str) -> Bare | None:
    """Lay an unfolded field bare; None when it has control characters or something in it has no end."""
    if any((char < " " and char != "\t") or char == "\x7f" for char in value):
        return None
    out: list[str] = []
    quoted: list[str] = []
    position = 0
    while position < len(value):
        char = value[position]
        if char == "(":
            position = _comment_end(value, position)
            out.append(" ")
        elif char == '"':
            text, position = _quoted(value, position)
            quoted.append(text)
            out.append(MARK)
        elif char in ")\\":
            return None
        else:
            out.append(char)
            position += 1
    return Bare("".join(out), tuple(quoted)) if position == len(value) else None


def _comment_end(value: str, start: int) -> int:
    """Behind a comment, nested ones included (RFC 5322 §3.2.2); past the field's end when it has none."""
    depth, position = 0, start
    while position < len(value):
        char = value[position]
        if char == "\\":
            position += 1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    return len(value) + 1


def _quoted(value: str, start: int) -> tuple[str, int]:
    """A quoted string's text (RFC 5322 §3.2.4), and where it ends; past the field's end when it has none."""
    text: list[str] = []
    position = start + 1
    while position < len(value):
        char = value[position]
        if char == '"':
            return "".join(text), position + 1
        if char == "\\":
            position += 1
        text.append(value[position : position + 1])
        position += 1
    return "", len(value) + 1
