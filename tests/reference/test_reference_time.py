"""A signature is compared in constant time, whatever is wrong with it."""

from __future__ import annotations

import hmac

import pytest

from bridge.reference.keys import AddressKey, AddressKeys

TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
KEY = AddressKey("a", bytes(range(32)))


def test_right_wrong_and_unknown_signatures_are_compared_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    real, compared = hmac.compare_digest, []

    def compare(made: bytes, given: bytes) -> bool:
        compared.append(len(given))
        return real(made, given)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys, right = AddressKeys((KEY,)), KEY.tag("example.com", TICKET)
    wrong = "z" * 16 if not right.startswith("z") else "y" * 16
    answers = [
        keys.verify(key, tag, domain="example.com", ticket=TICKET)
        for key, tag in (("a", right), ("a", wrong), ("a", right[:-1] + "7"), ("b", right))
    ]
    assert answers == [True, False, right.endswith("7"), False]
    assert compared == [16, 16, 16, 16]
