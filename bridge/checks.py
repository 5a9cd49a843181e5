"""``ticket-bridge check``: looks at everything that the bridge needs, and says each thing it looked at."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bridge import composition
from bridge.errors import ApiError, BridgeError, Problem, SpoolError
from bridge.settings import Settings

NOBODY = "tkt_00000000000000000000000000"
"""A ticket that no API has: asking for it proves nothing but that a scope is there."""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at."""

    ok: bool
    what: str
    found: str


async def run(settings: Settings, *, offline: bool, ticket: str) -> list[Result]:
    """Look at everything, in the order in which a mail meets it."""
    results = [*_configuration(settings), *_listen(settings), await _spool(settings)]
    if not offline:
        results += await _api(settings, ticket)
    return results


def _configuration(settings: Settings) -> Iterator[Result]:
    domains, mailboxes = ", ".join(settings.mail_domains), ", ".join(settings.mailboxes)
    yield Result(True, "configuration", f"valid; mail for {mailboxes} at {domains}")
    try:
        keys = composition.address_keys(settings)
        composition.policy(settings)
    except BridgeError as error:
        yield Result(False, "rules and keys", str(error))
        return
    yield Result(True, "rules and keys", "the sensitivity rules load and their examples hold")
    long = [name for name in settings.mailboxes if keys.keys and len(name.encode()) > 15]
    if settings.signed_addresses != "off" and long:
        yield Result(False, "mailboxes", f"{', '.join(long)}: over 15 octets, too long for signed addresses (RFC 5321)")
    if settings.effective_number_policy == "accept":
        yield Result(
            True,
            "number policy",
            "accept: whoever guesses a ticket's number can answer it; set BRIDGE_AUTHSERV_ID to close this",
        )
