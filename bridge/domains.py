"""Domain names in the one form in which they are compared: A-labels, lower case (pure)."""

from __future__ import annotations

import re

import idna

MAX_OCTETS = 253
"""Of a domain name in text (RFC 1035 §2.3.4, without the root's dot)."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def a_label(domain: str) -> str:
    """A domain in lower case as A-labels (RFC 5890 §2.3.2.1); unchanged when it is no domain name.

    Lenient (UTS 46), as a mail server is that was asked to deliver there.
    """
    domain = domain.rstrip(".").lower()
    if domain.isascii() or len(domain) > MAX_OCTETS:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return domain


def exact_a_label(domain: str) -> str:
    """The same for what must not be mistaken for another domain: empty unless it is a host name as it stands.

    Nothing is mapped: a letter that merely folds into an ASCII one (such as the Kelvin sign) makes no domain of it.
    """
    domain = domain.removesuffix(".")
    if len(domain) > MAX_OCTETS:
        return ""
    if domain.isascii():
        return domain.lower() if _NAME.fullmatch(domain.lower()) else ""
    try:
        return idna.encode(domain, strict=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ""
