"""The trace field that is put on top of every mail (RFC 5321 §4.4; pure)."""

from __future__ import annotations

from email.utils import formatdate

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]")


def name(text: str, limit: int = 255) -> str:
    """A client's own name for itself, made safe for a header field and a log: anything unusual becomes ``?``."""
    return "".join(mark if mark in _NAME else "?" for mark in text[:limit])


def field(*, helo: str, client_ip: str, hostname: str, protocol: str, transaction: str, at: float) -> bytes:
    """The ``Received:`` field, folded, ending with CRLF. ``at``: seconds since the epoch."""
    literal = f"[IPv6:{client_ip}]" if ":" in client_ip else f"[{client_ip}]" if client_ip else "local"
    return (
        f"Received: from {helo} ({literal})\r\n"
        f"\tby {hostname} with {protocol} id {transaction};\r\n"
        f"\t{formatdate(at).replace('-0000', '+0000')}\r\n"
    ).encode("ascii")


def protocol(*, lmtp: bool, extended: bool, utf8: bool, tls: bool) -> str:
    """The ``with`` word (RFC 3848, RFC 6531 §4.3)."""
    secure = "S" if tls else ""
    if lmtp:
        return f"{'UTF8' if utf8 else ''}LMTP{secure}"
    if utf8:
        return f"UTF8SMTP{secure}"
    return f"ESMTP{secure}" if extended else "SMTP"
