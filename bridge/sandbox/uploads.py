"""Uploaded files: sanitised names, detected types, and what is refused (API contract, section 5)."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from bridge.sandbox.problems import FieldError, invalid
from bridge.sandbox.store import Upload

MAX_FILE_BYTES = 20_971_520
_MAX_NAME_BYTES = 200
_REFUSED_ENDINGS = frozenset({
    "apk", "app", "bat", "cmd", "com", "cpl", "dll", "exe", "hta", "jar", "js", "jse", "lnk", "msi", "msp", "ps1",
    "reg", "scr", "sh", "vb", "vbe", "vbs", "wsf", "wsh",
})  # fmt: skip
_REFUSED_MAGIC = (b"MZ", b"\x7fELF", b"#!")
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"OggS", "application/ogg"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_OFFICE = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
_TEXTUAL = {"csv": "text/csv", "ics": "text/calendar", "eml": "message/rfc822", "json": "application/json"}
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def accept(filename: str | None, content: bytes) -> Upload:
    """The file as it is kept. Raises ``400 invalid_request`` for an empty, too large, or forbidden one."""
    name = safe_name(filename or "")
    if not content:
        raise invalid(FieldError("/file", "The file is empty.", "file_empty"))
    if len(content) > MAX_FILE_BYTES:
        raise invalid(FieldError("/file", f"The file is larger than {MAX_FILE_BYTES} bytes.", "file_too_large"))
    if _ending(name) in _REFUSED_ENDINGS or content.startswith(_REFUSED_MAGIC):
        raise invalid(FieldError("/file", "Programs and scripts are not accepted.", "file_type_not_allowed"))
    return Upload(name, detect(name, content), hashlib.sha256(content).hexdigest(), content)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def safe_name(filename: str) -> str:
    """The last part of a path, in NFC, without control, format or shell characters, at most 200 bytes of UTF-8."""
    last = re.split(r"[/\\]", filename)[-1]
    composed = unicodedata.normalize("NFC", last)
    visible = "".join(c for c in composed if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    name = _UNSAFE.sub("_", visible).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if dot and len(ending) <= 16:
        tail = dot + ending
        stem = stem.encode()[: _MAX_NAME_BYTES - len(tail.encode())].decode(errors="ignore")
        name = stem + tail
    return name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore") or "file"


def detect(name: str, content: bytes) -> str:
    """The content type by what the bytes are; the name decides only among kinds that look alike. Never HTML."""
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    ending = _ending(name)
    if content.startswith(b"PK\x03\x04"):
        return _OFFICE.get(ending, "application/zip")
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return "image/heic" if content[8:12] in (b"heic", b"heix", b"mif1") else "video/mp4"
    if b"\x00" in content[:4096]:
        return "application/octet-stream"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return _TEXTUAL.get(ending, "text/plain")
