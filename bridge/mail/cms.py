"""The words inside an opaque-signed S/MIME message (RFC 5652 §5, RFC 8551 §3.5.2): signed, but not secret.

A reader for just so much of BER as stands between the outside and the content; signatures are not verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_SEQUENCE, _OID, _OCTETS, _OCTETS_IN_PIECES, _CONTEXT_0 = 0x30, 0x06, 0x04, 0x24, 0xA0
_MAX_DEPTH = 16


class _Value(NamedTuple):
    tag: int
    start: int
    end: int
    next: int
    """Where the value behind this one begins."""


def signed_content(data: bytes) -> bytes | None:
    """The content of a SignedData, or None when ``data`` is none or carries none."""
    try:
        return _content(data)
    except (IndexError, ValueError):
        return None


def _content(data: bytes) -> bytes | None:
    info = _read(data, 0, len(data))
    kind, explicit = _children(data, info)[:2]
    if (kind.tag, data[kind.start : kind.end]) != (_OID, _SIGNED_DATA):
        return None
    signed = _children(data, explicit)[0]
    inner = _first(data, signed, _SEQUENCE)
    wrapped = _first(data, inner, _CONTEXT_0) if inner else None
    return b"".join(_octets(data, _children(data, wrapped)[0])) if wrapped else None


def _first(data: bytes, parent: _Value, tag: int) -> _Value | None:
    return next((value for value in _children(data, parent) if value.tag == tag), None)


def _octets(data: bytes, value: _Value) -> Iterator[bytes]:
    if value.tag == _OCTETS:
        yield data[value.start : value.end]
    elif value.tag == _OCTETS_IN_PIECES:
        for piece in _children(data, value):
            yield data[piece.start : piece.end]


def _children(data: bytes, value: _Value) -> list[_Value]:
    found, position = [], value.start
    while position < value.end:
        found.append(_read(data, position, value.end))
        position = found[-1].next
    return found


def _read(data: bytes, position: int, limit: int, depth: int = 0) -> _Value:
    """One tag, length and value (X.690 §8.1). Raises ``ValueError`` where they do not fit."""
    tag, first = data[position], data[position + 1]
    start = position + 2
    if first == 0x80:
        return _indefinite(data, tag, start, limit, depth)
    length = first
    if first & 0x80:
        octets = first & 0x7F
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    if start + length > limit:
        raise ValueError("the value is cut off")
    return _Value(tag, start, start + length, start + length)


def _indefinite(data: bytes, tag: int, start: int, limit: int, depth: int) -> _Value:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    position = start
    while data[position : position + 2] != b"\0\0":
        position = _read(data, position, limit, depth + 1).next
    return _Value(tag, start, position, position + 2)
