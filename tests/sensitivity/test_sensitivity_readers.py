"""Readers and validators where the labelled set does not lead them: ends of windows, odd places, near misses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import sensitivity
from bridge.explain import Explained
from bridge.model import Envelope
from bridge.sensitivity.reading import may_hold_secret, tokens_after
from bridge.sensitivity.shape import STRONG, grade
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
        ("login: minimum characters and Fjord88lamp", "login-pair", False),
        ("login: a b c d e f g h i j k l m n o p q r s t u v w x y z, 4x", "login-pair", False),
        ("key: 55 20", "code-word", True),
        ("the key is 12", "code-word", False),
        ("Where is the key?", "code-word", False),
        ("the password is sunflower and it works", "password", True),
        ("the password is sunflower?", "password", False),
        ("the password is unsinkable", "password", False),
        ("log in with the password sunflower, please", "password", True),
        ("user anna and password sunflower, please", "password", True),
        ("a password sunflower, please", "password", False),
        ("the password would be mailed on Tuesday", "password", False),
        ("hasło to słonecznik", "password", True),
        ("hasło to nieznane", "password", False),
        ("lost the password to webmail.", "password", False),
        ("EPP key below.\n\niRB5KeTaWQSARK3R", "domain-auth-code", True),
        ("EPP key below.\n\nsunflower", "domain-auth-code", False),
        ("use sunflower for the password.", "password", True),
        ("use available for the password.", "password", False),
        ("passphrase is\n\n  oyster lantern gravel nine\n", "passphrase", True),
        ('{"error":"invalid_token","request_id":"req_8f2c11d0"}', "keyed-secret", False),
        ('{"token":"Kd8sPq1Zt7Rw3Lm9","id":"x"}', "keyed-secret", True),
        ("ftp: Wagner@office.Berlin12", "password-by-its-shape", False),
        ("ftp: http://x.example/Amber-Stone-12", "password-by-its-shape", False),
        ("ftp: Amber-Stone-12", "password-by-its-shape", True),
        ("ftp: AMBER-STONE-12", "password-by-its-shape", False),
        ("ftp: Amber-Server-12", "password-by-its-shape", False),
    ],
)
def test_readers_at_their_ends(text: str, rule: str, found: bool) -> None:
    assert (rule in flags(sensitivity.load(), text)) is found


@given(st.text("aBxY3 7!#@%=?-_.éŁłß€", min_size=3, max_size=30))
def test_the_quick_look_sees_every_word_that_looks_like_a_secret(text: str) -> None:
    for token in tokens_after(text, 0):
        if token.kind == "word" and grade(token.text) >= STRONG:
            assert may_hold_secret(text, 0)


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
