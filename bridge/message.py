"""The text that is posted: the customer's words, and what must be said beside them (pure).

What the bridge adds stands in square brackets on lines of its own, so that staff can tell it from the customer's words.
"""

from __future__ import annotations

from bridge.model import Address, Attachment, InboundMail, Reply


def wanted(mail: InboundMail, reply: Reply, mode: str) -> tuple[Attachment, ...]:
    """The attachments that belong to what was newly written.

    A picture that only the history or the signature shows stays away; one that the kept words show, or that no HTML
    places anywhere, comes along. ``mode`` is ``upload``, ``name`` or ``ignore``.
    """
    if mode == "ignore":
        return ()
    placed = mail.html or ""
    return tuple(
        item
        for item in mail.attachments
        if not (item.inline and item.content_id and f"cid:{item.content_id}" in placed) or item.content_id in reply.cids
    )


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
        name, address = (sender.name or sender.address, sender.address) if sender else ("unknown", "unknown")
        parts.insert(0, template.replace("{name}", name).replace("{address}", address))
    return "\n\n".join(parts)


def describe(item: Attachment) -> str:
    """An attachment's name and size for people: ``"scan.pdf" (1.2 MB)``."""
    return f'"{item.name}" ({_size(item.size)})'


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} KB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
