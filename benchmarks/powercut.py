"""Simulated power cuts: ``python -m benchmarks.powercut [--cuts N]``; needs gcc. Exits with 1 on a loss."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.powercut.replay import Cuts, build, cut_often, record

MAILS = 120
EACH = 500
"""Cuts of one recorded run."""


def rounds(library: Path, synchronous: str, cuts: int, seed: int) -> Cuts:
    """As many recorded runs as the cuts need."""
    total = Cuts()
    while total.cuts < cuts:
        steps = record(library, synchronous, MAILS)
        found = cut_often(steps, min(EACH, cuts - total.cuts), random.Random(seed + total.cuts), lambda _: None)
        total.cuts += found.cuts
        total.acknowledged += found.acknowledged
        total.lost += found.lost
        total.damaged += found.damaged
        print(f"{synchronous}: {total.cuts} cuts, {len(total.lost)} lost, {len(total.damaged)} damaged", flush=True)
    return total


def main() -> int:
    """Cut, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        library = build(Path(directory))
        full = rounds(library, "FULL", options.cuts, options.seed)
        normal = rounds(library, "NORMAL", max(100, options.cuts // 4), options.seed)
    lines = [
        f"| `{name}` | {found.cuts} | {found.acknowledged} | {len(found.lost)} | {len(found.damaged)} |"
        for name, found in (("FULL", full), ("NORMAL", normal))
    ]
    text = HEADING + "\n".join(lines) + f"\n\nSeed {options.seed}.\n"
    print(text)
    if options.out:
        options.out.write_text(text)
    return 0 if not full.lost and not full.damaged and normal.lost else 1


HEADING = """# Power cuts

Written by `make bench-powercut` (`CUTS=2000`). A run of the SQLite spool (six producers, a worker that reads and
settles, the log copied often) is recorded below SQLite, write by write, sync by sync. Then the power is cut at random
moments of it: what was not synced is kept, dropped or torn at a sector, as chance has it. After each cut the file must
be sound, every acknowledged mail there and whole, and every delivery known. With `synchronous = NORMAL` the same test
must find losses: it can fail.

| `synchronous` | cuts | acknowledgements before them | lost | faults in the file |
|---|---|---|---|---|
"""

if __name__ == "__main__":
    sys.exit(main())
