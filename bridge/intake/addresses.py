"""The path in MAIL and RCPT (RFC 5321 §4.1.2), read quickly (pure)."""

from __future__ import annotations

import re

NULL = "<>"
"""The null reverse-path (RFC 5321 §4.5.5)."""
MAX_OCTETS = 254
"""Of a path without its brackets (RFC 5321 §4.5.3.1.3)."""

_ATOM = r"[^\x00-\x20\x7f-\x9f<>()\[\],;:\\\"@]+"
# The classes on both sides of "@" exclude it, so there is one way to match only: time is linear.
_PATH = re.compile(rf"<({_ATOM}(?:@{_ATOM})?)?>(?:[ ]([^\x00-\x1f\x7f]*))?")


def quick(text: str) -> tuple[str, str] | None:
    """Address and parameters of ``<local@domain> parameters`` as nearly all clients write it, else None.

    The null path is ``NULL``. Quoted local parts, source routes, domain literals and paths without brackets are left to
    the slow way.
    """
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    address, parameters = found.groups("")
    return address or NULL, parameters


def usable(address: str) -> bool:
    """Whether an address can be kept and shown: valid UTF-8 without control characters, and not too long."""
    try:
        octets = address.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(octets) <= MAX_OCTETS and address.isprintable()


def without_route(text: str) -> str:
    """``<@a,@b:user@c>`` as ``<user@c>``: a source route is accepted and ignored (RFC 5321 §3.3, appendix C)."""
    if text.startswith("<@"):
        route, colon, rest = text.partition(":")
        if colon and '"' not in route and ">" not in route:
            return "<" + rest
    return text
