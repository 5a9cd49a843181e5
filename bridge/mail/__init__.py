"""Bytes to ``InboundMail``, and what kind of mail it is. Pure; never raises, whatever the bytes (design §7)."""

from bridge.mail.authentication import authenticate
from bridge.mail.automatic import classify
from bridge.mail.parse import attachment_bytes, read

__all__ = ["attachment_bytes", "authenticate", "classify", "read"]
