"""Redacted cases: the same cut, the same flag, and nothing of what was said."""

from __future__ import annotations

import stat
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import mail, reply, sensitivity
from bridge.errors import WrongState
from bridge.model import InboundMail
from bridge.ops.cases import Cases, case, known_stems, known_words, redact, redact_html
from bridge.spool.api import Spool
from tests.ops.conftest import with_spool
from tests.spool import samples

DEMO = sorted(item.name for item in (files("bridge") / "demo_mails").iterdir() if item.name.endswith(".eml"))
HTML = (
    b"From: Ann <ann@example.net>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<div dir="ltr">Grandiloquent <a href="https://secret.example/?q=17">Zanzibar</a><img src="cid:x"></div><br>'
    b'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, 1 May 2024 at 10:00 Quentin &lt;'
    b'<a href="mailto:q@x.example">q@x.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote">Old</blockquote>'
    b"</div>\r\n"
)


@pytest.mark.parametrize("name", DEMO)
def test_a_case_is_cut_as_its_mail_was(name: str) -> None:
    raw = (files("bridge") / "demo_mails" / name).read_bytes()
    first, second = mail.read(raw), mail.read(case(mail.read(raw)))
    kept = [line.kept for line in reply.extract(first.text, first.html).lines]
    again = [line.kept for line in reply.extract(second.text, second.html).lines]
    assert again[: len(kept)] == kept
    assert not any(again[len(kept) :])


def test_an_html_case_is_cut_as_its_mail_was() -> None:
    first, second = mail.read(HTML), mail.read(case(mail.read(HTML)))
    assert second.text is None
    one, two = reply.extract(None, first.html), reply.extract(None, second.html)
    assert [line.kept for line in one.lines] == [line.kept for line in two.lines]
    assert "wrote" in two.elided
    for word in ("Grandiloquent", "Zanzibar", "secret.example", "Quentin", "17"):
        assert word not in (second.html or "")


def test_a_mail_with_both_alternatives_keeps_both() -> None:
    parts = b"multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nWords\r\n--b\r\nContent-Type: text/html\r\n\r\n"
    both = HTML.replace(b"text/html; charset=utf-8\r\n\r\n", parts) + b"--b--\r\n"
    found = mail.read(case(mail.read(both)))
    assert found.text
    assert found.html


def test_a_flag_survives_and_the_secret_does_not() -> None:
    rules, options = sensitivity.load(), sensitivity.Options()
    text = "Hej, lösenordet är Ranunkel-4471-xY och användaren är quentin"
    redacted = redact(text)
    assert "Ranunkel" not in redacted
    assert "4471" not in redacted
    for words in (text, redacted):
        assert sensitivity.scan(rules, sensitivity.Content(subject="", posted=words, elided=""), options).encrypted


@given(st.text())
def test_only_known_words_and_no_digit_but_one_survive(text: str) -> None:
    redacted = redact(text)
    for word in "".join(letter if letter.isalpha() else " " for letter in redacted).split():
        known = word.casefold() in known_words() or any(stem in word.casefold() for stem in known_stems())
        assert known or set(word) <= {"x", "X"}
    assert {letter for letter in redacted if letter.isdecimal()} <= {"1"}


def test_html_attributes_are_dropped_but_for_what_tells_clients_apart() -> None:
    html = '<p class="a1" id="b" style="x" title="Quentin" onclick="y">Quentin &lt;b&gt;</p><br><img alt="Quentin">'
    assert redact_html(html).count("Quentin") == 0
    assert '<p class="a1" id="b">' in redact_html(html)
    assert "&lt;x&gt;" in redact_html(html)


def test_keeping_one(tmp_path: Path) -> None:
    async def read(raw: bytes) -> InboundMail:
        return mail.read(raw)

    async def work(spool: Spool) -> None:
        (entry,) = await spool.accept(samples.mail(raw=b"Subject: Zanzibar\r\n\r\nZanzibar words\r\n"))
        cases = Cases(spool, tmp_path / "cases", read, lambda: 5.0)
        path = await cases.keep(entry[:20], "cut_wrongly", "me")
        assert path.name == f"{entry}-cut_wrongly.eml"
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
        assert b"Zanzibar" not in path.read_bytes()
        assert [(line.action, line.note) for line in (await spool.detail(entry)).audit] == [("case", "cut_wrongly")]
        with pytest.raises(WrongState):
            await cases.keep(entry, "../../etc", "me")

    with_spool(tmp_path, work)
