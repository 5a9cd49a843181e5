"""``python -m torture [--scale X] [--only NAME …] [--out FILE]``: every scenario, its criteria, its figures.

Exits with 1 when a criterion fails. Everything runs on loopback, is bounded, and ends only what it started.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from torture import lasting, network, processes, storage
from torture.world import Criterion

Scenario = Callable[[float], Iterator[Criterion]]
SCENARIOS: Mapping[str, Scenario] = {
    "kills": processes.kills,
    "freezes": processes.freezes,
    "clock": processes.clock_jumps,
    "disk-full": storage.disk_full,
    "write-errors": storage.write_errors,
    "hostile": network.hostile_clients,
    "loop": network.loop,
    "upgrade": lasting.upgrade,
    "soak": lasting.soak,
}


def main() -> int:
    """Run, print and write the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the whole programme; 0.1 is for CI")
    parser.add_argument("--only", action="append", choices=sorted(SCENARIOS), help="run this one; may be repeated")
    parser.add_argument("--out", type=Path, help="write the table as Markdown")
    options = parser.parse_args()
    lines, failed = [], 0
    for name in options.only or SCENARIOS:
        began = time.monotonic()
        for criterion in _outcome(SCENARIOS[name], options.scale):
            failed += not criterion.passed
            mark = "ok" if criterion.passed else "FAILED"
            print(f"{mark:6} {name}: {criterion.name} — {criterion.figure}", flush=True)
            lines.append(f"| {name} | {criterion.name} | {criterion.figure} | {mark} |")
        print(f"       {name} took {time.monotonic() - began:.0f} s", flush=True)
    if options.out:
        options.out.write_text(_document(lines, options.scale), "utf-8")
    print(f"{len(lines) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _outcome(scenario: Scenario, scale: float) -> Iterator[Criterion]:
    """Its criteria; one that broke off is one that failed."""
    try:
        yield from scenario(scale)
    except Exception as error:  # noqa: BLE001 - whatever it was, the others are still to be run
        yield Criterion("it came to its end", f"{type(error).__name__}: {error}", passed=False)


def _document(lines: list[str], scale: float) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return "\n".join(
        [
            "# Torture",
            "",
            f"`make torture SCALE={scale:g}`, {day}, {os.cpu_count()} cores, Python {platform.python_version()}.",
            "What each scenario does and how it is judged: `docs/torture.md`.",
            "",
            "| scenario | criterion | figure | |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
