"""The bridge's settings, as types: every ``BRIDGE_*`` name is a member of ``Settings``.

``bridge.environment.load`` reads them; ``docs/settings.md`` and ``config/bridge.example.env`` are generated from here.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

import idna
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "BRIDGE_"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("at least one is needed")
    return value


def _lower(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(item.lower() for item in value)


def _domains(value: tuple[str, ...]) -> tuple[str, ...]:
    """As A-labels (RFC 5890), which is how domains are compared."""
    try:
        return tuple(idna.encode(item, uts46=True).decode("ascii") for item in value)
    except idna.IDNAError as error:
        raise ValueError(f"not a domain name ({error})") from None


def _senders(value: tuple[str, ...]) -> tuple[str, ...]:
    if any("@" not in item[:-1] for item in value):
        raise ValueError("addresses (anna@example.org) and whole domains (@example.org)")
    return value


def _http_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("https", "http") or not rest.strip("/") or any(mark in rest for mark in "?#@ "):
        raise ValueError("an https:// (or http://) address without user, query or fragment")
    return value.rstrip("/")


def spool_address(value: str) -> str:
    """A spool's URL, in its form. Raises ``ValueError``."""
    scheme, mark, rest = value.partition("://")
    good = bool(rest) if scheme in ("postgresql", "postgres") else scheme == "sqlite" and rest[:1] == "/" < rest
    if not mark or not good:
        raise ValueError("sqlite:/// and a path (four slashes for an absolute one), or postgresql:// and a database")
    return value


def _bind(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value and not (host and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError("host:port ([v6]:port), such as 127.0.0.1:9025")
    return value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_lower)]
NeededNames = Annotated[Names, AfterValidator(_not_empty)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings. The description of each is what the documentation shows."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    listen: Annotated[Texts, AfterValidator(_not_empty)] = Field(
        ("127.0.0.1:8025",),
        description="Addresses to listen on: host:port, [v6]:port, lmtp://host:port, lmtp+unix:///path. "
        "Port 0 takes a free one.",
        examples=["127.0.0.1:8025,[::1]:8025"],
    )
    hostname: str = Field(
        "",
        description="The name in the greeting and in Received; this machine's name when empty.",
        examples=["bridge.example.com"],
    )
    mail_domains: Annotated[NeededNames, AfterValidator(_domains)] = Field(
        ..., description="Domains that tickets are answered at.", examples=["example.com"]
    )
    mailboxes: NeededNames = Field(
        ("support",), description="Local parts (before '+') that take mail.", examples=["support,help"]
    )
    relay_networks: Annotated[Networks, AfterValidator(tuple)] = Field(
        (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")),
        description="Networks (CIDR) whose clients may relay mail here, and whose Authentication-Results count.",
        examples=["127.0.0.0/8,::1/128,10.1.2.0/24"],
    )
    api_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "https://cloud.hostup.se", description="The ticket API's base address.", examples=["https://cloud.hostup.se"]
    )
    api_key: SecretStr = Field(
        ...,
        description="The API key; it must own every ticket that the bridge serves. Or BRIDGE_API_KEY_FILE.",
        examples=["the-key"],
    )
    api_key_file: Path | None = Field(
        None,
        description="File that holds the API key; read anew when it changes, so that a rotated key is used at once.",
        examples=["/etc/ticket-bridge/api.key"],
    )
    api_ca_file: Path | None = Field(
        None, description="PEM file of a private certificate authority for the API.", examples=["/etc/ssl/own-ca.pem"]
    )
    api_timeout_seconds: float = Field(
        30, gt=0, le=600, description="Deadline of one whole exchange with the API.", examples=["30"]
    )
    api_concurrency: int = Field(8, ge=1, le=64, description="Requests in flight at most.", examples=["8"])
    spool_url: Annotated[str, AfterValidator(spool_address)] = Field(
        "sqlite:///var/spool.db",
        description="Where accepted mail is kept: a file (SQLite), or a database that several bridges share "
        "(postgresql://user@host/database, docs/scaling.md). Or BRIDGE_SPOOL_URL_FILE.",
        examples=["sqlite:////var/lib/ticket-bridge/spool.db"],
    )
    spool_high_water_bytes: int = Field(
        8_589_934_592, ge=1_048_576, description="Spool size from which mail is answered 452.", examples=["8589934592"]
    )
    spool_min_free_bytes: int = Field(
        268_435_456,
        ge=0,
        description="Free disk space below which mail is answered 452 (on SQLite).",
        examples=["268435456"],
    )
    spool_key: SecretStr = Field(
        SecretStr(""),
        description="Keys that seal mail at rest (AES-256-GCM): letter:base64 of 32 bytes, comma-separated; the first "
        "one seals, all open. Plain when empty. Or BRIDGE_SPOOL_KEY_FILE.",
        examples=["a:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],
    )
    max_message_bytes: int = Field(
        26_214_400, ge=65_536, description="Largest mail; the relay's own limit must be lower.", examples=["26214400"]
    )
    max_recipients: int = Field(100, ge=1, le=1000, description="Recipients of one mail at most.", examples=["100"])
    bare_newlines: Literal["normalise", "refuse"] = Field(
        "normalise",
        description="What to do with a bare CR or LF in a mail: make it CRLF, or answer 550.",
        examples=["normalise"],
    )
    grace_seconds: float = Field(
        20, ge=0, le=600, description="Time that work in flight gets at a stop.", examples=["20"]
    )
    mode: Literal["live", "shadow"] = Field(
        "live",
        description="Shadow accepts, reads and decides, keeps what would have been posted, and posts nothing.",
        examples=["live"],
    )
    no_ticket: Literal["hold", "create"] = Field(
        "hold", description="Mail that names no ticket: hold it for a person, or open a ticket.", examples=["hold"]
    )
    department: str = Field(
        "",
        description="Slug of the department for new tickets; needed with BRIDGE_NO_TICKET=create.",
        examples=["support"],
    )
    closed_tickets: Literal["reopen", "hold"] = Field(
        "reopen", description="An answer to a closed ticket: reopen it and post, or hold.", examples=["reopen"]
    )
    number_policy: Literal["", "accept", "authenticated", "known"] = Field(
        "",
        description="Who may answer by a ticket number, which can be guessed: accept everybody, authenticated "
        "senders, or known ones. When empty: accept without BRIDGE_AUTHSERV_ID, known with it.",
        examples=["known"],
    )
    authserv_id: str = Field(
        "", description="The relay's name in its Authentication-Results fields.", examples=["mx.example.com"]
    )
    trusted_hops: int = Field(
        1,
        ge=0,
        le=10,
        description="How many of the relay's Received fields may stand above a field that counts: 1 where it inserts "
        "below its own; 0 counts only what stands above all of them, where nothing from outside can be.",
        examples=["1"],
    )
    allowed_senders: Annotated[Names, AfterValidator(_senders)] = Field(
        (),
        description="Addresses or @domains that count as known on every ticket once authenticated.",
        examples=["anna@example.org,@partner.example"],
    )
    signed_addresses: Literal["off", "warn", "enforce"] = Field(
        "off", description="Signed plus-addresses: off, warn about unsigned ones, or refuse those.", examples=["off"]
    )
    address_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys of signed addresses, newest first: id:base64, comma-separated. Or BRIDGE_ADDRESS_KEYS_FILE.",
        examples=["a:bm90LWEtcmVhbC1rZXktMTIzNA=="],
    )
    reply_markers: Texts = Field(
        (),
        description="Lines of our own notifications below which everything is history.",
        examples=["## Reply above this line ##"],
    )
    reply_names: Texts = Field(
        (),
        description="Names that our notifications are from; lines that say such a one wrote are history.",
        examples=["Example Support"],
    )
    reply_quotes: Literal["trim", "keep"] = Field(
        "trim",
        description="Quotations that are answered between or below: trim them to the paragraph answered, or keep them.",
        examples=["trim"],
    )
    reply_cut: Annotated[
        tuple[Literal["signature", "device", "disclaimer", "signoff"], ...], NoDecode, BeforeValidator(_split)
    ] = Field(
        ("signature", "device"),
        description="What is cut at the end of the customer's words: signature (what follows -- ), device (Sent from "
        "my …), disclaimer (confidentiality footers), signoff (Best regards, and the name); nothing when empty.",
        examples=["signature,device"],
    )
    attachments: Literal["upload", "name", "ignore"] = Field(
        "upload",
        description="Attachments: upload them to the ticket, only name them in the message, or ignore them.",
        examples=["upload"],
    )
    message_template: str = Field(
        "",
        description="A first line for every message; {name} and {address} stand for the sender.",
        examples=["From {name} <{address}>:"],
    )
    sensitivity_rules: Path | None = Field(
        None,
        description="A rule file that extends or replaces the shipped rules.",
        examples=["/etc/ticket-bridge/sensitivity.toml"],
    )
    sensitivity_tier: Literal["certain", "probable"] = Field(
        "probable", description="From which tier on a finding encrypts.", examples=["probable"]
    )
    sensitivity_quoted: bool = Field(
        False, description="Whether a finding only in what was cut encrypts too.", examples=["false"]
    )
    sensitivity_always: Names = Field(
        (), description="Sender or recipient domains whose mail is always encrypted.", examples=["clinic.example"]
    )
    sensitivity_never: Names = Field(
        (), description="Sender or recipient domains whose mail never is.", examples=["news.example"]
    )
    tls_cert_file: Path | None = Field(
        None, description="PEM certificate chain for STARTTLS.", examples=["/etc/ticket-bridge/tls.crt"]
    )
    tls_key_file: Path | None = Field(
        None, description="PEM private key for STARTTLS.", examples=["/etc/ticket-bridge/tls.key"]
    )
    tls_required: bool = Field(False, description="Whether mail is taken only after STARTTLS.", examples=["false"])
    test_ticket: str = Field(
        "",
        pattern=r"^(tkt_[0-9a-hjkmnp-tv-z]{26})?$",
        description="The ticket that `ticket-bridge send-test` writes to when none is given.",
        examples=["tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"],
    )
    ops_bind: Annotated[str, AfterValidator(_bind)] = Field(
        "",
        description="Where the operators' page, health and metrics are served: host:port; nowhere when empty.",
        examples=["127.0.0.1:9025"],
    )
    ops_token: SecretStr = Field(
        SecretStr(""),
        description="What operators log in to the page with, 16 characters or more; without it only health and "
        "metrics are served. Or BRIDGE_OPS_TOKEN_FILE.",
        examples=["at-least-16-characters"],
    )
    notice_smarthost: Annotated[str, AfterValidator(_bind)] = Field(
        "",
        description="Relay for reports (RFC 3464) to senders whose mail expired or was rejected by an operator; none "
        "are sent when empty.",
        examples=["127.0.0.1:25"],
    )
    notice_from: str = Field(
        "",
        pattern=r"^([^@\s<>]+@[^@\s<>]+)?$",
        description="Address that such reports are from and answers to them go to; needed with "
        "BRIDGE_NOTICE_SMARTHOST.",
        examples=["postmaster@example.com"],
    )
    log_format: Literal["json", "console"] = Field("json", description="Form of the log.", examples=["json"])
    retention_days: int = Field(
        14, ge=0, le=3650, description="Days that bodies are kept after delivery.", examples=["14"]
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: ``environment.load`` merges the sources and passes the result."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.no_ticket == "create" and not self.department:
            raise ValueError(
                "BRIDGE_DEPARTMENT is needed with BRIDGE_NO_TICKET=create; example: BRIDGE_DEPARTMENT=support"
            )
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("BRIDGE_TLS_CERT_FILE and BRIDGE_TLS_KEY_FILE go together: set both or neither")
        if self.tls_required and self.tls_cert_file is None:
            raise ValueError("BRIDGE_TLS_REQUIRED=true needs BRIDGE_TLS_CERT_FILE and BRIDGE_TLS_KEY_FILE")
        if self.signed_addresses != "off" and not self.address_keys.get_secret_value():
            raise ValueError("BRIDGE_SIGNED_ADDRESSES needs BRIDGE_ADDRESS_KEYS")
        if self.notice_smarthost and not self.notice_from:
            raise ValueError("BRIDGE_NOTICE_SMARTHOST needs BRIDGE_NOTICE_FROM; example: postmaster@example.com")
        if 0 < len(self.ops_token.get_secret_value()) < 16:
            raise ValueError(
                "BRIDGE_OPS_TOKEN is too short: 16 characters or more, such as `openssl rand -hex 16` prints"
            )
        if self.number_policy in ("authenticated", "known") and not self.authserv_id:
            raise ValueError(
                f"BRIDGE_NUMBER_POLICY={self.number_policy} needs BRIDGE_AUTHSERV_ID: "
                "without it no mail is authenticated"
            )
        return self

    @property
    def effective_number_policy(self) -> str:
        """The number policy with its default filled in (design §8)."""
        return self.number_policy or ("known" if self.authserv_id else "accept")

    @property
    def effective_hostname(self) -> str:
        """The host name with its default filled in; looked up once by the service."""
        return self.hostname or socket.getfqdn()
