"""The walk over a parsed message: words here, attachments there (design §7).

mail-parser's own walk merges a forwarded message's words into the body and drops parts without names; ours keeps what
is forwarded as an attachment, chooses among alternatives, and joins the words that stand between pictures.
"""

from __future__ import annotations

import hashlib
import html as markup
from dataclasses import dataclass, field
from email.message import Message

from bridge.mail import names
from bridge.mail.charset import decode, raw_header, words
from bridge.mail.containers import has_password, untnef, uudecode
from bridge.mail.flowed import unflow
from bridge.mail.html import render_text
from bridge.model import Attachment

MAX_PARTS, MAX_DEPTH = 200, 50
HTML_LIMIT = 2 * 1024 * 1024
TEXT_LIMIT = 1024 * 1024
"""Characters of a textual attachment that are kept for scanning."""
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_OPAQUE = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a part, as plain text and as HTML; either may be missing."""

    text: str | None = None
    html: str | None = None


@dataclass(slots=True)
class Walk:
    """What a walk has found so far."""

    attachments: list[Attachment] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    protection: list[str] = field(default_factory=list)
    parts: int = 0
    keep: str = ""
    """Path of the one attachment whose bytes are wanted."""
    kept: bytes | None = None

    def defect(self, name: str) -> None:
        """Note a defect once."""
        if name and name not in self.defects:
            self.defects.append(name)

    def protect(self, name: str) -> None:
        """Note a protection once."""
        if name not in self.protection:
            self.protection.append(name)

    def words_of(self, part: Message, path: str, depth: int = 0) -> Words:
        """The words of a part; what is not words goes to the attachments."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            self.defect("too_many_parts")
            return Words()
        kind = part.get_content_type()
        if depth >= MAX_DEPTH and part.is_multipart():
            self.defect("too_deep")
            self._forwarded(part, path)
            return Words()
        if kind.startswith("message/") or (part.is_multipart() and _is_attached(part)):
            self._forwarded(part, path)
            return Words()
        if part.is_multipart():
            return self._container(part, kind, path, depth)
        return self._leaf(part, kind, path)

    def _container(self, part: Message, kind: str, path: str, depth: int) -> Words:
        self._note_protection(part, kind)
        children = part.get_payload()
        found = [
            self.words_of(child, f"{path}.{number}" if path else str(number), depth + 1)
            for number, child in enumerate(children if isinstance(children, list) else [], 1)
            if isinstance(child, Message)
        ]
        if kind == "multipart/alternative":
            texts = [item.text for item in found if item.text and item.text.strip()]
            htmls = [item.html for item in found if item.html and item.html.strip()]
            return Words(texts[-1] if texts else None, htmls[-1] if htmls else None)
        return _joined(found)

    def _note_protection(self, part: Message, kind: str) -> None:
        protocol = str(part.get_param("protocol") or "").lower()
        if kind == "multipart/signed":
            self.protect("pgp_signed" if "pgp" in protocol else "smime_signed")
        elif kind == "multipart/encrypted":
            self.protect("pgp_encrypted")

    def _leaf(self, part: Message, kind: str, path: str) -> Words:
        path = path or "1"
        if kind in _SIGNATURES or kind == "application/pgp-encrypted":
            return Words()
        if kind in ("text/plain", "text/html") and not _is_attached(part):
            text, defect = decode(payload(part), _charset(part), html=kind == "text/html")
            self.defect(defect)
            text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
            if kind == "text/html":
                if len(text) > HTML_LIMIT:
                    self.defect("html_too_large")
                return Words(html=text[:HTML_LIMIT])
            return Words(text=self._plain(part, text, path))
        self._attach(part, kind, path)
        return Words()

    def _plain(self, part: Message, text: str, path: str) -> str:
        if str(part.get_param("format") or "").lower() == "flowed":
            text = unflow(text, delsp=str(part.get_param("delsp") or "").lower() == "yes")
        text, inner = uudecode(text)
        for number, item in enumerate(inner, 1):
            self._add(f"{path}!{number}", names.safe(item.name), "application/octet-stream", item.data)
        return self._unarmoured(text)

    def _unarmoured(self, text: str) -> str:
        """The words of a clear-signed PGP text (RFC 4880 §7), without its armour."""
        if "-----BEGIN PGP MESSAGE-----" in text:
            self.protect("pgp_encrypted")
        before, begin, rest = text.partition("-----BEGIN PGP SIGNED MESSAGE-----\n")
        signed, end, after = rest.partition("\n-----BEGIN PGP SIGNATURE-----")
        if not begin or not end:
            return text
        self.protect("pgp_signed")
        after = after.partition("-----END PGP SIGNATURE-----")[2]
        body = signed.partition("\n\n")[2]
        return before + "\n".join(line.removeprefix("- ") for line in body.split("\n")) + after

    def _forwarded(self, part: Message, path: str) -> None:
        """A whole message, or a container that is marked as an attachment."""
        kind = part.get_content_type()
        inner = part.get_payload()
        title = ""
        if kind == "message/rfc822" and isinstance(inner, list) and inner and isinstance(inner[0], Message):
            title = words(raw_header(str(inner[0].get("subject", ""))))
            data = serialised(inner[0])
        else:
            data = serialised(part) if part.is_multipart() else payload(part)
        self._add(path or "1", names.declared(part), kind, data, title=title)

    def _attach(self, part: Message, kind: str, path: str) -> None:
        data = payload(part)
        name = names.declared(part)
        inner = untnef(data) if kind == "application/ms-tnef" or name.lower() == "winmail.dat" else None
        if inner is not None:
            for number, item in enumerate(inner, 1):
                self._add(f"{path}!{number}", names.safe(item.name), "application/octet-stream", item.data)
            return
        opaque = kind in _OPAQUE
        if opaque:
            smime_type = str(part.get_param("smime-type") or "enveloped-data").lower()
            self.protect("smime_signed" if "signed" in smime_type else "smime_encrypted")
        text = None
        if kind.startswith("text/"):
            text = decode(payload(part)[: 4 * TEXT_LIMIT], _charset(part))[0][:TEXT_LIMIT]
        self._add(
            path,
            name,
            kind,
            data,
            inline=part.get_content_disposition() == "inline",
            content_id=raw_header(str(part.get("content-id", ""))).strip().strip("<>"),
            encrypted=(opaque and "smime_encrypted" in self.protection) or "pgp_encrypted" in self.protection,
            text=text,
        )

    def _add(
        self,
        path: str,
        name: str,
        kind: str,
        data: bytes,
        *,
        inline: bool = False,
        content_id: str = "",
        encrypted: bool = False,
        text: str | None = None,
        title: str = "",
    ) -> None:
        if path == self.keep:
            self.kept = data
        self.attachments.append(
            Attachment(
                path=path,
                name=name or names.invented(kind, len(self.attachments) + 1, title),
                content_type=kind,
                size=len(data),
                digest=hashlib.sha256(data).hexdigest(),
                inline=inline,
                content_id=content_id,
                encrypted=encrypted or has_password(data),
                text=text,
            )
        )


def payload(part: Message) -> bytes:
    """A leaf's bytes with the transfer encoding undone; empty when there are none."""
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        return b""
    return data if isinstance(data, bytes) else b""


def serialised(part: Message) -> bytes:
    """A message or container as bytes again."""
    try:
        return part.as_bytes()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, UnicodeError):
        return b""


def _is_attached(part: Message) -> bool:
    """An attachment by its disposition, or by a name without one (RFC 2183 §2.8)."""
    disposition = part.get_content_disposition()
    if disposition == "attachment":
        return True
    return bool(names.declared(part)) and not (part.is_multipart() and disposition == "inline")


def _charset(part: Message) -> str:
    value = part.get_param("charset")
    return str(value[2] if isinstance(value, tuple) else value or "")


def _joined(found: list[Words]) -> Words:
    """Words one after another; when one of them has HTML, the others' text is put between as HTML."""
    found = [item for item in found if (item.text or item.html or "").strip()]
    if len(found) <= 1:
        return found[0] if found else Words()
    text = None
    if any(item.text is not None for item in found):
        text = "\n".join(item.text if item.text is not None else render_text(item.html or "") for item in found)
    html = None
    if any(item.html is not None for item in found):
        html = "\n".join(
            item.html if item.html is not None else f"<div>{markup.escape(item.text or '')}</div>".replace("\n", "<br>")
            for item in found
        )[:HTML_LIMIT]
    return Words(text, html)
