"""The parts that are pure enough for properties: ids, file names, bodies, faults, the rate limit, binding."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.sandbox import ids, pages, uploads, validation
from bridge.sandbox.access import RateLimiter
from bridge.sandbox.faults import KINDS, TARGETS, parse
from bridge.sandbox.mischief import trimmed, with_bodies
from bridge.sandbox.problems import Refusal, title
from bridge.sandbox.server import is_loopback, parse_bind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def refused(call: Callable[..., object], *arguments: object) -> Refusal | None:
    """How ``call`` refused, or None when it did not; any other error fails the test."""
    try:
        call(*arguments)
    except Refusal as refusal:
        return refusal
    return None


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_encoded_numbers_sort_as_they_count(one: int, other: int) -> None:
    assert (ids.encode(one) < ids.encode(other)) == (one < other)
    assert ids.is_public_ticket_id(f"tkt_{ids.encode(one)}")


def test_ids_increase_when_the_clock_stands_or_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([5_000_000_000, 5_000_000_000, 3_000_000_000, 3_000_000_000, 6_000_000_000])
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: next(now)))
    source = ids.IdSource()
    made = [source.new("tmsg") for _ in range(5)]
    assert made == sorted(set(made))


@given(st.text(max_size=40))
def test_only_ids_of_the_alphabet_are_ids(text: str) -> None:
    assert ids.is_public_ticket_id(text) == bool(re.fullmatch(r"tkt_[0-7][0-9a-hjkmnp-tv-z]{25}", text))
    assert not (ids.is_public_ticket_id(text) and ids.is_ticket_number(text))


@given(st.text(max_size=300) | st.from_regex(r"[a-zå/\\.]{0,260}\.[a-z]{1,5}", fullmatch=True))
def test_file_names_become_harmless_and_stay_so(name: str) -> None:
    safe = uploads.safe_name(name)
    assert safe
    assert len(safe.encode()) <= 200
    assert safe not in (".", "..")
    assert not set(safe) & set('/\\<>:"|?*')
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in safe)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("C:\\Users\\maja\\bild.png", "bild.png"),
        ("../../etc/passwd", "passwd"),
        ("a\u0308.txt", "ä.txt"),
        ("fil\u202egpj.exe", "filgpj.exe"),
        ("", "file"),
        ("...", "file"),
        ("å" * 150 + ".docx", "å" * 97 + ".docx"),
    ],
)
def test_file_names(name: str, safe: str) -> None:
    assert uploads.safe_name(name) == safe


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.txt", b"%PDF-1.7", "application/pdf"),
        ("x.pdf", b"hello", "text/plain"),
        ("x.html", b"<html>", "text/plain"),
        ("x.csv", b"a;b", "text/csv"),
        ("x.docx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("x.zip", b"PK\x03\x04", "application/zip"),
        ("x", b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        ("x", b"\x00\x00\x00\x18ftypheic", "image/heic"),
        ("x", b"\x00\x00\x00\x18ftypisom", "video/mp4"),
        ("x.txt", b"a\x00b", "application/octet-stream"),
        ("x.txt", b"\xe5\xe4\xf6", "application/octet-stream"),
    ],
)
def test_the_content_decides_the_type(name: str, content: bytes, kind: str) -> None:
    assert uploads.detect(name, content) == kind


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_reply_or_refused_with_errors(body: bytes) -> None:
    for read in (validation.new_message, lambda body: validation.new_ticket(body, ("support",))):
        refusal = refused(read, body)
        assert refusal is None or (refusal.status, refusal.code, bool(refusal.errors)) == (400, "invalid_request", True)


@given(st.text(), st.booleans())
def test_a_reply_keeps_its_words(text: str, encrypted: bool) -> None:
    body = json.dumps({"message": text, "encrypted": encrypted}).encode()
    if text.strip():
        assert validation.new_message(body) == validation.NewMessage(text, encrypted)
    else:
        with pytest.raises(Refusal):
            validation.new_message(body)


@given(st.text() | st.sampled_from(["name\n Bob <b@example.se>"]))
def test_an_address_in_cc_has_no_blank_and_one_at(text: str) -> None:
    body = {"departmentSlug": "support", "subject": "x", "message": "y", "ccEmails": [text]}
    try:
        ticket = validation.new_ticket(json.dumps(body).encode(), ("support",))
    except Refusal:
        return
    assert ticket.cc == (text,)
    assert text.count("@") == 1
    assert len(text.split()) == 1


@given(
    st.dictionaries(
        st.sampled_from(["fault", "count", "on", "seconds", "status", "form", "code", "place", "how", "length", "x"]),
        JSON | st.sampled_from([*KINDS, *TARGETS]),
    )
)
def test_any_request_for_a_fault_is_read_or_refused(members: dict[str, object]) -> None:
    def shown() -> dict[str, object]:
        return parse(members, "flt_x", 0.0).shown()

    refusal = refused(shown)
    if refusal is None:
        assert json.loads(json.dumps(shown(), allow_nan=False))["fault"] == members["fault"]
    else:
        assert (refusal.code, bool(refusal.errors)) == ("invalid_request", True)


@given(st.text())
def test_trimming_twice_is_trimming_once(text: str) -> None:
    once = trimmed(text, None)
    assert trimmed(once, None) == once
    assert "".join(once.split()) == "".join(text.split())


@given(JSON)
def test_only_bodies_are_changed(value: object) -> None:
    assert with_bodies({"body": "x", "other": value}, str.upper) == {
        "body": "X",
        "other": with_bodies(value, str.upper),
    }
    if '"body"' not in json.dumps(value):
        assert json.dumps(with_bodies(value, lambda _body: None)) == json.dumps(value)


def test_a_rate_limit_window_opens_with_a_request_and_closes_after_a_minute() -> None:
    now = [1000.0]
    limiter = RateLimiter(2, lambda: now[0])
    assert limiter.admit("a")["X-RateLimit-Remaining"] == "1"
    now[0] += 30.5
    assert limiter.admit("a")["X-RateLimit-Remaining"] == "0"
    with pytest.raises(Refusal) as caught:
        limiter.admit("a")
    assert caught.value.headers["Retry-After"] == "30"
    assert limiter.admit("b")["X-RateLimit-Remaining"] == "1"
    now[0] += 29.5
    assert limiter.admit("a")["X-RateLimit-Remaining"] == "1"


@pytest.mark.parametrize(
    ("bind", "place", "loopback"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0), True),
        ("[::1]:8088", ("::1", 8088), True),
        ("localhost:80", ("localhost", 80), True),
        ("0.0.0.0:80", ("0.0.0.0", 80), False),
        ("[::]:80", ("::", 80), False),
        ("sandbox.example:80", ("sandbox.example", 80), False),
    ],
)
def test_binding(bind: str, place: tuple[str, int], loopback: bool) -> None:
    assert parse_bind(bind) == place
    assert is_loopback(bind) == loopback


@pytest.mark.parametrize("bind", ["", "8088", "host:", ":1", "host:-1", "host:65536", "host:٣", "host:1x"])
def test_what_is_no_address_is_refused(bind: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        parse_bind(bind)


def test_words_for_people() -> None:
    assert pages.words("customer_reply") == "Customer reply"
    assert [pages.size(count) for count in (0, 1023, 1024, 1_572_864)] == ["0 bytes", "1023 bytes", "1 KiB", "1.5 MiB"]
    assert [pages.initials(name) for name in (None, "", " ", "åsa", "Per-Olof af Grönlund")] == [
        "?",
        "?",
        "?",
        "Å",
        "PG",
    ]
    assert pages.clock("2026-03-01T09:05:00.000Z") == "1 Mar 2026, 09:05 UTC"
    assert title(599) == "Unregistered status"
