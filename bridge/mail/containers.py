"""Files inside other things: uuencoded blocks in text, TNEF (winmail.dat), and what says that it has a password."""

from __future__ import annotations

import binascii
import itertools
import re
from dataclasses import dataclass

from tnefparse import TNEF

from bridge.mail.charset import decode

_BEGIN = re.compile(r"^begin [0-7]{3,4} (\S[^\r\n]{0,250})$", re.MULTILINE)
_DATA = re.compile(r"data:(image/[a-z0-9.+-]{1,40})[^,\"'<>]{0,60};base64,([A-Za-z0-9+/=\s]*)", re.IGNORECASE)
MAX_PICTURES = MAX_BLOCKS = 100
_TNEF_MAGIC = b"\x78\x9f\x3e\x22"
LOOK_BYTES = 4 * 1024 * 1024
"""How much of a file is looked at for the signs of encryption."""


@dataclass(frozen=True, slots=True)
class Inner:
    """One file that was found inside."""

    name: str
    data: bytes
    kind: str = ""
    """``type/subtype`` where it is declared."""


def uudecode(text: str) -> tuple[str, list[Inner]]:
    """The text without its uuencoded blocks, and the files that were in them. A block without ``end`` stays text."""
    found: list[Inner] = []
    kept: list[str] = []
    position = 0
    begins = list(itertools.islice(_BEGIN.finditer(text), MAX_BLOCKS))
    for match, following in itertools.zip_longest(begins, begins[1:]):
        end = text.find("\nend", match.end(), following.start() if following else len(text))
        data = _uu_lines(text[match.end() + 1 : end]) if end >= 0 else None
        if data is None:
            continue
        kept.append(text[position : match.start()])
        position = end + len("\nend")
        found.append(Inner(match[1], data))
    return ("".join(kept) + text[position:], found) if found else (text, [])


def _uu_lines(block: str) -> bytes | None:
    out = bytearray()
    for line in block.split("\n"):
        line = line.rstrip("\r")  # noqa: PLW2901 - the same line without its end
        if not line:
            continue
        if not line.isascii():
            return None
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            # Some encoders pad wrongly: what the length octet promises decides (POSIX uuencode).
            length = ((ord(line[0]) - 32) & 63) * 4 // 3 + 2
            try:
                out += binascii.a2b_uu(line[: length + 1])
            except binascii.Error:
                return None
    return bytes(out)


def uudecode_bytes(data: bytes) -> bytes | None:
    """A part whose transfer encoding is uuencode, or None when it is not."""
    begin = re.search(rb"^begin [^\n]*\n", data, re.MULTILINE)
    if begin is None:
        return None
    return _uu_lines(data[begin.end() :].partition(b"\nend")[0].decode("latin-1"))


def undata(html: str, path: str) -> tuple[str, list[Inner]]:
    """The HTML with its ``data:`` pictures (RFC 2397) as files, each referred to by ``cid:PATH!NUMBER`` instead."""
    found: list[Inner] = []

    def replaced(match: re.Match[str]) -> str:
        packed = re.sub(r"[^A-Za-z0-9+/]", "", match[2])
        found.append(Inner("", binascii.a2b_base64(packed[: len(packed) - (len(packed) % 4 == 1)] + "=="), match[1]))
        return f"cid:{path}!{len(found)}"

    return (_DATA.sub(replaced, html, count=MAX_PICTURES), found) if "data:image/" in html else (html, found)


@dataclass(frozen=True, slots=True)
class Tnef:
    """What a TNEF block holds: files, and the mail's words where Outlook put them nowhere else."""

    files: list[Inner]
    text: str | None = None
    html: str | None = None
    rtf: bytes | None = None
    """The words in the one form that is left to a person's word processor."""


def untnef(data: bytes) -> Tnef | None:
    """The content of a TNEF block, or None when it is none or cannot be read."""
    if not data.startswith(_TNEF_MAGIC) or not _is_whole(data):
        return None
    try:
        tnef = TNEF(data, do_checksum=False)
        files = [Inner(_tnef_text(_tnef_name(item)) or "", bytes(item.data or b"")) for item in tnef.attachments]
        text, html = _tnef_text(tnef.body), _tnef_text(tnef.htmlbody)
        return Tnef(files, text, html, bytes(tnef.rtfbody) if tnef._rtfbody and not (text or html) else None)
    except Exception:  # noqa: BLE001 - a foreign reader on hostile bytes; the block stays an attachment
        return None


def _is_whole(data: bytes) -> bool:
    """Attribute by attribute to the very end (MS-OXTNEF §2.1.3): of a block that is cut, files would be missing."""
    position = 6
    while position < len(data):
        length = int.from_bytes(data[position + 5 : position + 9], "little")
        position += 9 + length + 2
    return position == len(data)


def _tnef_name(item: object) -> object:
    long_name = getattr(item, "long_filename", None)
    return (long_name() if callable(long_name) else long_name) or getattr(item, "name", "")


def _tnef_text(value: object) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bytes):
        value = decode(value)[0]
    return str(value).replace("\r\n", "\n").replace("\x00", "") if value else None


def has_password(data: bytes) -> bool:
    """True when a file says that it is encrypted: ZIP, 7z, RAR, PDF, Office."""
    if data[:4] == b"PK\x03\x04":
        return bool(int.from_bytes(data[6:8], "little") & 1)
    if data[:6] == b"7z\xbc\xaf\x27\x1c":
        # The AES codec's id in the header at the end; a header that is encrypted itself shows it too.
        return b"\x06\xf1\x07\x01" in data[-LOOK_BYTES:]
    if data[:7] == b"Rar!\x1a\x07\x00":
        return bool(int.from_bytes(data[10:12], "little") & 0x80)
    if data[:8] == b"Rar!\x1a\x07\x01\x00":
        return data[13:14] == b"\x04"
    if data[:5] == b"%PDF-":
        return b"/Encrypt" in data[:LOOK_BYTES] or b"/Encrypt" in data[-LOOK_BYTES:]
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return "EncryptedPackage".encode("utf-16-le") in data[:LOOK_BYTES]
    return False
