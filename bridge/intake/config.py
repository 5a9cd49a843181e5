"""What the intake is told, and what it asks of the spool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.intake.limits import Network
from bridge.intake.policy import Match
from bridge.intake.tls import TlsFiles
from bridge.spool.api import NewMail


class Reception(Protocol):
    """Where mails go. ``bridge.spool`` is one."""

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        """Store durably for all recipients, or for none and raise; the entries' ids in the envelopes' order."""

    def accepting(self) -> bool:
        """Whether there is room for more. Cheap: it is asked at every MAIL."""


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """Plain values; sizes in bytes, times in seconds."""

    hostname: str
    """In the greeting and in ``Received``."""
    match: Match
    """``bridge.reference.parse_address`` with our domains, mailboxes and keys."""
    domains: frozenset[str]
    """Lower case; ``postmaster`` is accepted at each."""
    relay_networks: tuple[Network, ...]
    max_message_bytes: int = 26_214_400
    max_recipients: int = 100
    """Of one mail; RFC 5321 §4.5.3.1.8 asks for 100 at least."""
    max_connections: int = 500
    max_connections_per_address: int = 50
    """Relays that are listed by their single address, and this machine, are exempt."""
    max_in_flight_bytes: int = 67_108_864
    """Shared by all mails on their way in; what does not fit is told to come again."""
    max_errors: int = 20
    """Protocol errors of one connection before it is closed."""
    max_idle_commands: int = 2_000
    """Commands without a mail being queued before the connection is closed."""
    idle_s: float = 300.0
    """For the next command, or for some more of a mail (RFC 5321 §4.5.3.2.7 asks for 5 minutes)."""
    command_s: float = 60.0
    """For the rest of a command line once its first octet came; and for the TLS handshake."""
    data_s: float = 1_800.0
    """For one whole mail."""
    min_rate: int = 1_000
    """Bytes per second that a mail must come with on the whole, after ``idle_s``."""
    bare_newlines: Literal["normalise", "refuse"] = "normalise"
    tls: TlsFiles | None = None
    tls_required: bool = False
