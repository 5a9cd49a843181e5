"""The shared mails give what docs/mail.md says of them; words are compared by digest: none of them are kept here."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from bridge.mail import attachment_bytes, read
from bridge.mail.html import render_text

pytestmark = pytest.mark.shared
ROOT = Path(__file__).parents[2]
MAILS = ROOT.parent / "shared" / "mail"
FILES = sorted(MAILS.glob("*"))
_ROW = re.compile(r"^\| `([^`]+)` \| (\d+) \| ([^|]*) \| `([0-9a-f]{12})` \| ([^|]*) \|", re.MULTILINE)


def decided() -> dict[str, tuple[str, str, str, str]]:
    """What the document says of each file: lines of words, sizes of its files, digest of words and names, defects."""
    rows = _ROW.findall((ROOT / "docs" / "mail.md").read_text(encoding="utf-8"))
    return {name: (lines, sizes, digest, defects) for name, lines, sizes, digest, defects in rows}


def shown(path: Path) -> tuple[str, str, str, str]:
    """The same from the mail itself."""
    mail = read(path.read_bytes())
    words = mail.text if mail.text is not None else render_text(mail.html or "")
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    names = [item.name for item in mail.attachments]
    assert "\ufffd" not in "".join((words, mail.subject, *names))
    for item in mail.attachments:
        assert len(attachment_bytes(path.read_bytes(), item.path)) == item.size
    sizes = ", ".join(str(item.size) for item in mail.attachments)
    digest = hashlib.sha256("\n".join((*lines, *names)).encode()).hexdigest()[:12]
    return str(len(lines)), sizes or "none", digest, ", ".join(mail.defects) or "none"


def test_every_file_is_in_the_document() -> None:
    assert FILES
    assert {path.name for path in FILES} == set(decided())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file(path: Path) -> None:
    assert shown(path) == decided()[path.name]
