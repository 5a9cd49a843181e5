"""Who the relay says a mail is from: its own Authentication-Results (RFC 8601), and nothing else (design §8)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from bridge.model import Authentication, InboundMail

FIELD_LIMIT = 8192
"""Octets of a field from which it is not read."""
_COMMENT_OR_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|([^"()\\]+)|(\\.)|([()"\\])')
_DMARC = re.compile(r"^\s*dmarc\s*=\s*([a-z]+)\b(.*)$", re.IGNORECASE | re.DOTALL)
_FROM = re.compile(r"\bheader\.from\s*=\s*([^\s;]+)", re.IGNORECASE)

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def authenticate(
    mail: InboundMail, *, client_ip: str, relay_networks: Networks, authserv_id: str, trusted_hops: int
) -> Authentication:
    """``pass`` only when the relay's own field says dmarc=pass for the one From domain; doubt is ``unknown``.

    The raw mail carries our own ``Received`` on top, which counts as none of the relay's: a field is the relay's when
    at most ``trusted_hops`` Received fields of the relay stand above it, that is ``1 + trusted_hops`` with ours.
    """
    if not authserv_id:
        return Authentication("unknown", "no authserv-id is configured")
    if not _trusted(client_ip, relay_networks):
        return Authentication("unknown", "the client is no relay of ours")
    if len(mail.values("from")) != 1 or len(mail.from_) != 1:
        return Authentication("unknown", "not exactly one From")
    results: list[tuple[str, str]] = []
    for value in _relay_fields(mail, trusted_hops):
        if len(value) > FIELD_LIMIT:
            return Authentication("unknown", "a field over 8 KB")
        parsed = _parse(value, authserv_id)
        if parsed is None:
            return Authentication("unknown", "a field that cannot be read")
        results += parsed
    if len(results) != 1:
        return Authentication("unknown", "no dmarc result" if not results else "more than one dmarc result")
    result, domain = results[0]
    if result == "fail":
        return Authentication("fail", "dmarc=fail")
    if result != "pass":
        return Authentication("unknown", "dmarc is neither pass nor fail")
    if domain.rstrip(".") != mail.from_[0].domain:
        return Authentication("unknown", "dmarc is about another domain than From")
    return Authentication("pass", "dmarc=pass")


def _trusted(client_ip: str, networks: Networks) -> bool:
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    return any(address in network for network in networks if network.version == address.version)


def _relay_fields(mail: InboundMail, trusted_hops: int) -> Iterator[str]:
    received = 0
    for name, value in mail.headers:
        if name == "received":
            received += 1
            if received > 1 + trusted_hops:
                return
        elif name == "authentication-results":
            yield value


def _parse(value: str, authserv_id: str) -> list[tuple[str, str]] | None:
    """(result, header.from) of each dmarc result, none when the field is another server's; None when unparseable."""
    plain = _without_comments(value)
    if plain is None:
        return None
    parts = plain.split(";")
    served = parts[0].split()
    if not served or served[0].lower() != authserv_id.lower():
        return []
    found = []
    for part in parts[1:]:
        match = _DMARC.match(part)
        if match:
            domains = _FROM.findall(match[2])
            if len(domains) != 1:
                return None
            found.append((match[1].lower(), domains[0].strip("\"'").lower().rpartition("@")[2]))
    return found


def _without_comments(value: str) -> str | None:
    """The field without comments (RFC 5322 §3.2.2, nested) and with quoted strings bare; None when unbalanced."""
    depth, out = 0, []
    for match in _COMMENT_OR_QUOTED.finditer(value):
        quoted, text, _escape, mark = match.groups()
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
            if depth < 0:
                return None
        elif mark:
            return None
        elif depth == 0 and quoted is not None:
            if ";" in quoted:
                return None
            out.append(quoted)
        elif depth == 0 and text is not None:
            out.append(text)
    return "".join(out) if depth == 0 else None
