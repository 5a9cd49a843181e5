"""Settings to parts: the plain values that each part asks for. Nothing here starts anything."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from bridge import pipeline, sensitivity
from bridge.delivery import SendingConfig, TicketApi
from bridge.errors import ConfigurationError
from bridge.intake import IntakeConfig, TlsFiles
from bridge.model import Envelope, Hints
from bridge.ops.notices import NoticeConfig
from bridge.reference import AddressKeys, AddressMatch, parse_address
from bridge.settings import Settings
from bridge.spool import SpoolKey, is_postgres, parse_keys, path_of
from bridge.spool import open_spool as open_at
from bridge.spool.ledger import Ledger

OWNER = "bridge"
ME = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
"""A name that no other process has, or had."""


def address_keys(settings: Settings) -> AddressKeys:
    """The keys of signed addresses. Raises ``ConfigurationError``; never shows a key."""
    try:
        return AddressKeys.parse(settings.address_keys.get_secret_value())
    except ValueError as error:
        raise ConfigurationError(f"BRIDGE_ADDRESS_KEYS: {error}") from None


def rules_text(settings: Settings) -> str | None:
    """The operator's rule file as it stands; None for the shipped rules. Raises ``ConfigurationError``."""
    path = settings.sensitivity_rules
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigurationError(f"BRIDGE_SENSITIVITY_RULES: {path}: {what}") from None


def rules_name(settings: Settings) -> str:
    """What messages about the rules call them."""
    return str(settings.sensitivity_rules or sensitivity.DEFAULT)


def policy(settings: Settings) -> pipeline.Policy:
    """What decisions rest on. The rules are text here: they are loaded where mail is read."""
    mailboxes = tuple(f"{local}@{domain}" for local in settings.mailboxes for domain in settings.mail_domains)
    return pipeline.Policy(
        loop_marker=loop_marker(settings),
        domains=frozenset(settings.mail_domains),
        relay_networks=settings.relay_networks,
        authserv_id=settings.authserv_id,
        trusted_hops=settings.trusted_hops,
        number_policy=settings.effective_number_policy,
        allowed_senders=frozenset(settings.allowed_senders),
        no_ticket=settings.no_ticket,
        attachments=settings.attachments,
        message_template=settings.message_template,
        hints=Hints(
            markers=settings.reply_markers,
            addresses=mailboxes,
            names=settings.reply_names,
            inline_quotes=settings.reply_quotes,
            cut_signature="signature" in settings.reply_cut,
            cut_device="device" in settings.reply_cut,
            cut_disclaimer="disclaimer" in settings.reply_cut,
            cut_signoff="signoff" in settings.reply_cut,
        ),
        rules=rules_text(settings),
        sensitivity=sensitivity.Options(
            tier=settings.sensitivity_tier,
            quoted=settings.sensitivity_quoted,
            always_domains=frozenset(settings.sensitivity_always),
            never_domains=frozenset(settings.sensitivity_never),
        ),
    )


def loop_marker(settings: Settings) -> str:
    """What our own mail carries, and what comes back is known by."""
    return f"ticket-bridge@{settings.mail_domains[0]}"


def addresser(settings: Settings) -> Callable[[Envelope], pipeline.Addressed]:
    """Matches envelope recipients; holds the address keys."""
    domains, mailboxes = frozenset(settings.mail_domains), frozenset(settings.mailboxes)
    keys = address_keys(settings)

    def addressed(envelope: Envelope) -> pipeline.Addressed:
        return pipeline.address(
            envelope, domains=domains, mailboxes=mailboxes, keys=keys, signed=settings.signed_addresses
        )

    return addressed


def spool_keys(settings: Settings) -> tuple[SpoolKey, ...]:
    """The keys that seal mail at rest. Raises ``ConfigurationError``; never shows a key."""
    try:
        return parse_keys(settings.spool_key.get_secret_value())
    except ValueError as error:
        raise ConfigurationError(f"BRIDGE_SPOOL_KEY: {error}") from None


async def open_spool(
    settings: Settings, *, exclusive: bool = True, on_fatal: Callable[[], None] = lambda: None
) -> Ledger:
    """The spool, for serving or (not ``exclusive``) for a command beside it.

    Raises ``SpoolBroken``, or ``ConfigurationError`` for a wrong key.
    """
    return await open_at(
        settings.spool_url,
        owner=_owner(settings) if exclusive else "command",
        high_water_bytes=settings.spool_high_water_bytes,
        min_free_bytes=settings.spool_min_free_bytes,
        keys=spool_keys(settings),
        create=exclusive,
        exclusive=exclusive,
        on_fatal=on_fatal,
    )


def is_shared(settings: Settings) -> bool:
    """Whether other bridges may serve the same spool."""
    return is_postgres(settings.spool_url)


def _owner(settings: Settings) -> str:
    """Who claims: one bridge serves a file and keeps its name over restarts; of several, each has its own."""
    return ME if is_shared(settings) else OWNER


def data_directory(settings: Settings) -> Path:
    """Where what belongs to this bridge alone is kept: beside the spool's file, else in the working directory."""
    return Path("var") if is_postgres(settings.spool_url) else spool_path(settings).parent


def spool_path(settings: Settings) -> Path:
    """The spool's file."""
    return path_of(settings.spool_url)


def api_key(settings: Settings) -> Callable[[], str]:
    """Gives the key; a key in a file is read anew when the file has changed, so that a rotated key is used at once."""
    if settings.api_key_file is not None:
        return _KeyFile(settings.api_key_file, settings.api_key.get_secret_value())
    value = settings.api_key.get_secret_value()
    return lambda: value


def _is_key(text: str) -> bool:
    """Whether a request can carry it: visible ASCII (RFC 6750, section 2.1), on one line."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


class _KeyFile:
    """A key in a file. While the file cannot be read, or holds none in a rotation's midst, the last stays."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._seen: tuple[int, int, int] | None = None

    def __call__(self) -> str:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                found_key = self._path.read_text("utf-8").strip()
                self._key = found_key if _is_key(found_key) else self._key
                self._seen = seen
        except (OSError, UnicodeDecodeError):
            pass
        return self._key


def ticket_api(settings: Settings) -> TicketApi:
    """The API's client. Raises ``ConfigurationError`` when the CA file cannot be used."""
    try:
        return TicketApi(
            settings.api_url,
            api_key(settings),
            timeout_s=settings.api_timeout_seconds,
            ca_file=str(settings.api_ca_file) if settings.api_ca_file else None,
            concurrency=settings.api_concurrency,
        )
    except OSError as error:
        raise ConfigurationError(f"BRIDGE_API_CA_FILE: {settings.api_ca_file}: {error.strerror or 'no PEM'}") from None


def sending(settings: Settings) -> SendingConfig:
    """What delivery is told."""
    return SendingConfig(
        closed_tickets=settings.closed_tickets,
        attachments=settings.attachments,
        department=settings.department,
        deadline_s=settings.api_timeout_seconds,
        shadow=settings.mode == "shadow",
    )


def notices(settings: Settings) -> NoticeConfig | None:
    """Where reports to senders go; None when none are sent."""
    if not settings.notice_smarthost:
        return None
    host, _, port = settings.notice_smarthost.rpartition(":")
    return NoticeConfig(
        host=host.strip("[]"),
        port=int(port),
        hostname=settings.effective_hostname,
        sender=settings.notice_from,
        loop_marker=loop_marker(settings),
    )


def intake(settings: Settings) -> IntakeConfig:
    """What the intake is told."""
    domains, mailboxes = frozenset(settings.mail_domains), frozenset(settings.mailboxes)
    keys = address_keys(settings)

    def match(recipient: str) -> AddressMatch:
        return parse_address(
            recipient, domains=domains, mailboxes=mailboxes, keys=keys, signed=settings.signed_addresses
        )

    tls = None
    if settings.tls_cert_file and settings.tls_key_file:
        tls = TlsFiles(settings.tls_cert_file, settings.tls_key_file)
    return IntakeConfig(
        hostname=settings.effective_hostname,
        match=match,
        domains=domains,
        relay_networks=settings.relay_networks,
        max_message_bytes=settings.max_message_bytes,
        max_recipients=settings.max_recipients,
        bare_newlines=settings.bare_newlines,
        tls=tls,
        tls_required=settings.tls_required,
    )
