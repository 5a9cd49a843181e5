"""The intake: an SMTP and LMTP server that acknowledges a mail only once it is stored."""

from __future__ import annotations

from bridge.intake.config import IntakeConfig, Reception
from bridge.intake.handler import Counters
from bridge.intake.listen import Listen, activated, parse_listen
from bridge.intake.server import Intake
from bridge.intake.tls import TlsFiles

__all__ = ["Counters", "Intake", "IntakeConfig", "Listen", "Reception", "TlsFiles", "activated", "parse_listen"]
