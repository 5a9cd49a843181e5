"""``docs/performance.md`` from the results: ``python -m benchmarks.performance`` (``make bench`` does it at its end).

Writes what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; the rest is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.everything import RESULT

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
_BLOCK = re.compile(r"(<!-- begin ([a-z]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
PEERS = ("aiosmtpd", "smtp-sink")
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Comparison:
    """One figure of ours beside a peer's."""

    what: str
    peer: str
    ours: float
    theirs: float
    unit: str
    more_is_better: bool = True

    @property
    def better(self) -> bool:
        return self.ours >= self.theirs if self.more_is_better else self.ours <= self.theirs

    def __str__(self) -> str:
        if self.unit == "%":
            return f"- {self.what}: {self.ours:.1f} %, {self.peer} {self.theirs:.1f} %"
        ratio = f"{_number(self.ours / self.theirs)} times {self.peer}" if self.theirs else f"{self.peer} 0"
        return f"- {self.what}: {ratio} ({_number(self.ours)} to {_number(self.theirs)} {self.unit})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Rows) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(_number(cell) if isinstance(cell, int | float) else str(cell) for cell in row)} |"


def machine(result: dict[str, Any]) -> Iterator[str]:
    """Where and when, and the physical limits."""
    yield from _table(("machine", ""), [(name, told) for name, told in result["limits"]["machine"].items()])
    yield ""
    yield from _table(("physical limit", "here"), list(result["limits"]["figures"].items()))
    commits = sorted({section["machine"]["commit"] for section in result.values()})
    loads = sorted(float(section["machine"]["load before"].split()[0]) for section in result.values())
    scale = f"{result['limits']['scale']:g} of a full run's mails"
    yield from (
        "",
        f"Measured at {', '.join(commits)}; load average before the parts {loads[0]} to {loads[-1]}; {scale}.",
    )


def accepted(result: dict[str, Any]) -> Iterator[str]:
    """Rates of taking mail, as ratios to bare aiosmtpd and smtp-sink."""
    head = (
        "load",
        "server",
        "mails/s",
        *(f"times {peer}" for peer in PEERS),
        "CPU ms/mail",
        "RSS MB",
        "delivered/s meanwhile",
    )
    rows = result["accepted"]["figures"]
    rates = {(row["load"], row["server"]): row["mails_per_s"] for row in rows}
    yield from _table(
        head,
        [
            (
                row["load"],
                row["server"],
                row["mails_per_s"],
                *(row["mails_per_s"] / rates[row["load"], peer] for peer in PEERS),
                row["cpu_ms"],
                row["rss_mb"],
                row["delivered_per_s_meanwhile"] if row["server"] == "durable" else "",
            )
            for row in rows
        ],
    )


def delivered(result: dict[str, Any]) -> Iterator[str]:
    """Accepted and posted, as ratios to a process per mail."""
    rows = result["delivered"]["figures"]
    base = {row["load"]: row for row in rows if row["server"] == "process-per-mail"}
    head = ("load", "server", "accepted/s", "delivered/s", "times a process per mail", "CPU ms/mail", "RSS MB")
    yield from _table(
        head,
        [
            (
                row["load"],
                row["server"],
                row["accepted_per_s"],
                row["delivered_per_s"],
                row["delivered_per_s"] / base[row["load"]]["delivered_per_s"],
                row["cpu_ms"],
                row["rss_mb"],
            )
            for row in rows
        ],
    )


def extraction(result: dict[str, Any]) -> Iterator[str]:
    """Extractors on the labelled mails."""
    keys = ("exact", "f1", "lost", "leak", "cat")
    head = ("extractor", "exact %", "F1 %", "lost %", "leak %", "broken %")
    yield from _table(
        head,
        [
            (name, *(f"{row[key]:.1f}" for key in keys)) if isinstance(row, dict) else (name, row, "", "", "", "")
            for name, row in result["extraction"]["figures"].items()
        ],
    )


def rules(result: dict[str, Any]) -> Iterator[str]:
    """Recall and precision beside detect-secrets."""
    head = (
        "labelled set",
        "texts",
        "our recall",
        "when new",
        "our precision",
        "detect-secrets recall",
        "detect-secrets precision",
    )
    keys = ("recall", "precision", "peer_recall", "peer_precision")
    rows = result["rules"]["figures"]
    shown = []
    for row in rows:
        recall, *others = (f"{row[key]:.1%}" for key in keys)
        new = "" if row["recall_when_new"] is None else f"{row['recall_when_new']}%"
        shown.append((row["set"], row["texts"], recall, new, *others))
    yield from _table(head, shown)


def growth(result: dict[str, Any]) -> Iterator[str]:
    """Cost as the backlog grows, relative to the smallest."""
    rows = result["growth"]["figures"]
    head = ("entries waiting", "claim and settle 32, ms", "ratio", "5 KB mails stored/s", "ratio")
    first = rows[0]
    yield from _table(
        head,
        [
            (
                f"{row['backlog']:,}",
                row["claim_ms"],
                row["claim_ms"] / first["claim_ms"],
                row["stored_per_s"],
                row["stored_per_s"] / first["stored_per_s"],
            )
            for row in rows
        ],
    )


def read(result: dict[str, Any]) -> Iterator[str]:
    """Reading, beside mail-parser alone."""
    yield from _table(("reading", "times mail-parser's time"), list(result["read"]["figures"].items()))


def comparisons(result: dict[str, Any]) -> Iterator[Comparison]:
    """Every figure that a peer has too, of the sections that were measured."""
    found = {name: section.get("figures") for name, section in result.items()}
    at = {(row["load"], row["server"]): row for row in found["accepted"] or ()}
    for (load, kind), row in at.items():
        for peer in PEERS if kind == "durable" else ():
            other, what = at[load, peer], f"bridge accepting, {load}"
            yield Comparison(f"{what}: rate", peer, row["mails_per_s"], other["mails_per_s"], "mails/s")
            yield Comparison(f"{what}: memory", peer, row["rss_mb"], other["rss_mb"], "MB", more_is_better=False)
    at = {(row["load"], row["server"]): row for row in found["delivered"] or ()}
    for (load, kind), row in at.items():
        if kind == "durable":
            other, what, peer = at[load, "process-per-mail"], f"bridge delivering, {load}", "a process per mail"
            yield Comparison(f"{what}: rate", peer, row["delivered_per_s"], other["delivered_per_s"], "mails/s")
            yield Comparison(f"{what}: CPU", peer, row["cpu_ms"], other["cpu_ms"], "ms/mail", more_is_better=False)
            yield Comparison(f"{what}: memory", peer, row["rss_mb"], other["rss_mb"], "MB", more_is_better=False)
    for name, value in (found["read"] or {}).items():
        what = name.replace(" / mail-parser", "")
        yield Comparison(f"time of reading, {what}", "mail-parser", value, 1.0, "times", more_is_better=False)
    extractors = found["extraction"] or {}
    for name, row in extractors.items():
        if isinstance(row, dict) and not name.startswith("ours"):
            for key, more in (("exact", True), ("lost", False), ("leak", False)):
                yield Comparison(
                    f"extraction, {key}", name, extractors["ours"][key], row[key], "%", more_is_better=more
                )
    for row in found["rules"] or ():
        for key in ("recall", "precision"):
            ours, theirs = 100 * row[key], 100 * row[f"peer_{key}"]
            yield Comparison(f"secrets, {row['set']} set, {key}", "detect-secrets", ours, theirs, "%")


def sides(result: dict[str, Any]) -> Iterator[str]:
    """What a peer does better, then what it does not."""
    every = list(comparisons(result))
    worse = [str(one) for one in every if not one.better]
    yield from ("A peer is better:", "", *(worse or ["- nowhere in this run"]), "")
    yield from ("The bridge is better or equal:", "", *(str(one) for one in every if one.better))


WRITERS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "machine": machine,
    "accepted": accepted,
    "delivered": delivered,
    "extraction": extraction,
    "rules": rules,
    "growth": growth,
    "read": read,
    "sides": sides,
}


def written(document: str, result: dict[str, Any]) -> str:
    """The document with its blocks written anew."""

    def block(found: re.Match[str]) -> str:
        name = found[2]
        failed = result.get(name, {}).get("failed")
        lines = [f"Not measured: {failed}."] if failed else list(WRITERS[name](result))
        return found[1] + "\n" + "\n".join(lines) + "\n\n" + found[3]

    return _BLOCK.sub(block, document)


def main() -> int:
    """Write it; 1 with ``--check`` when it is not what the results say."""
    result = json.loads(RESULT.read_text("utf-8"))
    before = DOCUMENT.read_text("utf-8")
    after = written(before, result)
    if "--check" in sys.argv[1:]:
        return int(before != after)
    DOCUMENT.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
