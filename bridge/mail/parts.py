"""The walk over a mail's parts: words here, attachments there (design §7).

mail-parser's own walk merges a forwarded message's words into the body and drops parts without names; ours keeps what
is forwarded as an attachment, chooses among alternatives, and joins the words that stand between pictures.
"""

from __future__ import annotations

import hashlib
import html as markup
from dataclasses import dataclass, field

from bridge.mail import names
from bridge.mail.charset import decode
from bridge.mail.cms import signed_content
from bridge.mail.containers import Inner, Tnef, has_password, undata, untnef, uudecode
from bridge.mail.flowed import unflow
from bridge.mail.html import render_text
from bridge.mail.transfer import payload
from bridge.mail.tree import Part, head, tree
from bridge.model import Attachment

MAX_PARTS, MAX_DEPTH = 200, 50
HTML_LIMIT = 2 * 1024 * 1024
TEXT_LIMIT = 1024 * 1024
"""Characters of a textual attachment that are kept for scanning."""
_SIGNATURES = frozenset(
    (
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-keys",
    )
)
_OPAQUE = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_PLAIN = frozenset(("text/plain", "text/markdown"))
_TNEF = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))


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
    spare: Tnef | None = None
    """A TNEF block, whose words count in a mail that has no others."""

    def defect(self, name: str) -> None:
        """Note a defect once."""
        if name and name not in self.defects:
            self.defects.append(name)

    def protect(self, name: str) -> None:
        """Note a protection once."""
        if name not in self.protection:
            self.protection.append(name)

    def read(self, root: Part) -> Words:
        """The words of a whole mail."""
        found = self.words_of(root, "")
        self._drop_repeated_calendar()
        if self.spare is None or (found.text or found.html or "").strip():
            return found
        if self.spare.rtf is not None:
            self._add("1!rtf", "message.rtf", "application/rtf", self.spare.rtf)
        return Words(self.spare.text, self.spare.html)

    def _drop_repeated_calendar(self) -> None:
        """An invitation comes as an alternative without a name and, the same again, as a file."""
        files = {item.digest for item in self.attachments if item.content_type != "text/calendar"}
        self.attachments = [
            item for item in self.attachments if item.content_type != "text/calendar" or item.digest not in files
        ]

    def words_of(self, part: Part, path: str, depth: int = 0) -> Words:
        """The words of a part; what is not words goes to the attachments."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            self.defect("too_many_parts")
            return Words()
        for defect in part.defects:
            self.defect(names.snake(type(defect).__name__))
        if part.sealed:
            self._sealed(part, path or "1")
            return Words()
        if part.is_multipart():
            return self._container(part, path, depth)
        return self._leaf(part, path or "1", depth)

    def _container(self, part: Part, path: str, depth: int) -> Words:
        if depth >= MAX_DEPTH:
            self.defect("too_deep")
            return Words()
        self._note_protection(part)
        children = [child for child in part.get_payload() if isinstance(child, Part)]
        alternative = part.kind == "multipart/alternative"
        shown = any(child.kind in ("text/plain", "text/html") for child in children)
        found = [
            self.words_of(child, f"{path}.{number}" if path else str(number), depth + 1)
            for number, child in enumerate(children, 1)
            if not (alternative and shown and _is_lesser(child))
        ]
        if not alternative:
            return _joined(found)
        texts = [item.text for item in found if item.text and item.text.strip()]
        htmls = [item.html for item in found if item.html and item.html.strip()]
        return Words(texts[-1] if texts else None, htmls[-1] if htmls else None)

    def _note_protection(self, part: Part) -> None:
        if part.kind == "multipart/signed":
            self.protect("pgp_signed" if "pgp" in part.parameter("protocol").lower() else "smime_signed")
        elif part.kind == "multipart/encrypted":
            self.protect("pgp_encrypted")

    def _leaf(self, part: Part, path: str, depth: int) -> Words:
        if part.kind in _SIGNATURES or part.kind == "application/pgp-encrypted":
            return Words()
        data, defect = payload(part)
        self.defect(defect)
        if not part.is_attached:
            if part.kind == "text/html":
                return Words(html=self._html(part, data, path))
            if part.kind in _PLAIN or part.kind.startswith("multipart/"):  # no boundary holds it: RFC 2045 §5.2
                return Words(text=self._plain(part, data, path))
        name = names.safe(part.declared_name)
        if part.kind in _OPAQUE or name.lower() == "smime.p7m":
            return self._opaque(part, data, name, path, depth)
        self._attach(part, data, name, path)
        return Words()

    def _decoded(self, part: Part, data: bytes, *, html: bool = False) -> str:
        text, defect = decode(data, part.parameter("charset"), html=html)
        self.defect(defect)
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").removeprefix("\ufeff")

    def _html(self, part: Part, data: bytes, path: str) -> str:
        text, pictures = undata(self._decoded(part, data, html=True), path)
        self._inner(path, pictures, inline=True)
        if len(text) > HTML_LIMIT:
            self.defect("html_too_large")
        return text[:HTML_LIMIT]

    def _plain(self, part: Part, data: bytes, path: str) -> str:
        text = self._decoded(part, data)
        if part.parameter("format").lower() == "flowed":
            text = unflow(text, delsp=part.parameter("delsp").lower() == "yes")
        text, files = uudecode(text)
        self._inner(path, files)
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

    def _sealed(self, part: Part, path: str) -> None:
        """A whole message, or a container that is an attachment."""
        data, defect = payload(part)
        self.defect(defect)
        title = ""
        if part.kind in ("message/rfc822", "message/global"):
            title = tree(head(data)).field_text("subject")
        elif part.kind.startswith("multipart/"):
            fields = "".join(f"{name}: {value}\r\n" for name, value in part.raw_items())
            data = fields.encode("utf-8", "surrogateescape") + b"\r\n" + data
            if not part.is_attached:
                self.defect("too_deep")
        self._add(path, names.safe(part.declared_name), part.kind, data, title=title)

    def _opaque(self, part: Part, data: bytes, name: str, path: str, depth: int) -> Words:
        """S/MIME in one piece: what is only signed is read, what is encrypted stays closed."""
        content = signed_content(data) if depth < MAX_DEPTH else None
        if content is not None:
            self.protect("smime_signed")
            return self.words_of(tree(content), f"{path}!1", depth + 1)
        open_type = part.parameter("smime-type").lower() in ("signed-data", "certs-only", "compressed-data")
        if not open_type:
            self.protect("smime_encrypted")
        self._add(path, name, part.kind, data, encrypted=not open_type)
        return Words()

    def _attach(self, part: Part, data: bytes, name: str, path: str) -> None:
        block = untnef(data) if part.kind in _TNEF or name.lower() == "winmail.dat" else None
        if block is not None:
            self._inner(path, block.files)
            self.spare = block
            return
        text = None
        if part.kind.startswith("text/"):
            text = decode(data[: 4 * TEXT_LIMIT], part.parameter("charset"))[0][:TEXT_LIMIT]
        self._add(
            path,
            name,
            part.kind,
            data,
            inline=part.disposition == "inline",
            content_id=part.field_text("content-id").strip("<>"),
            encrypted="pgp_encrypted" in self.protection,
            text=text,
        )

    def _inner(self, path: str, files: list[Inner], *, inline: bool = False) -> None:
        for number, item in enumerate(files, 1):
            name = names.safe(item.name)
            kind = item.kind or names.kind_of(name)
            place = f"{path}!{number}"
            self._add(place, name, kind, item.data, inline=inline, content_id=place if inline else "")

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


def _is_lesser(part: Part) -> bool:
    """A text alternative that no client of ours shows (AMP, watch, enriched), and that is no file either."""
    return (
        part.kind.startswith("text/")
        and part.kind not in ("text/plain", "text/html", "text/calendar")
        and not part.is_attached
    )


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
