"""The raw mail as a tree of parts.

The standard library's parser, which mail-parser stands on, with three bounds of ours. What is forwarded or attached as
a whole stays one leaf: its bytes are then the very bytes that came, and nothing in it can be taken for the mail's own
words or cost time. Fields are cut to a length that keeps reading them linear. Containers beyond ``MAX_CONTAINERS`` are
leaves, because the parser recurses into each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import Compat32
from functools import cached_property
from typing import Any

from bridge.mail.charset import decode, raw_header, words

HEADER_LIMIT = 256 * 1024
"""Octets of the header block that are read."""
FIELD_LIMIT = 64 * 1024
"""Octets of one field that are read."""
FIELDS_LIMIT = 2000
PARAMETERS_LIMIT = 4096
"""Characters of a ``Content-…`` field that are read: the standard library's time for them is quadratic."""
MAX_CONTAINERS = 200

_STRAY_LINE = re.compile(rb"^(?![!-9;-~]+[ \t]*:|[ \t]|From |\r?$)", re.MULTILINE)
_KNOWN_FIELD = re.compile(
    rb"^(?:from|to|cc|subject|date|message-id|in-reply-to|references|mime-version|content-type|received):",
    re.MULTILINE | re.IGNORECASE,
)

Note = Callable[[str], None]
"""Takes the name of a defect."""


class _Bounded(Compat32):
    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(list(sourcelines))
        return name, value[: PARAMETERS_LIMIT if name[:8].lower() == "content-" else FIELD_LIMIT]

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002
        return raw_header(value)  # the standard library's Header loses what is 8-bit


_POLICY = _Bounded()


class Part(Message):
    """A part that knows what it is without being asked twice."""

    containers: list[int]
    """How many containers the mail has so far; shared by all its parts."""

    @cached_property
    def kind(self) -> str:
        """``type/subtype`` as declared, lower case (RFC 2045 §5.2 when unusable)."""
        return super().get_content_type()

    @cached_property
    def disposition(self) -> str:
        """``inline``, ``attachment``, … lower case (RFC 2183); empty without one."""
        return str(super().get_content_disposition() or "").strip()

    @cached_property
    def declared_name(self) -> str:
        """The name that the part gives itself, decoded (RFC 2231, or encoded words inside a parameter), or empty."""
        for name, field in (("filename", "content-disposition"), ("name", "content-type"), ("file", "content-type")):
            found = self.parameter(name, field)
            if found.strip():
                return words(found if found.count('"') != 1 else found.replace('"', ""))
        return ""

    @cached_property
    def sealed(self) -> bool:
        """A leaf by our own choice: a whole message, a container that is attached, or one too many."""
        if self.kind.startswith("message/"):
            return True
        if not self.kind.startswith("multipart/"):
            return False
        self.containers[0] += 1
        return self.is_attached or self.containers[0] > MAX_CONTAINERS

    @cached_property
    def is_attached(self) -> bool:
        """An attachment by its disposition, or by a name without one (RFC 2183 §2.8)."""
        if self.disposition == "attachment":
            return True
        return bool(self.declared_name) and not (self.kind.startswith("multipart/") and self.disposition == "inline")

    def parameter(self, name: str, field: str = "content-type") -> str:
        """A parameter's value; empty without one. The extended form (RFC 2231) beats the plain one (RFC 6266 §4.3)."""
        values: list[Any] = [value for key, value in self.get_params([], field) if key.lower() == name]
        for value in values:
            if isinstance(value, tuple):
                return decode(value[2].encode("latin-1", "replace"), str(value[0] or ""))[0]
        return str(values[0]) if values else ""

    def field_text(self, name: str) -> str:
        """A field's value, decoded; empty without one."""
        return words(str(self.get(name, ""))).strip()

    def get_content_type(self) -> str:
        """What the parser goes by."""
        return "application/octet-stream" if self.sealed else self.kind

    def get_content_maintype(self) -> str:
        """What the parser goes by."""
        return self.get_content_type().partition("/")[0]


def tree(source: bytes) -> Part:
    """Take a mail apart. Raises what the standard library's parser does on mail that it does not foresee."""
    containers = [0]

    def part(policy: Compat32 = _POLICY) -> Part:
        made = Part(policy=policy)
        made.containers = containers
        return made

    parser = BytesFeedParser(part, policy=_POLICY)
    parser.feed(source)
    root: Part = parser.close()  # type: ignore[assignment]  # what the factory makes
    return root


def lean(raw: bytes, note: Note) -> bytes:
    """The mail with its header block cut to the limits, and without an mbox line or blank lines on top."""
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    if raw[start : start + 5] == b"From ":
        start = raw.find(b"\n", start) + 1 or len(raw)
    if raw[start : start + 1] in (b" ", b"\t"):
        start = _first_field(raw, start)
    end = _header_end(raw, start)
    block = _mended(raw[start:end], note)
    if len(block) <= FIELD_LIMIT and block.count(b"\n") <= FIELDS_LIMIT:
        return raw if end - start == len(block) == end else block + raw[end:]
    fields = re.split(rb"\r?\n(?![ \t])", block)
    kept, size = [], 0
    for item in fields[:FIELDS_LIMIT]:
        field = item[:FIELD_LIMIT]
        if size + len(field) > HEADER_LIMIT:
            break
        kept.append(field)
        size += len(field) + 2
        if len(field) < len(item):
            note("field_too_long")
    if len(kept) < len(fields):
        note("header_too_long")
    return b"\r\n".join(kept) + b"\r\n" + raw[end:]


def head(raw: bytes) -> bytes:
    """The header block of a message inside a mail."""
    return raw[: _header_end(raw[:HEADER_LIMIT], 0)][:HEADER_LIMIT]


def _mended(block: bytes, note: Note) -> bytes:
    """A line that is no field, with well-known fields below it, was wrapped without a blank: the header goes on."""
    if not _STRAY_LINE.search(block):
        return block
    last = max((match.start() for match in _KNOWN_FIELD.finditer(block)), default=0)
    mended = _STRAY_LINE.sub(rb" \g<0>", block[:last])
    if len(mended) > last:
        note("header_line_broken")
    return mended + block[last:]


def _first_field(raw: bytes, start: int) -> int:
    """A mail that begins with blanks has a broken first line, not an empty header: its fields begin below."""
    end = raw.find(b"\n", start)
    line = raw[start:end] if end >= 0 else raw[start:]
    return end + 1 if end >= 0 and not line.strip() else start


def _header_end(raw: bytes, start: int) -> int:
    """Where the empty line behind the header begins."""
    ends = [raw.find(mark, start) for mark in (b"\n\n", b"\n\r\n")]
    return min((end + 1 for end in ends if end >= 0), default=len(raw))
