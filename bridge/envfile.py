"""Env files, read so that systemd's ``EnvironmentFile=``, Docker's ``--env-file`` and the bridge agree on every value.

The format is what all three share: ``NAME=value`` lines, ``#`` comments only at the start of a line, empty lines. The
value is everything behind the first ``=``, as it stands: no quotes are taken off, nothing is interpolated. What one of
the three would read differently (systemd: quotes at the start, backslashes, blanks around the value, ``;`` comments;
Docker: names without ``=``) is refused instead of being read differently somewhere.
"""

from __future__ import annotations

import re

from bridge.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse(text: str, *, name: str) -> dict[str, str]:
    """The variables of an env file's ``text``; ``name`` is the file's name for messages.

    Raises ``ConfigurationError`` naming the file and the line, never the value.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        stripped = line.removesuffix("\r")
        if not stripped.strip() or stripped.startswith("#"):
            continue
        key, wrong = _fault(stripped)
        if wrong:
            raise ConfigurationError(f"{name}, line {number}: {wrong}")
        if key in values:
            raise ConfigurationError(f"{name}, line {number}: {key} is set twice; keep one of the lines")
        values[key] = stripped.partition("=")[2]
    return values


def _fault(line: str) -> tuple[str, str]:
    """The line's name, and what is wrong with the line (empty when nothing is)."""
    key, equals, value = line.partition("=")
    wrong = ""
    if line[0] in " \t":
        wrong = "starts with a blank; write NAME=value at the start of the line"
    elif line[0] == ";":
        wrong = "comments start with '#', not ';'"
    elif not equals:
        wrong = "is not of the form NAME=value"
    elif not _NAME.fullmatch(key):
        wrong = "the name before '=' may hold letters, digits and '_' only"
    elif value != value.strip():
        wrong = f"{key}: blanks around the value; systemd would drop them, Docker would keep them"
    elif value[:1] in ("'", '"'):
        wrong = f"{key}: the value starts with a quote; systemd would take it off, Docker would keep it: write it bare"
    elif "\\" in value:
        wrong = f"{key}: a backslash; systemd would read it as an escape: use a value without, or {key}_FILE"
    elif any(ord(character) < 32 or ord(character) == 127 for character in value):
        wrong = f"{key}: a control character in the value"
    return key, wrong
