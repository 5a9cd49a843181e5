"""A leaf's bytes with the transfer encoding undone, also where it was not done right (RFC 2045 §6)."""

from __future__ import annotations

import binascii
import quopri
import re
from email.message import Message

from bridge.mail.containers import uudecode_bytes

_TOKEN = re.compile(r"[a-z0-9-]+")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_SAMPLE = 4000
_STRAY = 20
"""One stray octet in so many is damage; more of them, and the text is not base64 at all."""


def payload(part: Message) -> tuple[bytes, str]:
    """The decoded bytes, and a defect's name when the encoding did not hold (empty otherwise)."""
    body = part._payload  # type: ignore[attr-defined]  # get_payload() would guess at charsets first
    if not isinstance(body, str):
        return b"", ""
    data = body.encode("ascii", "surrogateescape")
    token = _TOKEN.search(str(part.get("content-transfer-encoding", "")).lower())
    match token[0] if token else "":
        case "base64":
            return (_base64(data), "") if _is_base64(data) else (data, "transfer_encoding_wrong")
        case "quoted-printable":
            return quopri.decodestring(data), ""
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            decoded = uudecode_bytes(data)
            return (data, "transfer_encoding_wrong") if decoded is None else (decoded, "")
        case "" | "7bit" | "8bit" | "binary":
            return data, ""
        case _:
            return data, "transfer_encoding_unknown"


def _is_base64(data: bytes) -> bool:
    lines = data[:_SAMPLE].split()
    sample = b"".join(lines)
    strays = len(sample.translate(None, _ALPHABET))
    words = data[:_SAMPLE].strip().count(b" ")
    return (strays + words) * _STRAY <= len(sample)


def _base64(data: bytes) -> bytes:
    """Several blocks one after another, each with padding of its own, are read too; so is one without any."""
    blocks = data.rstrip(b"=\r\n \t")
    return b"".join(_block(block) for block in (blocks.split(b"=") if b"=" in blocks else [blocks]))


def _block(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data + b"==")
    except binascii.Error:
        clean = data.translate(None, bytes(set(range(256)) - set(_ALPHABET)))
        return binascii.a2b_base64(clean[: len(clean) // 4 * 4])
