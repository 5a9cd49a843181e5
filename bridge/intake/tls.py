"""The server's certificate for STARTTLS (RFC 3207)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate with its chain, and its private key."""

    certificate: Path
    key: Path


def context(files: TlsFiles) -> ssl.SSLContext:
    """A context of TLS 1.2 or newer. Raises ``ConfigurationError`` when the files do not serve."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    try:
        made.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ValueError) as error:
        what = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not usable"
        raise ConfigurationError(
            f"the TLS certificate {files.certificate} and key {files.key} cannot be used: {what}; "
            "check that both are readable PEM files and belong together"
        ) from None
    return made
