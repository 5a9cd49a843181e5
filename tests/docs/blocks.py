"""The fenced blocks of the documents: commands (``sh``), transcripts (``console``) and what is neither.

A comment line directly above a block says what its test must know: ``<!-- not run: why -->``,
``<!-- run by: a test -->``, ``<!-- scenario: name -->`` for a transcript, ``<!-- exits: 1 -->`` for what is to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = ("sh", "console")
_BLOCK = re.compile(
    r"(?P<above>(?:^<!-- [^\n]* -->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MARKER = re.compile(r"<!-- ([a-z ]+): (.*) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: Path
    line: int
    language: str
    text: str
    at: int
    """Where ``text`` stands in the document."""
    markers: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.document.name}:{self.line}"

    def commands(self) -> list[tuple[str, str]]:
        """Each command, whole, and what it printed (for a transcript)."""
        if self.language == "sh":
            return [(self.text, "")]
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, output = found[-1]
                continued = command.endswith("\\") and not output
                found[-1] = (f"{command}\n{line}", "") if continued else (command, f"{output}{line}\n")
        return found


def blocks(documents: list[Path] = DOCUMENTS) -> Iterator[Block]:
    """All blocks of the documents."""
    for document in documents:
        text = document.read_text("utf-8")
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start("language")) + 1
            markers = dict(_MARKER.findall(found["above"]))
            yield Block(document, line, found["language"], found["text"], found.start("text"), markers)
