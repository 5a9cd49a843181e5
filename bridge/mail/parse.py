"""``read``: raw bytes to ``InboundMail``, whatever the bytes; and the bytes of one attachment.

mail-parser reads addresses and dates and says what is wrong with them; ``tree`` takes the mail apart, ``parts`` walks
it. What could take any of them too long is cut or refused before they see it: no input makes ``read`` raise.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import replace
from email.errors import HeaderParseError
from email.message import Message

from mailparser import MailParser

from bridge.mail.charset import raw_header, words
from bridge.mail.names import snake
from bridge.mail.parts import Walk, Words
from bridge.mail.tree import Part, lean, tree
from bridge.model import Address, Attachment, InboundMail

MAX_ADDRESSES = 1000
MAX_IDS = 200
_ID = re.compile(r"<([^<>\s]{1,998})>")
_FIELDS = frozenset(("from", "to", "cc", "reply-to", "date"))
"""What mail-parser is asked to read; the rest is read where it is needed."""

logging.getLogger("mailparser").addHandler(logging.NullHandler())  # or it writes what it meets to stderr


def read(raw: bytes) -> InboundMail:
    """Read a mail; never raises. What is wrong with it stands in ``defects``."""
    walk = Walk()
    try:
        message = tree(lean(raw, walk.defect))
        found = walk.read(message)
        try:
            return _mail(raw, _fields(message, walk), message, walk, found)
        except HeaderParseError:
            # An encoded word that the standard library cannot decode: the address is read, its name as it came.
            walk.defect("broken_encoded_word")
            return _mail(raw, _fields(message, walk, encoded_words=False), message, walk, found)
    except Exception as error:  # noqa: BLE001 - a foreign reader on hostile bytes: keep the words as they came
        return _unparsed(raw, type(error).__name__)


def attachment_bytes(raw: bytes, path: str) -> bytes:
    """The decoded bytes of the attachment that ``Attachment.path`` names. Raises ``KeyError`` when there is none."""
    walk = Walk(keep=path)
    walk.read(tree(lean(raw, walk.defect)))
    if walk.kept is None:
        raise KeyError(path)
    return walk.kept


def _fields(message: Part, walk: Walk, *, encoded_words: bool = True) -> MailParser:
    """mail-parser on the fields that it is good at, and on no body: its own walk would take every part apart again."""
    header = Message()
    for name, value in message.raw_items():
        if name.lower() in _FIELDS:
            text = raw_header(value)
            header.set_raw(name, text if encoded_words else text.replace("=?", "= ?"))
    parser = MailParser(header)
    for category in sorted(parser.defects_categories):
        walk.defect(snake(category))
    return parser


def _mail(raw: bytes, parser: MailParser, message: Part, walk: Walk, found: Words) -> InboundMail:
    headers = tuple((name.lower(), raw_header(str(value))) for name, value in message.raw_items())
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name, value)
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
        attachments=tuple(_placed(item, found.html or "") for item in walk.attachments),
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
    return " ".join(words(raw_header(text)).replace("\x00", "").split())


def _ids(value: str) -> tuple[str, ...]:
    return tuple(_ID.findall(value)[-MAX_IDS:])


def _placed(item: Attachment, html: str) -> Attachment:
    """What the HTML shows stands inline, whatever its disposition says (RFC 2392)."""
    if item.inline or not item.content_id or f"cid:{item.content_id}" not in html:
        return item
    return replace(item, inline=True)


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
