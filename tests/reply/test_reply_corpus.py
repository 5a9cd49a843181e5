"""Every labelled mail of the corpus comes out exactly as its label says."""

from __future__ import annotations

import pytest

from bridge.reply import extract
from tests.reply.corpus import Mail, mails, words

MAILS = mails()


def test_the_corpus_is_as_large_as_it_claims() -> None:
    assert len(MAILS) >= 300
    assert len({mail.text or mail.html for mail in MAILS}) == len(MAILS)


@pytest.mark.parametrize("mail", MAILS, ids=[mail.name for mail in MAILS])
def test_label(mail: Mail) -> None:
    reply = extract(mail.text, mail.html)
    assert words(reply.text) == words(mail.expected)


@pytest.mark.parametrize("mail", MAILS, ids=[mail.name for mail in MAILS])
def test_nothing_is_missing(mail: Mail) -> None:
    reply = extract(mail.text, mail.html)
    assert reply.text == "\n".join(line.text for line in reply.lines if line.kept)
    assert reply.elided == "\n".join(line.text for line in reply.lines if not line.kept)
    if mail.text is not None:
        assert "\n".join(line.text for line in reply.lines) == mail.text
    assert all(line.reason for line in reply.lines)


@pytest.mark.parametrize("mail", MAILS, ids=[mail.name for mail in MAILS])
def test_what_is_kept_is_kept_again(mail: Mail) -> None:
    """What was found to be the author's words, sent alone, is the author's words."""
    once = extract(mail.text, mail.html).text
    if ">" not in once:
        assert words(extract(once, None).text) == words(once)


@pytest.mark.parametrize("mail", [mail for mail in MAILS if mail.text], ids=lambda mail: mail.name)
def test_line_ends_do_not_matter(mail: Mail) -> None:
    assert mail.text is not None
    crlf = extract(mail.text.replace("\n", "\r\n"), None)
    assert words(crlf.text) == words(mail.expected)
