"""The whole story of one mail, on one page (design §2): ``read`` its bytes, then ``decide`` what becomes of it.

Pure: no I/O, clock, randomness, settings or environment. Everything that a decision rests on is an argument, so that
``explain`` and the running bridge cannot differ. The verdict is the first gate that says something; the message that
would be posted is made for held mail too, so that a person can release it as it stands.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from bridge import mail as mails
from bridge import reference as references
from bridge import reply as replies
from bridge import sensitivity
from bridge.domains import a_label
from bridge.mail.html import RenderedLine
from bridge.message import compose, wanted
from bridge.model import Address, Authentication, Context, Decision, Envelope, Hints, InboundMail, Reference, Reply
from bridge.reference import AddressKeys, AddressMatch
from bridge.verdict import Case, judge

read = mails.read
"""Bytes to ``InboundMail``; never raises, whatever the bytes."""


CC_LIMIT = 20
"""Addresses that a new ticket copies at most."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices that a decision rests on, as plain values without secrets (docs/settings.md)."""

    loop_marker: str
    """Our own name in the ``X-Loop`` fields of what we send: mail that bears it comes back."""
    domains: frozenset[str] = frozenset()
    """Our own, as A-labels: Message-IDs under them may carry a ticket."""
    relay_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    authserv_id: str = ""
    trusted_hops: int = 1
    number_policy: str = "accept"
    allowed_senders: frozenset[str] = frozenset()
    """Addresses and ``@domains`` that are known on every ticket once authenticated."""
    no_ticket: str = "hold"
    attachments: str = "upload"
    message_template: str = ""
    hints: Hints = field(default_factory=Hints)
    rules: str | None = None
    """Text of the operator's rule file; None for the shipped rules."""
    sensitivity: sensitivity.Options = field(default_factory=sensitivity.Options)


@dataclass(frozen=True, slots=True)
class Addressed:
    """What the envelope recipient says, found where the address keys are (never in the process that parses mail)."""

    match: AddressMatch
    sibling_has_ticket: bool
    """Another recipient of the same mail names a ticket."""


def address(
    envelope: Envelope, *, domains: frozenset[str], mailboxes: frozenset[str], keys: AddressKeys, signed: str
) -> Addressed:
    """Parse the recipient of this entry and look at the mail's other recipients (design §8)."""

    def parse(recipient: str) -> AddressMatch:
        return references.parse_address(recipient, domains=domains, mailboxes=mailboxes, keys=keys, signed=signed)

    return Addressed(parse(envelope.recipient), any(parse(other).reference for other in envelope.siblings))


def named_tickets(mail: InboundMail, addressed: Addressed) -> tuple[str, ...]:
    """Every ticket (id or number) that address and subject name: what the context is looked up for."""
    named = [addressed.match.reference] if addressed.match.reference else []
    return tuple(dict.fromkeys(item.ticket for item in (*named, *references.subject_references(mail.subject))))


def body_digest(mail: InboundMail) -> str:
    """SHA-256 of the words, whatever their white space: equal bodies have equal digests (the back-stop of §8)."""
    words = mail.text if mail.text is not None else mail.html or ""
    return hashlib.sha256(" ".join(words.split()).encode("utf-8", "surrogatepass")).hexdigest()


def decide(mail: InboundMail, envelope: Envelope, addressed: Addressed, policy: Policy, context: Context) -> Decision:
    """What becomes of one recipient's copy of a mail, with everything that led there.

    A reference by number stays a number when ``context.numbers`` does not know it: the caller resolves it and asks
    again before it acts.
    """
    mail_class, class_reason = mails.classify(mail, envelope, loop_marker=policy.loop_marker)
    authentication = mails.authenticate(
        mail,
        client_ip=envelope.client_ip,
        relay_networks=policy.relay_networks,
        authserv_id=policy.authserv_id,
        trusted_hops=policy.trusted_hops,
    )
    sender = mail.from_[0] if mail.from_ else None
    reference, conflict = _reference(mail, addressed, policy, context)
    hints = replace(policy.hints, known_texts=context.known_texts, subject=mail.subject)
    rendered = replies.rendition(mail.html) if mail.html else ()
    reply = replies.extract(mail.text, mail.html, hints=hints, rendered=rendered)
    attachments = wanted(mail, *_pictures(mail, reply, hints, rendered), policy.attachments)
    message = compose(reply.text, sender, attachments, mode=policy.attachments, template=policy.message_template)
    scan = _scan(mail, envelope, message, reply, policy, rendered)
    case = Case(
        mail_class=mail_class,
        unreadable=mail.unseen,
        mailbox=addressed.match.mailbox,
        problem=addressed.match.problem if addressed.match.refused else "",
        reference=reference,
        conflict=conflict,
        sibling_has_ticket=addressed.sibling_has_ticket,
        sender=sender,
        authentication=authentication,
        message=message,
        number_policy=policy.number_policy,
        allow_listed=_allow_listed(sender, policy),
        no_ticket=policy.no_ticket,
        context=context,
    )
    return Decision(
        verdict=judge(case),
        reference=reference,
        mail_class=mail_class,
        class_reason=class_reason,
        sender=sender,
        authentication=authentication,
        subject=mail.subject,
        message=message,
        reply=reply,
        encrypted=scan.encrypted,
        findings=scan.findings,
        attachments=attachments,
        defects=mail.defects,
        message_id=mail.message_id,
        cc=_copied(mail, authentication, policy),
        notes=_notes(addressed),
    )


def _pictures(
    mail: InboundMail, reply: Reply, hints: Hints, rendered: Sequence[RenderedLine]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Content-IDs of the pictures that the kept part of the HTML shows, and of all that it shows."""
    if not mail.html or not any(item.content_id for item in mail.attachments):
        return (), ()
    shown = reply if reply.source == "html" else replies.extract(None, mail.html, hints=hints, rendered=rendered)
    return shown.cids, tuple(cid for line in rendered for cid in line.cids)


def _reference(
    mail: InboundMail, addressed: Addressed, policy: Policy, context: Context
) -> tuple[Reference | None, bool]:
    if context.override:
        return Reference(context.override, "operator", unguessable=True), False
    choice = references.choose(
        addressed.match.reference,
        tuple(context.threads.values()),
        references.subject_references(mail.subject),
        tagged=references.thread_tickets((*mail.in_reply_to, *mail.references), policy.domains),
        numbers=context.numbers,
    )
    return choice.reference, choice.conflict


def _notes(addressed: Addressed) -> tuple[str, ...]:
    words = {"unsigned": "the address is not signed", "bad_signature": "the address's signature does not verify"}
    return (words[addressed.match.problem],) if addressed.match.problem in words else ()


def _copied(mail: InboundMail, authentication: Authentication, policy: Policy) -> tuple[str, ...]:
    """Whom a new ticket copies: the mail's Cc without ourselves, in whatever disguise.

    Not by the word of somebody whom the relay could have vouched for and did not: the ticket's notifications would go
    to whomever a forger names. A copy to one of our own addresses would come back as a reply.
    """
    if policy.authserv_id and authentication.result != "pass":
        return ()
    found = dict.fromkeys(address.address for address in mail.cc if not _ours(address, policy))
    return tuple(found)[:CC_LIMIT]


def _ours(address: Address, policy: Policy) -> bool:
    local, _, domain = address.address.lower().rpartition("@")
    return (local.strip('"').partition("+")[0] + "@" + a_label(domain)) in policy.hints.addresses


def _allow_listed(sender: Address | None, policy: Policy) -> bool:
    """Only asked of authenticated senders. Domains are compared as A-labels, however mail and setting have them."""
    if sender is None:
        return False
    local, _, domain = sender.address.lower().rpartition("@")
    listed = set()
    for item in policy.allowed_senders:
        name, at, its_domain = item.rpartition("@")
        listed.add(f"{name}{at}{a_label(its_domain)}")
    return bool({f"{local}@{a_label(domain)}", f"@{a_label(domain)}"} & listed)


def _scan(
    mail: InboundMail,
    envelope: Envelope,
    message: str,
    reply: Reply,
    policy: Policy,
    rendered: Sequence[RenderedLine],
) -> sensitivity.Scan:
    """Everything is scanned before the quotes are cut; what is posted decides (design §10)."""
    whole = [part for part in (mail.text, "\n".join(line.text for line in rendered)) if part]
    content = sensitivity.Content(
        subject=mail.subject,
        posted=message,
        elided=reply.elided,
        other_text="\n".join(whole),
        attachments=mail.attachments,
        headers=mail.headers,
        protection=mail.protection,
        sender_domain=mail.from_[0].domain if mail.from_ else "",
        recipient_domain=envelope.recipient.rpartition("@")[2].lower(),
        defects=mail.defects,
    )
    return sensitivity.scan(_rules(policy.rules), content, policy.sensitivity)


@lru_cache(maxsize=2)
def _rules(text: str | None) -> sensitivity.Rules:
    return sensitivity.load(text)
