"""Plus-addresses: ``local+tkt_…[.<key id><tag>]@domain`` and ``local+149943@domain`` (docs/addresses.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.domains import a_label
from bridge.model import Reference
from bridge.reference.keys import AddressKey, AddressKeys
from bridge.reference.text import NUMBER, PUBLIC_ID, is_public_id

LOCAL_OCTETS = 64
"""Octets of a local part at most (RFC 5321 §4.5.3.1.1)."""
_TAG = re.compile(rf"({PUBLIC_ID})(?:\.([a-z])([a-z2-7]{{16}}))?|({NUMBER})")


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """What an envelope recipient is to us."""

    ours: bool
    """The mailbox and domain are ours."""
    mailbox: str = ""
    """The local part without its tag, lower case."""
    reference: Reference | None = None
    problem: str = ""
    """``malformed``, ``bad_signature``, ``unsigned`` or empty. One of the last two refuses only when enforced."""
    refused: bool = False
    """RCPT answers 550: not ours, malformed, or a problem of its signature while signatures are enforced."""


def parse_address(
    recipient: str, *, domains: frozenset[str], mailboxes: frozenset[str], keys: AddressKeys, signed: str
) -> AddressMatch:
    """Match a forward-path; total, whatever it is given.

    ``domains`` are A-labels, ``mailboxes`` local parts, both lower case; ``signed`` is ``off``, ``warn`` or
    ``enforce``. ``postmaster`` is ours with and without a domain (RFC 5321 §4.5.1).
    """
    local, at, domain = recipient.strip().strip("<>").rpartition("@")
    if not at:
        known = domain.lower() == "postmaster"
        return AddressMatch(known, "postmaster" if known else "", refused=not known)
    domain, local = a_label(domain), local.strip('"').lower()
    mailbox, plus, tag = local.partition("+")
    if domain not in domains or (mailbox not in mailboxes and local != "postmaster"):
        return AddressMatch(ours=False, refused=True)
    if not plus:
        return AddressMatch(ours=True, mailbox=mailbox)
    match = _TAG.fullmatch(tag)
    if match is None:
        return AddressMatch(ours=True, mailbox=mailbox, problem="malformed", refused=True)
    ticket, key_id, signature = match[1] or match[4], match[2], match[3]
    problem = ""
    if signature is None:
        problem = "" if signed == "off" else "unsigned"
    elif signed != "off" and not keys.verify(key_id, signature, domain=domain, ticket=ticket):
        problem = "bad_signature"
    reference = Reference(
        ticket,
        "address",
        unguessable=not ticket.isdigit(),
        signed=signature is not None and signed != "off" and not problem,
    )
    return AddressMatch(True, mailbox, reference, problem, refused=bool(problem) and signed == "enforce")


def make_address(ticket: str, *, mailbox: str, domain: str, key: AddressKey | None) -> str:
    """The address that customers answer a ticket at, signed when ``key`` is given. Raises ``ValueError``."""
    if not is_public_id(ticket):
        raise ValueError(f"{ticket!r} is no public ticket id (tkt_ and 26 characters)")
    tag = f".{key.id}{key.tag(a_label(domain), ticket)}" if key else ""
    local = f"{mailbox}+{ticket}{tag}"
    if len(local.encode("utf-8")) > LOCAL_OCTETS:
        raise ValueError(f"the local part {local!r} has more than {LOCAL_OCTETS} octets: use a shorter mailbox")
    return f"{local}@{domain}"
