"""Everything beside its peers in one run: ``make bench``, or ``python -m benchmarks.everything [--only SECTION]``.

Writes ``benchmarks/results/everything.json``, from which ``benchmarks.performance`` writes the tables of
``docs/performance.md`` and ``benchmarks.charts`` draws. A section that cannot be measured says why and fails the run;
the others go on. ``--only`` measures sections anew and leaves the others as they were. Targets of single parts are held
by programs of their own: ``make bench-intake``, ``bench-delivery``, ``bench-replies`` ….
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import reading, replies, sensitivity, spool
from benchmarks.intake import SERVERS, Load, rate
from benchmarks.machine import limits, machine, usage
from benchmarks.servers import server
from benchmarks.through import through

RESULT = Path(__file__).parent / "results" / "everything.json"
LOADS = (
    Load("5 KB, reused", 6000, 5_120, 50, reuse=True, targets=()),
    Load("5 KB, new", 3000, 5_120, 20, reuse=False, targets=()),
    Load("100 KB, reused", 1500, 102_400, 10, reuse=True, targets=()),
    Load("100 KB, new", 1000, 102_400, 10, reuse=False, targets=()),
)
ROUNDS = 2
THROUGH = {5_120: 2000, 102_400: 400}
PROCESSES = 40
BACKLOGS = (3_000, 30_000, 300_000, 1_000_000)
"""More than the 1,280 that are settled while it is measured."""


@dataclass(frozen=True)
class Options:
    """How much, and where the peers are."""

    scale: float
    shared: Path
    peers: Path
    detect_secrets: Path

    def mails(self, number: int, least: int) -> int:
        return max(least, int(number * self.scale))


def accepted(options: Options) -> list[dict[str, Any]]:
    """Every server under every load of smtp-source; rounds alternate between the servers and the best counts."""
    rows = []
    for load in LOADS:
        best: dict[str, dict[str, Any]] = {}
        for _ in range(ROUNDS):
            for kind in SERVERS:
                found = _accepted(load, kind, options.mails(load.mails, load.sessions * 4))
                if kind not in best or found["mails_per_s"] > best[kind]["mails_per_s"]:
                    best[kind] = found
        rows += [{"load": load.name, "server": kind, **found} for kind, found in best.items()]
    return rows


def _accepted(load: Load, kind: str, mails: int) -> dict[str, Any]:
    with server(kind, max(500, mails) if kind == "durable" else 0) as running:
        rate(load, running.port, load.sessions * 2)
        before, replies_before, began = usage(running.pid), running.replies(), time.perf_counter()
        found = rate(load, running.port, mails)
        took, after = time.perf_counter() - began, usage(running.pid)
        return {
            "mails_per_s": found,
            "cpu_ms": (after.cpu_s - before.cpu_s) * 1000 / mails,
            "rss_mb": after.rss_mb,
            "delivered_per_s_meanwhile": (running.replies() - replies_before) / took,
        }


def delivered(options: Options) -> list[dict[str, Any]]:
    """Accepted and posted: the bridge beside a Python process for each mail."""
    rows = []
    for size, mails in THROUGH.items():
        for reuse in (True, False):
            name = f"{size // 1_000} KB, {'reused' if reuse else 'new'}".replace("102", "100")
            for kind, number in (
                ("durable", options.mails(mails, 100)),
                ("process-per-mail", options.mails(PROCESSES, 20)),
            ):
                rows.append({"load": name, "server": kind, **asdict(through(kind, size, number, reuse=reuse))})
    return rows


def extraction(options: Options) -> dict[str, dict[str, float] | str]:
    """Means in per cent of every extractor on the labelled mails."""
    cases, everyone = replies.judged(options.shared / "replies", str(options.peers))
    found: dict[str, dict[str, float] | str] = {}
    for name, rows in everyone.items():
        if isinstance(rows, str):
            found[name] = rows
        else:
            found[name] = {key: 100 * statistics.fmean(row[key] for row in rows) for key in replies.MEASURES}
            found[name] |= {"mails": len(cases)}  # type: ignore[operator]  # a dictionary, just made
    return found


def rules(options: Options) -> list[dict[str, Any]]:
    """Recall and precision on each labelled set: our rules at ``probable``, and detect-secrets."""
    loaded, rows = sensitivity.sensitivity.load(), []
    for name in sensitivity.SETS:
        entries = sensitivity.entries(name)
        ours = sensitivity.measure(loaded, entries, "probable")
        recall, precision = sensitivity.detect_secrets(str(options.detect_secrets), entries)
        new = sensitivity.BEFORE.get(name)
        row: dict[str, Any] = {"set": name, "recall_when_new": float(new[0]) if new else None}
        row |= {"texts": len(entries), "recall": ours.recall, "precision": ours.precision}
        rows.append({**row, "peer_recall": recall, "peer_precision": precision})
    return rows


def growth(options: Options) -> list[dict[str, float]]:
    """A claim of 32 with its settlements, and mails stored a second, where so many entries wait."""
    sizes = [size for size in BACKLOGS if options.scale >= 1 or size <= max(30_000, 1_000_000 * options.scale)]
    with spool.filled(sizes) as paths:
        took = spool.medians(paths, 40)
        rates = {size: asyncio.run(spool.stored(path.parent, 3.0)) for size, path in paths.items()}
    return [{"backlog": size, "claim_ms": took[size], "stored_per_s": rates[size]} for size in sizes]


def read(options: Options) -> dict[str, float]:
    """Times of reading, in times of mail-parser's."""
    return {row.name.replace("`", ""): row.value for row in reading.beside_mailparser(3 if options.scale < 1 else 7)}


SECTIONS: dict[str, Callable[[Options], Any]] = {
    "limits": lambda options: limits(),
    "accepted": accepted,
    "delivered": delivered,
    "extraction": extraction,
    "rules": rules,
    "growth": growth,
    "read": read,
}


def main() -> int:
    """Measure and write; 1 when a section could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everything", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the mails of a full run")
    parser.add_argument("--only", action="append", choices=SECTIONS)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds replies/dev.jsonl and score.py")
    parser.add_argument("--peers", type=Path, default=Path(".venv/peers/bin/python"))
    parser.add_argument("--detect-secrets", type=Path, default=Path(".venv/peer/bin/detect-secrets"))
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    options = Options(given.scale, given.shared, given.peers, given.detect_secrets)
    result: dict[str, Any] = json.loads(given.out.read_text("utf-8")) if given.only and given.out.exists() else {}
    failed = False
    for name in given.only or SECTIONS:
        on, began = machine(), time.perf_counter()
        try:
            section = {"figures": SECTIONS[name](options)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sections are worth having
            traceback.print_exc()
            section, failed = {"failed": f"{type(error).__name__}: {error}"}, True
        took = time.perf_counter() - began
        print(f"{name}: {'failed' if 'failed' in section else 'measured'} in {took:.0f} s", flush=True)
        result[name] = {"machine": on, "scale": options.scale, "took_s": round(took), **section}
        given.out.write_text(json.dumps(_rounded(result), indent=1) + "\n", "utf-8")
    return int(failed)


def _rounded(value: Any) -> Any:
    """Four digits: more say nothing, and change with every run."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
