"""Who the relay says a mail is from: its own Authentication-Results (RFC 8601), and nothing else (design §8)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from bridge.domains import exact_a_label
from bridge.mail.authres import Result, dmarc_results
from bridge.mail.structured import MARK, bare
from bridge.model import Authentication, InboundMail

FIELD_LIMIT = 8192
"""Characters of a field above which it is not read."""
_ADDRESS = rf"[^\s<>@,;:\[\]{MARK}]+@[^\s<>@,;:\[\]{MARK}]+"
# One mailbox (RFC 5322 §3.4): no list, no group, no route, no quoted local part, and nothing that could be read as one.
_ONE_MAILBOX = re.compile(rf"\s*(?:({_ADDRESS})|[^<>@,;:]*<({_ADDRESS})>)\s*")

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def authenticate(
    mail: InboundMail, *, client_ip: str, relay_networks: Networks, authserv_id: str, trusted_hops: int
) -> Authentication:
    """``pass`` only when the relay's own field says dmarc=pass for the one From domain; doubt is ``unknown``.

    The raw mail carries our own ``Received`` on top, which counts as none of the relay's: a field is the relay's when
    at most ``trusted_hops`` Received fields of the relay stand above it, that is ``1 + trusted_hops`` with ours. An
    empty ``client_ip`` is a Unix socket: whoever its file lets in is a relay of ours.
    """
    if not authserv_id:
        return Authentication("unknown", "no authserv-id is configured")
    if client_ip and not _trusted(client_ip, relay_networks):
        return Authentication("unknown", "the client is no relay of ours")
    domain = _from_domain(mail)
    if not domain:
        return Authentication("unknown", "not exactly one plain From")
    results: list[Result] = []
    for value in _relay_fields(mail, trusted_hops):
        if len(value) > FIELD_LIMIT:
            return Authentication("unknown", "a field over 8 KB")
        found = dmarc_results(value, authserv_id)
        if found is None:
            return Authentication("unknown", "a field that cannot be read")
        results += found
    if len(results) != 1:
        return Authentication("unknown", "more than one dmarc result" if results else "no dmarc result")
    return _judged(results[0], domain)


def _judged(result: Result, domain: str) -> Authentication:
    if result.domain != domain:
        return Authentication("unknown", "dmarc is about another domain than From")
    if result.result in ("pass", "fail"):
        return Authentication(result.result, f"dmarc={result.result}")
    return Authentication("unknown", "dmarc is neither pass nor fail")


def _trusted(client_ip: str, networks: Networks) -> bool:
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    return any(address in network for network in networks if network.version == address.version)


def _from_domain(mail: InboundMail) -> str:
    """The A-label of the one From mailbox, when nobody could read another address there; else empty."""
    values = mail.values("from")
    if len(values) != 1 or len(mail.from_) != 1 or len(values[0]) > FIELD_LIMIT:
        return ""
    field = bare(values[0])
    match = _ONE_MAILBOX.fullmatch(field.text) if field else None
    address = mail.from_[0].address
    if match is None or (match[1] or match[2]) != address:
        return ""
    local, _, domain = address.rpartition("@")
    # Senders are known by their address in lower case; a letter that only then becomes an ASCII one is somebody else's.
    return exact_a_label(domain) if local.isascii() == local.lower().isascii() else ""


def _relay_fields(mail: InboundMail, trusted_hops: int) -> Iterator[str]:
    received = 0
    for name, value in mail.headers:
        if name == "received":
            received += 1
            if received > 1 + trusted_hops:
                return
        elif name == "authentication-results":
            yield value
