"""Reads the labelled mails (tests/corpus/replies/README.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.reply import Hints

CORPUS = Path(__file__).parent.parent / "corpus" / "replies"


@dataclass(frozen=True)
class Mail:
    """One labelled mail."""

    name: str
    text: str | None
    html: str | None
    expected: str
    hints: Hints


def mails() -> list[Mail]:
    """All labelled mails, in order."""
    return [mail for path in sorted(CORPUS.glob("*.txt")) for mail in _file(path)]


def _file(path: Path) -> Iterator[Mail]:
    for number, part in enumerate(path.read_text(encoding="utf-8").split("\n### ")):
        title, _, body = part.removeprefix("### ").partition("\n")
        name = f"{path.stem}-{number + 1}: {title}"
        cut = path.stem == "signoffs"
        hints = Hints(cut_signoff=cut, cut_disclaimer=cut, subject=title.partition("Subject: ")[2])
        if body.startswith("%%% html\n"):
            html, _, expected = body.removeprefix("%%% html\n").partition("\n%%% reply")
            yield Mail(name, None, html, expected, hints)
        else:
            rows = body.removesuffix("\n").split("\n")
            assert all(row[:1] in ("+", "-") for row in rows), name
            yield Mail(name, _lines(rows, "+-"), None, _lines(rows, "+"), hints)


def _lines(rows: list[str], margins: str) -> str:
    return "\n".join(row[2:] for row in rows if row[0] in margins)


def words(text: str) -> list[str]:
    """The lines that are compared: without blank ones and without white space at their ends."""
    return [line.strip() for line in text.splitlines() if line.strip()]
