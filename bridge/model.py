"""The frozen types that travel between the parts of the bridge (design: "the way of one mail").

They hold plain values only, so that they can cross a process border by pickling and stand in the ledger as JSON.
Times are seconds since the epoch, UTC; sizes are bytes; addresses are ``local@domain`` without brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.reasons import MailClass, Reason


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of a header field: display name (decoded, may be empty) and addr-spec (RFC 5322 §3.4)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the last ``@``, lower case; empty without one."""
        return self.address.rpartition("@")[2].lower() if "@" in self.address else ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP or LMTP said about one recipient's copy of a mail (RFC 5321 §2.3.1)."""

    mail_from: str
    """The reverse-path; empty for ``<>``."""
    recipient: str
    """The forward-path of this entry, as it was given."""
    siblings: tuple[str, ...] = ()
    """The other recipients of the same transaction."""
    client_ip: str = ""
    helo: str = ""
    protocol: str = "ESMTP"
    """The ``with`` word of RFC 3848: SMTP, ESMTP, ESMTPS, UTF8SMTP, LMTP, …"""
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part of the mail that is not its words. The bytes stay in the raw mail, at ``path``."""

    path: str
    """Where the part stands: child numbers from the root, one-based, dotted (IMAP's numbering, RFC 3501 §6.4.5);
    the parts of a TNEF or uuencoded block carry ``!n`` behind the path of what contains them."""
    name: str
    """A safe file name: no path, no control or bidirectional characters, at most 200 bytes of UTF-8."""
    content_type: str
    """``type/subtype``, lower case, as declared (``application/octet-stream`` when unusable)."""
    size: int
    """Bytes after the transfer encoding is undone."""
    digest: str
    """SHA-256 of the decoded bytes, hex."""
    inline: bool = False
    """Declared ``inline``, or referred to by ``cid:`` in the HTML."""
    content_id: str = ""
    """Content-ID without angle brackets."""
    encrypted: bool = False
    """Opaque: S/MIME or PGP encrypted, or an archive that says it has a password."""
    text: str | None = None
    """The decoded text of a textual attachment (up to 1 MB), for scanning only."""


UNSEEN = frozenset(("unparseable", "too_deep", "too_many_parts", "html_too_large"))
"""Defects (what stands before a colon) that say that words of the mail were not seen."""


@dataclass(frozen=True, slots=True)
class InboundMail:
    """What was read from the raw bytes of one mail. Nothing in it depends on the envelope."""

    headers: tuple[tuple[str, str], ...]
    """All header fields in order: name in lower case, unfolded value with RFC 2047 words left as they are."""
    subject: str
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    message_id: str
    """Without angle brackets; empty when missing."""
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    date: float | None
    text: str | None
    """The words as plain text (``format=flowed`` undone), or None when the mail has only HTML."""
    html: str | None
    """The HTML alternative's source, decoded, up to 2 MB; None when there is none."""
    attachments: tuple[Attachment, ...]
    defects: tuple[str, ...]
    """Stable names of what was wrong with the mail, in the order found."""
    size: int
    digest: str
    """SHA-256 of the raw bytes, hex."""
    protection: tuple[str, ...] = ()
    """``smime_signed``, ``smime_encrypted``, ``pgp_signed``, ``pgp_encrypted``: what wraps the mail or its words."""

    @property
    def unseen(self) -> bool:
        """True when words of the mail were not seen: only a person can say what it says."""
        return any(defect.partition(":")[0] in UNSEEN for defect in self.defects)

    def values(self, name: str) -> tuple[str, ...]:
        """All values of the header field ``name`` (lower case), in order."""
        return tuple(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class Reference:
    """A ticket that a mail names."""

    ticket: str
    """A public id (``tkt_…``) or a number (digits), lower case."""
    source: str
    """``address``, ``thread`` or ``subject``; ``operator`` when a person redirected the mail."""
    unguessable: bool
    """True for a full public id and for a signed address: knowing it authorises (design §8)."""
    signed: bool = False

    @property
    def is_number(self) -> bool:
        """True when the ticket is given by its number, which must be resolved to the public id first."""
        return self.ticket.isdigit()


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the relay's own Authentication-Results say of the From domain (RFC 8601)."""

    result: str
    """``pass``, ``fail`` or ``unknown``. Only ``pass`` authenticates; doubt is never ``pass``."""
    why: str
    """One stable word or short phrase for the reason."""


@dataclass(frozen=True, slots=True)
class ReplyLine:
    """One line of the input of reply extraction."""

    text: str
    kept: bool
    kind: str
    """The line's class: ``text``, ``blank``, ``quote``, ``attribution``, ``header``, ``separator``, ``signature``, …"""
    reason: str
    """Why it was kept or cut, in a few stable words."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What reply extraction found. Kept and elided lines together are the input's lines, in order."""

    text: str
    """What the author newly wrote: to be posted."""
    elided: str
    """Everything that was cut, in order."""
    lines: tuple[ReplyLine, ...]
    confidence: float
    """0..1; low confidence keeps more."""
    source: str = "text"
    """``text`` or ``html``: which alternative was used."""
    cids: tuple[str, ...] = ()
    """Content-IDs of the pictures that the kept part shows."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What only the bridge knows about the message being answered."""

    markers: tuple[str, ...] = ()
    """Lines of our own notifications (``## Reply above this line ##``): everything from there on is history."""
    addresses: tuple[str, ...] = ()
    """Our own mailboxes: an attribution that names one is surely an attribution."""
    names: tuple[str, ...] = ()
    """Display names that our notifications carry."""
    known_texts: tuple[str, ...] = ()
    """Texts of messages on the ticket, newest first: lines that match them are history."""
    subject: str = ""
    """The mail's subject: Outlook marks a forwarded message by nothing else (``FW:``, ``WG:``, ``TR:``)."""
    inline_quotes: str = "trim"
    """``trim`` keeps the paragraph that is answered; ``keep`` keeps every quote that is answered."""
    cut_signature: bool = True
    """Cut what follows ``-- `` (RFC 3676 §4.3)."""
    cut_device: bool = True
    """Cut "Sent from my …" lines."""
    cut_disclaimer: bool = False
    """Cut confidentiality footers."""
    forwarded: str = "keep"
    """``keep`` posts a forwarded message with what its sender wrote above it; ``cut`` posts only the latter, if any."""
    cut_signoff: bool = False
    """Cut the sign-off ("Best regards,"), the name and the contact card below it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A sensitivity rule that matched. Never carries the matched text."""

    rule: str
    tier: str
    """``certain`` or ``probable``; ``could_not_scan`` findings are ``certain``."""
    where: str
    """``subject``, ``body line 3``, ``cut line 12``, ``attachment "x.txt"``, ``header``, …"""
    posted: bool = True
    """True when it is in the message as posted (subject, reply, attachments), false when only in what is cut."""


@dataclass(frozen=True, slots=True)
class Context:
    """What only the spool knows about a mail: looked up by the service between read() and decide()."""

    threads: Mapping[str, str] = field(default_factory=dict)
    """Message-ID (without brackets) → public ticket id, for those of In-Reply-To and References that are known."""
    known_sender_of: frozenset[str] = frozenset()
    """Tickets (ids and numbers) on which the From address was accepted before."""
    known_texts: tuple[str, ...] = ()
    recent_from_sender: int = 0
    """Mails from this sender to this ticket in the last 10 minutes."""
    equal_bodies: int = 0
    """Mails with an equal body from this sender to this ticket in the last hour."""
    empty: bool = False
    """True when nothing was looked up (``explain``)."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Ticket number → public id, for those that were resolved before."""
    override: str = ""
    """The ticket that a person redirected the mail to; beats every reference."""
    released: bool = False
    """A person released the mail: who may write, and how often, is not asked again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an entry, and why."""

    action: str
    """``deliver``, ``create``, ``hold``, ``record`` or ``discard``."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """All that ``decide`` found: the verdict, and what the ledger and ``explain`` show beside it."""

    verdict: Verdict
    reference: Reference | None
    mail_class: MailClass
    class_reason: str
    sender: Address | None
    authentication: Authentication
    subject: str
    message: str
    """What would be posted; empty when nothing would be."""
    reply: Reply | None
    encrypted: bool
    findings: tuple[Finding, ...]
    attachments: tuple[Attachment, ...]
    """The attachments to upload or name."""
    defects: tuple[str, ...]
    message_id: str = ""
    cc: tuple[str, ...] = ()
    """Addresses that a created ticket gets as ``ccEmails``."""
    notes: tuple[str, ...] = ()
    """Things worth saying that change nothing, in plain words without the customer's."""
