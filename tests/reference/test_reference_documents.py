"""docs/mail-setup.md and config/ speak of the same things as the code."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.mail.authentication import FIELD_LIMIT
from bridge.settings import Settings

ROOT = Path(__file__).parents[2]
SETUP = (ROOT / "docs/mail-setup.md").read_text("utf-8")
FILES = ("config/postfix/main.cf.example", "config/opendkim/opendkim.conf.example", "config/exim/exim.conf.example")


def test_the_files_it_names_are_there() -> None:
    named = set(re.findall(r"config/[\w./-]+", SETUP))
    assert named >= {"config/postfix/main.cf.example", "config/rspamd/milter_headers.conf.example"}
    assert all((ROOT / name.rstrip(".")).exists() for name in named)
    for name in ("postfix/transport", "postfix/header_checks", "opendmarc/opendmarc.conf", "exim/exim.conf"):
        assert (ROOT / f"config/{name}.example").exists()


def test_the_settings_it_names_are_settings() -> None:
    known = {f"BRIDGE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"BRIDGE_[A-Z_]+", SETUP)) <= known


def test_the_relays_limit_is_below_ours_and_all_say_the_same() -> None:
    ours = Settings.model_fields["max_message_bytes"].default
    for name in ("postfix/main.cf.example", "postfix/compose.main.cf", "exim/exim.conf.example"):
        limit = re.search(r"(?m)^message_size_limit = (\d+)$", (ROOT / "config" / name).read_text())
        assert limit
        assert int(limit[1]) < ours - 10 * FIELD_LIMIT
    assert f"{ours:,}" in SETUP


def test_one_name_of_the_relay_stands_everywhere() -> None:
    for name in (*FILES, "config/opendmarc/opendmarc.conf.example", "config/rspamd/milter_headers.conf.example"):
        assert "mx.example.com" in (ROOT / name).read_text(), name
