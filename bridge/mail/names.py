"""Attachments' names: decoded, safe, and never empty."""

from __future__ import annotations

import re
import unicodedata

NAME_BYTES = 200
_EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/svg+xml": ".svg",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/csv": ".csv",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "message/rfc822": ".eml",
    "message/global": ".eml",
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/feedback-report": ".txt",
    "text/rfc822-headers": ".txt",
    "multipart/mixed": ".eml",
    "application/pgp-encrypted": ".asc",
    "application/rtf": ".rtf",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/pkcs7-mime": ".p7m",
    "application/x-pkcs7-mime": ".p7m",
    "application/ms-tnef": ".dat",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
}


_KINDS = {extension: kind for kind, extension in reversed(_EXTENSIONS.items())} | {".jpeg": "image/jpeg"}


def kind_of(name: str) -> str:
    """The content type that a file's name promises, where nothing else says it."""
    dot = name.rfind(".")
    return _KINDS.get(name[dot:].lower() if dot >= 0 else "", "application/octet-stream")


def snake(name: str) -> str:
    """A defect class's name as ours are written: ``StartBoundaryNotFoundDefect`` to ``start_boundary_not_found``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_defect")


def safe(name: str) -> str:
    """``name`` without path, control or bidirectional characters, at most ``NAME_BYTES`` of UTF-8."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C").strip(" .")
    encoded = name.encode("utf-8", "replace")
    if len(encoded) <= NAME_BYTES:
        return encoded.decode("utf-8")
    stem, dot, extension = name.rpartition(".")
    tail = f".{extension}" if dot and len(extension) <= 10 else ""
    kept = (stem if tail else name).encode("utf-8", "replace")[: NAME_BYTES - len(tail.encode("utf-8"))]
    return kept.decode("utf-8", "ignore") + tail


def invented(content_type: str, number: int, title: str = "") -> str:
    """A name for a part that has none; ``title`` is the subject of a forwarded message."""
    if content_type == "text/calendar":
        return "invitation.ics" if number == 1 else f"invitation-{number}.ics"
    stem = safe(title[:80]).strip() if title else ""
    return (stem or f"attachment-{number}") + _EXTENSIONS.get(content_type, ".bin")
