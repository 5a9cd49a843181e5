"""The extractor behind the shared scoring function, and beside its peers.

    python ../shared/replies/score.py benchmarks.replies:reply

``reply(kind, data)``: ``kind`` is ``text``, ``html`` or ``eml`` (a raw message, its bytes as a latin-1 string).
"""

from __future__ import annotations

import hashlib
from email import message_from_bytes, policy
from email.message import EmailMessage

from bridge.reply import Hints, extract

FOLDS = 5
HINTS = Hints(cut_signoff=True, cut_disclaimer=True, forwarded="cut")
"""The labels of most sources leave the sign-off out, so the benchmark runs with the settings that cut it."""


def fold(text: str) -> int:
    """The fold that a mail belongs to: by its content, so that equal mails of different sources stay together."""
    digest = hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).digest()
    return digest[0] % FOLDS


def reply(kind: str, data: str) -> str:
    """What the author of ``data`` newly wrote."""
    if kind == "text":
        return extract(data, None, hints=HINTS).text
    if kind == "html":
        return extract(None, data, hints=HINTS).text
    text, html = _alternatives(data.encode("latin-1"))
    return extract(text, html, hints=HINTS).text


def _alternatives(raw: bytes) -> tuple[str | None, str | None]:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    found = []
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        found.append(part.get_content() if part is not None else None)
    return found[0], found[1]
