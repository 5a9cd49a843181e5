"""``read``: raw bytes to ``InboundMail``, whatever the bytes; and the bytes of one attachment.

mail-parser reads headers, addresses, dates and defects and gives the message tree; ``parts`` walks it. What could take
either of them too long is cut or refused before they see it: no input makes ``read`` raise.
"""

from __future__ import annotations

import hashlib
import re
from email.message import Message

import mailparser
from mailparser import MailParser

from bridge.mail.charset import raw_header, words
from bridge.mail.parts import Walk, Words
from bridge.model import Address, InboundMail

HEADER_LIMIT = 256 * 1024
"""Octets of the header block that are read."""
FIELD_LIMIT = 64 * 1024
"""Octets of one field that are read."""
FIELDS_LIMIT = 2000
MAX_ADDRESSES = 1000
MAX_IDS = 200
MULTIPART_LIMIT = 400
"""Occurrences of ``multipart/`` from which a mail is not taken apart at all."""
_ID = re.compile(r"<([^<>\s]{1,998})>")
_NAME = re.compile(rb"[!-9;-~]{1,200}[ \t]{0,20}:")
_MULTIPART = re.compile(rb"multipart/", re.IGNORECASE)


def read(raw: bytes) -> InboundMail:
    """Read a mail; never raises. What is wrong with it stands in ``defects``."""
    walk = Walk()
    lean = _lean(raw, walk)
    try:
        parser = mailparser.parse_from_bytes(lean)
        message: Message = parser.message if parser.message is not None else Message()
        found = _body(walk, message, lean)
        return _mail(raw, parser, message, walk, found)
    except Exception as error:  # noqa: BLE001 - a foreign reader on hostile bytes: keep the words as they came
        return _unparsed(raw, type(error).__name__)


def attachment_bytes(raw: bytes, path: str) -> bytes:
    """The decoded bytes of the attachment that ``Attachment.path`` names. Raises ``KeyError`` when there is none."""
    walk = Walk(keep=path)
    message: Message = mailparser.parse_from_bytes(_lean(raw, walk)).message
    walk.words_of(message, "")
    if walk.kept is None:
        raise KeyError(path)
    return walk.kept


def _body(walk: Walk, message: Message, lean: bytes) -> Words:
    if len(_MULTIPART.findall(lean)) > MULTIPART_LIMIT:
        walk.defect("too_deep")
        return Words()
    return walk.words_of(message, "")


def _lean(raw: bytes, walk: Walk) -> bytes:
    """The mail with its header block cut to the limits, and without an mbox line or blank lines on top."""
    start = 0
    while raw[start : start + 1] in (b"\r", b"\n"):
        start += 1
    if raw[start : start + 5] == b"From ":
        start = raw.find(b"\n", start) + 1
    end = _header_end(raw, start)
    block = raw[start:end]
    if len(block) <= FIELD_LIMIT and block.count(b"\n") <= FIELDS_LIMIT:
        return raw[start:]
    fields = re.split(rb"\r?\n(?![ \t])", block)
    kept, size = [], 0
    for item in fields[:FIELDS_LIMIT]:
        field = item[:FIELD_LIMIT].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if size + len(field) > HEADER_LIMIT:
            break
        kept.append(field)
        size += len(field) + 2
        if len(field) < len(item) - 1000:
            walk.defect("field_too_long")
    if len(kept) < len(fields):
        walk.defect("header_too_long")
    return b"\r\n".join(kept) + b"\r\n\r\n" + raw[end:].lstrip(b"\r\n")


def _header_end(raw: bytes, start: int) -> int:
    ends = [position for position in (raw.find(b"\n\n", start), raw.find(b"\n\r\n", start)) if position >= 0]
    return min(ends, default=len(raw))


def _mail(raw: bytes, parser: MailParser, message: Message, walk: Walk, found: Words) -> InboundMail:
    headers = tuple((name.lower(), raw_header(str(value))) for name, value in message.raw_items())
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name, value)
    for category in sorted(parser.defects_categories):
        walk.defect(_snake(category))
    message_id = first.get("message-id", "").strip()
    return InboundMail(
        headers=headers,
        subject=" ".join(words(first.get("subject", "")).split()),
        from_=_addresses(parser.from_),
        to=_addresses(parser.to),
        cc=_addresses(parser.cc),
        reply_to=_addresses(parser.reply_to),
        message_id=_ids(message_id)[0] if _ids(message_id) else message_id.strip("<> ")[:998],
        in_reply_to=_ids(first.get("in-reply-to", "")),
        references=_ids(first.get("references", "")),
        date=parser.date.timestamp() if parser.date else None,
        text=found.text,
        html=found.html,
        attachments=tuple(walk.attachments),
        defects=tuple(walk.defects),
        size=len(raw),
        digest=hashlib.sha256(raw).hexdigest(),
        protection=tuple(walk.protection),
    )


def _addresses(found: object) -> tuple[Address, ...]:
    pairs = found if isinstance(found, list) else []
    return tuple(
        Address(_printable(str(name)), _printable(str(address)))
        for name, address in (pair for pair in pairs[:MAX_ADDRESSES] if len(pair) == 2)
        if "@" in str(address)
    )


def _printable(text: str) -> str:
    return raw_header(text).replace("\x00", "").strip()


def _ids(value: str) -> tuple[str, ...]:
    return tuple(_ID.findall(value[:HEADER_LIMIT])[-MAX_IDS:])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_defect")


def _unparsed(raw: bytes, error: str) -> InboundMail:
    """What can be said of a mail that no reader survived: it is held, whole, for a person."""
    return InboundMail(
        headers=(),
        subject="",
        from_=(),
        to=(),
        cc=(),
        reply_to=(),
        message_id="",
        in_reply_to=(),
        references=(),
        date=None,
        text=None,
        html=None,
        attachments=(),
        defects=(f"unparseable:{error}",),
        size=len(raw),
        digest=hashlib.sha256(raw).hexdigest(),
    )
