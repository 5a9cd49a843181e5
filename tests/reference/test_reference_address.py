"""Plus-addresses and their signatures: what is ours, what is refused, and that nobody can make one up."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.intake import replies
from bridge.intake.policy import rcpt
from bridge.model import Reference
from bridge.reference import AddressKey, AddressKeys, AddressMatch, make_address, parse_address

ID = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
OTHER = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"
KEYS = AddressKeys.parse(
    "a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,b:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)
A, B = KEYS.keys
GOOD = make_address(ID, mailbox="support", domain="example.com", key=A)
OLD = make_address(ID, mailbox="support", domain="example.com", key=B)
DOMAINS = frozenset({"example.com", "xn--bcher-kva.example"})
DOCUMENT = (Path(__file__).parents[2] / "docs/addresses.md").read_text("utf-8")


def parse(recipient: str, signed: str = "off", keys: AddressKeys = KEYS) -> AddressMatch:
    return parse_address(recipient, domains=DOMAINS, mailboxes=frozenset({"support", "help"}), keys=keys, signed=signed)


def by_id(*, signed: bool = False, ticket: str = ID) -> Reference:
    return Reference(ticket, "address", unguessable=True, signed=signed)


NOT_OURS = AddressMatch(ours=False, refused=True)
PLAIN = AddressMatch(ours=True, mailbox="support")
MALFORMED = AddressMatch(ours=True, mailbox="support", problem="malformed", refused=True)
FOUND = AddressMatch(True, "support", by_id())
NUMBER = AddressMatch(True, "support", Reference("149943", "address", unguessable=False))

TABLE: dict[str, AddressMatch] = {
    "support@example.com": PLAIN,
    "SUPPORT@EXAMPLE.COM": PLAIN,
    "help@example.com": AddressMatch(ours=True, mailbox="help"),
    "<support@example.com>": PLAIN,
    '"support"@example.com': PLAIN,
    "support@example.com.": PLAIN,
    "support@bücher.example": PLAIN,
    "support@BÜCHER.example": PLAIN,
    "support@xn--bcher-kva.example": PLAIN,
    "support@XN--BCHER-KVA.EXAMPLE": PLAIN,
    f"support+{ID}@example.com": FOUND,
    f"Support+{ID.upper()}@Example.Com": FOUND,
    f"support+{ID}@bücher.example": FOUND,
    f'"support+{ID}"@example.com': FOUND,
    "support+149943@example.com": NUMBER,
    "support+1@example.com": AddressMatch(True, "support", Reference("1", "address", unguessable=False)),
    # postmaster is ours with and without a domain, but no mailbox of tickets.
    "postmaster": AddressMatch(ours=True, mailbox="postmaster"),
    "Postmaster": AddressMatch(ours=True, mailbox="postmaster"),
    "postmaster@example.com": AddressMatch(ours=True, mailbox="postmaster"),
    f"postmaster+{ID}@example.com": NOT_OURS,
    "postmaster@elsewhere.example": NOT_OURS,
    # Not ours.
    "": NOT_OURS,
    "support": NOT_OURS,
    "@example.com": NOT_OURS,
    "support@": NOT_OURS,
    "nobody@example.com": NOT_OURS,
    "supports@example.com": NOT_OURS,
    "support@example.com.evil.example": NOT_OURS,
    "support@sub.example.com": NOT_OURS,
    "support@example.com@evil.example": NOT_OURS,
    f"support+{ID}@evil.example": NOT_OURS,
    f"support+{ID}@b\u0252cher.example": NOT_OURS,
    f"support@example.com+{ID}": NOT_OURS,
    f"support%{ID}@example.com": NOT_OURS,
    f"support-{ID}@example.com": NOT_OURS,
    f"+{ID}@example.com": NOT_OURS,
    f'"support"+{ID}@example.com': NOT_OURS,
    "support@[127.0.0.1]": NOT_OURS,
    "support@b\u00fccher..example": NOT_OURS,
    "support@-\u00fc-.example": NOT_OURS,
    "support@" + "\u00fc" * 300 + ".example": NOT_OURS,
    # Ours, but what stands behind the plus is no ticket.
    "support+@example.com": MALFORMED,
    "support++149943@example.com": MALFORMED,
    "support+0@example.com": MALFORMED,
    "support+0149943@example.com": MALFORMED,
    "support+-1@example.com": MALFORMED,
    "support+1234567890123456789@example.com": MALFORMED,
    "support+\u0661\u0662@example.com": MALFORMED,  # digits, but not ASCII's
    "support+149943x@example.com": MALFORMED,
    "support+149943.aidanxklejzu635uu@example.com": MALFORMED,
    "support+tkt_@example.com": MALFORMED,
    f"support+{ID[:-1]}@example.com": MALFORMED,
    f"support+{ID}0@example.com": MALFORMED,
    f"support+{ID}+x@example.com": MALFORMED,
    f"support+ {ID}@example.com": MALFORMED,
    f"support+{ID} @example.com": MALFORMED,
    f"support+{ID}\x00@example.com": MALFORMED,
    f"support+{ID}\n@example.com": MALFORMED,
    f"support+{ID.replace('h', 'i', 1)}@example.com": MALFORMED,
    f"support+{ID.replace('h', 'l', 1)}@example.com": MALFORMED,
    f"support+{ID.replace('h', 'o', 1)}@example.com": MALFORMED,
    f"support+{ID.replace('h', 'u', 1)}@example.com": MALFORMED,
    f"support+{ID.replace('_0', '_8')}@example.com": MALFORMED,  # more than 128 bits
    f"support+{ID}.a@example.com": MALFORMED,
    f"support+{ID}.@example.com": MALFORMED,
    f"support+{ID}.1idanxklejzu635uu@example.com": MALFORMED,
    f"support+{ID}.aidanxklejzu635u@example.com": MALFORMED,
    f"support+{ID}.aidanxklejzu635uuu@example.com": MALFORMED,
    f"support+{ID}.aidanxklejzu635u1@example.com": MALFORMED,
    f"support+{ID}.aidanxklejzu635uu=@example.com": MALFORMED,
    f"support+tkt_{'0' * 26}/../x@example.com": MALFORMED,
}


@pytest.mark.parametrize(("recipient", "match"), TABLE.items(), ids=[ascii(key) for key in TABLE])
def test_without_signatures(recipient: str, match: AddressMatch) -> None:
    assert parse(recipient) == match


def swapped(address: str, at: int) -> str:
    """The same with one character of the tag changed."""
    start = address.index(".") + 2 + at
    return address[:start] + ("b" if address[start] == "a" else "a") + address[start + 1 :]


def bad(**expected: bool) -> AddressMatch:
    return AddressMatch(True, "support", by_id(), "bad_signature", **expected)


SIGNED: list[tuple[str, str, AddressMatch]] = [
    *((GOOD, mode, AddressMatch(True, "support", by_id(signed=True))) for mode in ("warn", "enforce")),
    (OLD, "enforce", AddressMatch(True, "support", by_id(signed=True))),
    (GOOD.upper(), "enforce", AddressMatch(True, "support", by_id(signed=True))),
    (GOOD.replace("support", "help"), "enforce", AddressMatch(True, "help", by_id(signed=True))),
    (GOOD, "off", FOUND),
    (swapped(GOOD, 3), "off", FOUND),
    (f"support+{ID}@example.com", "warn", AddressMatch(True, "support", by_id(), "unsigned")),
    (f"support+{ID}@example.com", "enforce", AddressMatch(True, "support", by_id(), "unsigned", refused=True)),
    (
        "support+149943@example.com",
        "enforce",
        AddressMatch(True, "support", Reference("149943", "address", unguessable=False), "unsigned", refused=True),
    ),
    ("support@example.com", "enforce", PLAIN),
    ("support+nonsense@example.com", "warn", MALFORMED),
    *((swapped(GOOD, at), "enforce", bad(refused=True)) for at in (0, 7, 15)),
    (swapped(GOOD, 0), "warn", bad()),
    (GOOD.replace(".a", ".b"), "enforce", bad(refused=True)),  # the tag of another live key
    (GOOD.replace(".a", ".z"), "enforce", bad(refused=True)),  # a key that there is none of
    (GOOD.replace("example.com", "bücher.example"), "enforce", bad(refused=True)),  # the tag of another domain
    (
        GOOD.replace(ID, OTHER),  # the tag of another ticket
        "enforce",
        AddressMatch(True, "support", by_id(ticket=OTHER), "bad_signature", refused=True),
    ),
]


@pytest.mark.parametrize(("recipient", "mode", "match"), SIGNED)
def test_with_signatures(recipient: str, mode: str, match: AddressMatch) -> None:
    assert parse(recipient, mode) == match


def test_a_key_that_was_taken_out_signs_no_more() -> None:
    assert parse(OLD, "enforce", AddressKeys((A,))) == bad(refused=True)
    assert parse(OLD, "enforce", AddressKeys()) == bad(refused=True)


@given(
    st.text(max_size=80), st.sampled_from(["", "@example.com", "@bücher.example"]), st.sampled_from(["off", "enforce"])
)
def test_any_recipient_has_an_answer(text: str, domain: str, mode: str) -> None:
    match = parse(text + domain, mode)
    assert match.ours or match.refused
    assert not (match.reference and not match.ours)


@given(
    ticket=st.from_regex(r"tkt_[0-7][0-9a-hjkmnp-tv-z]{25}", fullmatch=True),
    mailbox=st.sampled_from(["support", "help"]),
    domain=st.sampled_from(["example.com", "bücher.example"]),
    key=st.sampled_from(KEYS.keys),
)
def test_what_is_made_is_read(ticket: str, mailbox: str, domain: str, key: AddressKey) -> None:
    made = make_address(ticket, mailbox=mailbox, domain=domain, key=key)
    assert parse(made, "enforce") == AddressMatch(True, mailbox, by_id(signed=True, ticket=ticket))
    unsigned = make_address(ticket, mailbox=mailbox, domain=domain, key=None)
    assert parse(unsigned).reference == by_id(ticket=ticket)


@given(st.integers(0, 2**80 - 1), st.sampled_from("abz"))
def test_a_made_up_tag_is_refused(guess: int, key: str) -> None:
    tag = "".join("abcdefghijklmnopqrstuvwxyz234567"[guess >> 5 * place & 31] for place in range(16))
    if tag != A.tag("example.com", ID):
        assert parse(f"support+{ID}.{key}{tag}@example.com", "enforce").refused


def test_thousands_of_forged_tags() -> None:
    """A million by ``python -m benchmarks.addresses``."""
    from benchmarks.addresses import forge

    assert forge(20_000, random.Random(4471)) == 0


def test_every_refusal_is_worded_alike() -> None:
    refused = [one for one in TABLE if TABLE[one].refused and "@" in one] + [swapped(GOOD, 1)]
    said = {rcpt(one, lambda given: parse(given, "enforce"), DOMAINS).reply for one in refused}
    assert said == {replies.NO_MAILBOX}
    accepted = {
        rcpt(one, lambda given: parse(given, "enforce"), DOMAINS).reply for one in (GOOD, OLD, "support@example.com")
    }
    assert accepted == {replies.RECIPIENT_OK}


@pytest.mark.parametrize(
    ("ticket", "mailbox"),
    [("149943", "support"), (ID.upper(), "support"), (ID[:-1], "support"), ("", "support"), (ID, "a" * 16)],
)
def test_what_cannot_be_an_address_is_not_made(ticket: str, mailbox: str) -> None:
    with pytest.raises(ValueError, match=r"no public ticket id|more than 64 octets"):
        make_address(ticket, mailbox=mailbox, domain="example.com", key=A)


def test_fifteen_octets_of_mailbox_fit() -> None:
    made = make_address(ID, mailbox="a" * 15, domain="example.com", key=A)
    assert len(made.partition("@")[0]) == 64


BAD_KEYS = {
    "a:not base64!": "key 1: what follows the colon is not base64",
    "a:MDEyMzQ1Njc4OWFiY2RlZg==,b": "key 2: its name|key 2: its secret",
    "1:MDEyMzQ1Njc4OWFiY2RlZg==": "key 1: its name must be one letter",
    "ab:MDEyMzQ1Njc4OWFiY2RlZg==": "key 1: its name must be one letter",
    "A:MDEyMzQ1Njc4OWFiY2RlZg==": "key 1: its name must be one letter",
    ":MDEyMzQ1Njc4OWFiY2RlZg==": "key 1: its name must be one letter",
    "a:c2hvcnQ=": "key 1: its secret has 5 bytes, fewer than 16",
    "a:MDEyMzQ1Njc4OWFiY2RlZg==,a:MDEyMzQ1Njc4OWFiY2RlZg==": "two keys have the same name",
}


@pytest.mark.parametrize(("text", "message"), BAD_KEYS.items())
def test_bad_keys_are_named_and_not_shown(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        AddressKeys.parse(text)
    assert "MDEy" not in str(error.value)
    assert "c2hv" not in str(error.value)


def test_keys_show_nothing_of_themselves() -> None:
    assert "0123" not in repr(KEYS) + repr(A) + str(A)
    assert AddressKeys.parse(" , ") == AddressKeys()


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", DOCUMENT)


def test_the_documents_vectors() -> None:
    (spelled,) = re.findall(r"Keys: `(a:\S+)` and `(b:\S+)`", DOCUMENT)
    keys = {key.id: key for key in AddressKeys.parse(",".join(spelled)).keys}
    rows = re.findall(r"^\| ([ab]) \| (\S+) \| (tkt_\S+) \| `(\S+)` \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 4
    for key, domain, ticket, address in rows:
        assert make_address(ticket, mailbox="support", domain=domain, key=keys[key]) == address
        assert parse(address, "enforce", AddressKeys(tuple(keys.values()))).reference == by_id(
            signed=True, ticket=ticket
        )


@pytest.mark.parametrize(
    ("language", "command"), [("python", [sys.executable, "-c"]), ("js", ["node", "-e"]), ("sh", ["bash", "-c"])]
)
def test_the_documents_programs(language: str, command: list[str]) -> None:
    if shutil.which(command[0]) is None or (language == "sh" and shutil.which("openssl") is None):
        pytest.skip(f"{command[0]} is not installed")
    (program,) = blocks(language)
    done = subprocess.run([*command, program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == GOOD
