"""Every labelled mail of the corpus comes out exactly as its label says."""

from __future__ import annotations

import pytest

from bridge.reply import Reply, extract
from tests.reply.corpus import Mail, mails, words

MAILS = mails()


def test_the_corpus_is_as_large_as_it_claims() -> None:
    assert len(MAILS) >= 1000
    assert len({mail.text or mail.html for mail in MAILS}) == len(MAILS)


@pytest.mark.parametrize("mail", MAILS, ids=[mail.name for mail in MAILS])
def test_label(mail: Mail) -> None:
    reply = extract(mail.text, mail.html, hints=mail.hints)
    assert words(reply.text) == words(mail.expected)
    nothing_is_missing(mail, reply)
    what_is_kept_is_kept_again(reply, mail)
    line_ends_do_not_matter(mail)


def nothing_is_missing(mail: Mail, reply: Reply) -> None:
    assert reply.text == "\n".join(line.text for line in reply.lines if line.kept)
    assert reply.elided == "\n".join(line.text for line in reply.lines if not line.kept)
    if mail.text is not None:
        assert "\n".join(line.text for line in reply.lines) == mail.text
    assert all(line.reason for line in reply.lines)


def what_is_kept_is_kept_again(reply: Reply, mail: Mail) -> None:
    """What was found to be the author's words, sent alone, is the author's words."""
    if ">" not in reply.text:
        assert words(extract(reply.text, None, hints=mail.hints).text) == words(reply.text)


def line_ends_do_not_matter(mail: Mail) -> None:
    if mail.text is not None:
        assert words(extract(mail.text.replace("\n", "\r\n"), None, hints=mail.hints).text) == words(mail.expected)
