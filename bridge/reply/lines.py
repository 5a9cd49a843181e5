"""The lines of a mail as the extractor sees them: how deeply quoted each is, and what stands in it."""

from __future__ import annotations

from collections.abc import Sequence

INVISIBLE = (
    " \t\r\f\v\xa0\u200b\u200c\u200d\u2060\ufeff"
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""White space, zero-width and bidirectional marks, which clients put around what they write into right-to-left mail."""
_MARKS = ">\uff1e"
_ENDS = str.maketrans({"\r": "\n"})


def split(text: str) -> list[str]:
    """The lines, whatever ends them (CR LF, LF, CR); other separators of Unicode are part of a line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").translate(_ENDS)
    return text.split("\n")


class Lines:
    """Parallel views of a mail's lines; indices are positions in the input."""

    def __init__(self, raw: Sequence[str], marks: Sequence[str] | None = None) -> None:
        self.raw = raw
        self.marks = marks
        """What the HTML says of each line (``bridge.reply.markup``); None for plain text."""
        self.depth: list[int] = []
        """Number of quote marks in front (RFC 3676 §4.5, with the blanks that clients put between them)."""
        self.bare: list[str] = []
        """The line without its quote marks and without white space and invisible characters around it."""
        seen: dict[str, tuple[int, str]] = {}
        depth, bare = self.depth.append, self.bare.append
        for text in raw:
            found = seen.get(text)
            if found is None:
                found = seen[text] = _shape(text)
            depth(found[0])
            bare(found[1])

    def __len__(self) -> int:
        return len(self.raw)

    def mark(self, index: int) -> str:
        """What the HTML says of the line."""
        return self.marks[index] if self.marks is not None else ""

    def blank(self, index: int) -> bool:
        """No words, quoted or not."""
        return not self.bare[index]

    def next_words(self, index: int, limit: int = 3) -> int:
        """The first line after ``index`` that is no unquoted blank; -1 when it is more than ``limit`` blanks away."""
        for at in range(index + 1, min(index + 2 + limit, len(self.raw))):
            if self.bare[at] or self.depth[at]:
                return at
        return -1


def _shape(text: str) -> tuple[int, str]:
    bare = text.strip(INVISIBLE)
    if not bare or bare[0] not in _MARKS:
        return 0, bare
    depth = 0
    for position, character in enumerate(bare):
        if character in _MARKS:
            depth += 1
        elif character not in " \t\xa0":
            return depth, bare[position:]
    return depth, ""
