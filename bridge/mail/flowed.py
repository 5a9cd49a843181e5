"""``format=flowed`` undone (RFC 3676)."""

from __future__ import annotations


def unflow(text: str, *, delsp: bool) -> str:
    """Join the lines that the sender's client wrapped; quote depth is kept as ``> `` marks.

    ``delsp`` tells that the blank before a soft break is no part of the text (RFC 3676 §4.5).
    """
    out: list[tuple[int, list[str]]] = []
    joins = False
    for line in text.replace("\r\n", "\n").split("\n"):
        body = line.lstrip(">")
        depth = len(line) - len(body)
        body = body.removeprefix(" ")
        signature = body == "-- "
        if joins and out and out[-1][0] == depth and not signature:
            out[-1][1].append(body)
        else:
            out.append((depth, [body]))
        joins = body.endswith(" ") and not signature
        if joins and delsp:
            out[-1][1][-1] = body[:-1]
    return "\n".join((">" * depth + " " if depth else "") + "".join(parts) for depth, parts in out)
