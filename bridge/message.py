"""The text that is posted: the customer's words, and what must be said beside them (pure).

What the bridge adds stands in square brackets on lines of its own, so that staff can tell it from the customer's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from bridge.model import Address, Attachment, InboundMail

SPACER_BYTES = 1000
"""Pictures inside the text that are smaller are spacers, tracking pixels or icons."""
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Control characters, and those that turn the direction of what follows them."""
_PLACEHOLDER = re.compile(r"\{(name|address)\}")


def wanted(mail: InboundMail, shown: Sequence[str], placed: Sequence[str], mode: str) -> tuple[Attachment, ...]:
    """The attachments that belong to what was newly written (docs/delivery.md, "Attachments").

    ``placed`` are the Content-IDs of the pictures that the HTML shows, ``shown`` of those that the kept words show.
    ``mode`` is ``upload``, ``name`` or ``ignore``.
    """
    if mode == "ignore":
        return ()
    source = unquote(mail.html or "").lower()
    kept, all_of_them = [_plain(cid) for cid in shown], [_plain(cid) for cid in placed]
    names: dict[str, set[str]] = {}
    for item in mail.attachments:
        names.setdefault(item.digest, set()).add(_plain(item.content_id))

    def belongs(item: Attachment) -> bool:
        cid = _plain(item.content_id)
        if not cid or not item.content_type.startswith("image/") or f"cid:{cid}" not in source:
            return True
        same = names[item.digest]
        elsewhere = sum(name in same for name in all_of_them) > sum(name in same for name in kept)
        return cid in kept and not elsewhere and item.size >= SPACER_BYTES

    return tuple(item for item in mail.attachments if belongs(item))


def _plain(cid: str) -> str:
    """A Content-ID as it compares: in a ``cid:`` URL it may be percent-encoded (RFC 2392)."""
    return unquote(cid).strip("<> ").lower()


def compose(
    words: str, sender: Address | None, attachments: tuple[Attachment, ...], *, mode: str, template: str
) -> str:
    """The message as it is posted, or empty when nothing was written and nothing is attached."""
    words = words.strip("\n")
    parts = [words] if words.strip() else []
    if not parts and attachments:
        parts.append("[no text; attached: " + ", ".join(describe(item) for item in attachments) + "]")
    elif attachments and mode == "name":
        parts.append("\n".join(f"[attachment not uploaded: {describe(item)}]" for item in attachments))
    if parts and template:
        parts.insert(0, _first_line(template, sender))
    return "\n\n".join(parts)


def _first_line(template: str, sender: Address | None) -> str:
    """The template with the sender in it; whatever the sender is called, it stays one line."""
    address = sender.address if sender else "unknown"
    values = {"name": (sender.name if sender else "") or address, "address": address}
    return _PLACEHOLDER.sub(lambda found: " ".join(_UNSEEN.sub(" ", values[found[1]]).split()), template)


def describe(item: Attachment) -> str:
    """An attachment's name and size for people: ``"scan.pdf" (1.2 MB)``."""
    return f'"{item.name}" ({_size(item.size)})'


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} KB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
