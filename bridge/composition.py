"""Settings to parts: the plain values that each part asks for. Nothing here starts anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bridge import pipeline, sensitivity
from bridge.errors import ConfigurationError
from bridge.model import Envelope, Hints
from bridge.reference import AddressKeys
from bridge.settings import Settings


def address_keys(settings: Settings) -> AddressKeys:
    """The keys of signed addresses. Raises ``ConfigurationError``; never shows a key."""
    try:
        return AddressKeys.parse(settings.address_keys.get_secret_value())
    except ValueError as error:
        raise ConfigurationError(f"BRIDGE_ADDRESS_KEYS: {error}") from None


def rules_text(settings: Settings) -> str | None:
    """The operator's rule file. Rules are loaded once here, so that a bad one stops the start.

    Raises ``ConfigurationError``.
    """
    path = settings.sensitivity_rules
    if path is None:
        sensitivity.load()
        return None
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigurationError(f"BRIDGE_SENSITIVITY_RULES: {path}: {what}") from None
    sensitivity.load(text, name=str(path))
    return text


def policy(settings: Settings) -> pipeline.Policy:
    """What decisions rest on."""
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
        hints=Hints(markers=settings.reply_markers, addresses=mailboxes),
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
