"""Input made to hurt: each maker takes a size and returns text and HTML (one of them None)."""

from __future__ import annotations

from collections.abc import Callable

Maker = Callable[[int], tuple[str | None, str | None]]


def _text(piece: str) -> Maker:
    return lambda count: (piece * count, None)


def _html(piece: str, tail: str = "x") -> Maker:
    return lambda count: (None, piece * count + tail)


HOSTILE: dict[str, tuple[Maker, int]] = {
    "1 MB of lines of >": (_text(">\n"), 500_000),
    "1 MB of > in one line": (_text(">"), 1_000_000),
    "500,000 blank lines": (_text("\n"), 500_000),
    "1 MB in one line": (_text("a "), 500_000),
    "60,000 times On": (_text("On "), 60_000),
    "60,000 lines of On": (_text("On \n"), 60_000),
    "200 KB of dashes": (_text("-"), 200_000),
    "200 KB of dots": (_text("."), 200_000),
    "200 KB of digits": (_text("1"), 200_000),
    "100,000 colons": (_text("a: "), 100_000),
    "100,000 lines of one dash": (_text("-\n"), 100_000),
    "20,000 From in lines": (_text("From: a@b.c\n"), 20_000),
    "20,000 From in one line": (_text("From: a@b.c "), 20_000),
    "33,000 open brackets": (_text("<a@"), 33_000),
    "33,000 lines of open brackets": (_text("<a@\n"), 33_000),
    "20,000 lines that end in wrote": (_text("wrote:\n"), 20_000),
    "20,000 attributions": (_text("On 1/1/2024 10:00 a@b.c wrote:\n> x\n"), 20_000),
    "20,000 answered quotations": (_text("a\n> b\n"), 20_000),
    "20,000 signature delimiters": (_text("-- \nx\n"), 20_000),
    "20,000 device lines": (_text("Sent from my iPhone\n"), 20_000),
    "20,000 contact paragraphs": (_text("+46 70 123 45 67\n\n"), 20_000),
    "20,000 separators": (_text("-----Original Message-----\n> a\n"), 20_000),
    "10,000 quoted header blocks": (_text("> From: a@b.c\n> Date: 1\n> To: a@b\n\n"), 10_000),
    "20,000 code fences": (_text("```\na\n"), 20_000),
    "20,000 lines of a scanner": (_text("Virus-free.\n"), 20_000),
    "10,000 ends of a signed message": (_text("-----END PGP SIGNATURE-----\n"), 10_000),
    "20,000 questions above an answer": (
        lambda count: ("On 1/1/2024 10:00 a@b.c wrote:\n" + "> a?\n" * count + "\nb", None),
        20_000,
    ),
    "20,000 lines behind initials": (_text("On 1/1/2024 10:00 a@b.c wrote:\nAB> x\n"), 20_000),
    "50,000 lines behind bars": (_text("|a\n"), 50_000),
    "20,000 nested blockquotes": (_html("<blockquote>"), 20_000),
    "20,000 nested divs": (_html("<div>"), 20_000),
    "5,000 From blocks in HTML": (_html("<div><b>From:</b> a@b.c<br><b>Sent:</b> x<br></div>"), 5_000),
    "33,000 open brackets in HTML": (_html("<a@"), 33_000),
    "20,000 blockquotes in a row": (_html("<blockquote>a</blockquote>b"), 10_000),
    "20,000 open links": (_html("<a href=http://x>y"), 20_000),
    "3,000 nested lists": (_html("<ul><li>a"), 3_000),
    "20,000 attributes": (lambda count: (None, "<div " + "a=b " * count + ">x</div>"), 20_000),
    "200,000 line breaks": (_html("<br>"), 200_000),
    "20,000 table cells": (_html("<table><tr><td>a"), 5_000),
    "20,000 open tags": (_html("<div "), 20_000),
}
