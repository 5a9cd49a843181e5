"""Settings to parts: what a test of the parts alone cannot see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge import composition
from bridge.environment import load
from bridge.errors import ConfigurationError
from bridge.model import Envelope

NEEDED = {"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY": "k"}


def test_a_rotated_key_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "api.key"
    file.write_text("first\n")
    settings, _ = load({"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY_FILE": str(file)})
    key = composition.api_key(settings)
    assert key() == "first"
    other = tmp_path / "new"
    other.write_text("second")
    other.replace(file)
    assert key() == "second"
    file.write_text("")
    assert key() == "second"
    file.unlink()
    assert key() == "second"
    file.write_text("third")
    os.utime(file, (1, 1))
    assert key() == "third"


def test_a_systemd_credential_is_read_anew_too(tmp_path: Path) -> None:
    (tmp_path / "bridge_api_key").write_text("one")
    settings, _ = load({"BRIDGE_MAIL_DOMAINS": "example.com", "CREDENTIALS_DIRECTORY": str(tmp_path)})
    key = composition.api_key(settings)
    (tmp_path / "bridge_api_key").write_text("two!")
    assert key() == "two!"


def test_a_key_that_is_no_file_is_what_was_given() -> None:
    settings, _ = load(NEEDED)
    assert composition.api_key(settings)() == "k"


def test_international_domains_are_compared_as_a_labels() -> None:
    settings, _ = load({**NEEDED, "BRIDGE_MAIL_DOMAINS": "Räksmörgås.example"})
    assert settings.mail_domains == ("xn--rksmrgs-5wao1o.example",)
    addressed = composition.addresser(settings)
    for domain in ("räksmörgås.example", "xn--rksmrgs-5wao1o.EXAMPLE"):
        match = addressed(Envelope("", f"support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@{domain}")).match
        assert match.reference is not None, domain


def test_a_domain_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="BRIDGE_MAIL_DOMAINS: not a domain name"):
        load({**NEEDED, "BRIDGE_MAIL_DOMAINS": "-example-.com"})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("BRIDGE_SENSITIVITY_RULES", None, "No such file"),
        ("BRIDGE_SENSITIVITY_RULES", b"\xff", "not UTF-8"),
        ("BRIDGE_API_CA_FILE", None, "BRIDGE_API_CA_FILE"),
        ("BRIDGE_API_CA_FILE", b"no pem", "BRIDGE_API_CA_FILE"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    settings, _ = load({**NEEDED, name: str(file)})
    part = composition.policy if name == "BRIDGE_SENSITIVITY_RULES" else composition.ticket_api
    with pytest.raises(ConfigurationError, match=said):
        part(settings)


def test_address_keys_that_cannot_be_used_are_refused_without_being_shown() -> None:
    settings, _ = load({**NEEDED, "BRIDGE_ADDRESS_KEYS": "a:c2VjcmV0"})
    with pytest.raises(ConfigurationError, match="BRIDGE_ADDRESS_KEYS") as caught:
        composition.addresser(settings)
    assert "c2VjcmV0" not in str(caught.value)


def test_settings_of_the_reply_reach_the_extractor() -> None:
    hints = composition.policy(load(NEEDED)[0]).hints
    assert (hints.inline_quotes, hints.cut_signature, hints.cut_device) == ("trim", True, True)
    assert not hints.cut_disclaimer
    assert not hints.cut_signoff
    changes = {
        "BRIDGE_REPLY_MARKERS": "## Over this ##",
        "BRIDGE_REPLY_NAMES": "Ann of Support",
        "BRIDGE_REPLY_QUOTES": "keep",
        "BRIDGE_REPLY_CUT": "disclaimer,signoff",
    }
    hints = composition.policy(load({**NEEDED, **changes})[0]).hints
    assert (hints.markers, hints.names, hints.inline_quotes) == (("## Over this ##",), ("Ann of Support",), "keep")
    assert hints.cut_disclaimer
    assert hints.cut_signoff
    assert not hints.cut_signature
    assert not hints.cut_device
    assert not composition.policy(load({**NEEDED, "BRIDGE_REPLY_CUT": ""})[0]).hints.cut_device
    with pytest.raises(ConfigurationError, match="BRIDGE_REPLY_CUT"):
        load({**NEEDED, "BRIDGE_REPLY_CUT": "greeting"})
