"""Readers and validators where the labelled set does not lead them: ends of windows, odd places, near misses."""

from __future__ import annotations

import pytest

from bridge import sensitivity
from bridge.explain import Explained
from bridge.model import Envelope
from bridge.sensitivity.validators import VALIDATORS
from bridge.sensitivity_cli import _Counts
from tests.sensitivity.test_sensitivity_rules import GOOD, flags


@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        ("login:\n\n\n\n\n\nadmin\nx4", "login-pair", False),
        ("the login\nis not\nwhat I\nthought\nit was 12\nadmin / Fjord88lamp", "login-pair", True),
        ('passphrase: "over the misty harbor wall"', "passphrase", True),
        ("Where do I type my new sms code 662 905?", "digits-that-were-sent", True),
        ("No SMS came. My number is 662 905", "digits-that-were-sent", False),
        ("2FA costs 662 905 kr", "digits-that-were-sent", False),
        ("SMS to 0662 905 118", "digits-that-were-sent", False),
        ("ftp: Wagner@office.Berlin12", "password-by-its-shape", False),
        ("ftp: http://x.example/Amber-Stone-12", "password-by-its-shape", False),
        ("ftp: Amber-Stone-12", "password-by-its-shape", True),
        ("ftp: AMBER-STONE-12", "password-by-its-shape", False),
        ("ftp: Amber-Server-12", "password-by-its-shape", False),
    ],
)
def test_readers_at_their_ends(text: str, rule: str, found: bool) -> None:
    assert (rule in flags(sensitivity.load(), text)) is found


@pytest.mark.parametrize(
    ("validator", "text", "holds"),
    [
        ("worded", "Wagner@office.Berlin12", False),
        ("worded", "Möwe-Schrei-41", True),
        ("worded", "---Amber-Stone", False),
        ("secret", "Qz7!kfp2", True),
        ("secret", "kettle", False),
        ("worded_once", "Herbst-2024", False),
        ("worded_once", "Tulpenbol_1637", True),
        ("worded_alone", "Kowadlo!Mlot3", True),
        ("worded_alone", "kowadlo!mlot3", False),
        ("beside_address", "Orchard91x", True),
        ("beside_address", "Server91x", False),
        ("beside_address", "office/Berlin12", False),
        ("random", "aaaaaaaaaaaaaaa1", False),
        ("random", "5Kd8sPq1Zt7Rw3Lm", True),
        ("iban", "NO93 8601 1117 947 and", True),
        ("iban", "NO93 8601 1117 948", False),
        ("card", "0000 0000 0000 0000", False),
        ("uk_nino", "AB 12 34 56 C", True),
        ("uk_nino", "QQ 12 34 56 C", False),
        ("fr_nir", "2 95 13 99 126 111 93", False),
        ("restricted_label", "MSIP_Label_1_Enabled=false", False),
    ],
)
def test_validators(validator: str, text: str, holds: bool) -> None:
    assert VALIDATORS[validator](text) is holds


def test_a_match_over_an_empty_line_is_covered_on_both_sides() -> None:
    rules = sensitivity.load(
        "extend = false\n"
        + GOOD.replace("BADGE-(\\d{4})", "B\\s+(?P<secret>\\d\\s+\\d)").replace('"BADGE-1234"', '"B 1 2"')
    )
    assert sensitivity.mask("B 1\n\n2 x", rules) == "B •\n\n• x"


def test_a_mail_that_cannot_be_read_counts_as_flagged() -> None:
    counts = _Counts()
    assert counts.add(Explained("x", Envelope("", "", ""), None, "timeout")) == ("could_not_scan",)
    assert counts.table() == ["1 mails, 1 would be encrypted (100.0%), 1 could not be read"]
