"""Start, memory and help: ``python -m benchmarks.operating [--out FILE]``. Exits with 1 when a bound is not kept."""

from __future__ import annotations

import argparse
import os
import re
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
BOUNDS = {
    "start to accepting, s": 1.0,
    "main process idle, MB": 80.0,
    "main process idle with the page, MB": 110.0,
    "with one worker, MB": 140.0,
    "`ticket-bridge --help`, s": 0.4,
}
"""From the issue; the page's libraries are counted apart, because they are loaded only where it is on."""


def rss(pid: int) -> float:
    """Resident memory of a process, MB (10^6 bytes)."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def serve(directory: str, **settings: str) -> tuple[subprocess.Popen[str], float, int]:
    """A bridge, the seconds until it took a connection, and its port."""
    environ = {
        "BRIDGE_LISTEN": "127.0.0.1:0",
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_API_URL": "http://127.0.0.1:9",
        "BRIDGE_API_KEY": "k",
        "BRIDGE_SPOOL_URL": f"sqlite:///{directory}/spool.db",
        "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        **settings,
    }
    begin = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve"], env={**os.environ, **environ}, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr
    for line in child.stderr:
        found = re.search(r'"port": (\d+)', line)
        if found:
            with smtplib.SMTP("127.0.0.1", int(found[1]), timeout=10):
                return child, time.perf_counter() - begin, int(found[1])
    raise RuntimeError("the bridge did not start")


def once(figures: Callable[[str, float], None]) -> None:
    """One round."""
    with tempfile.TemporaryDirectory() as directory:
        child, seconds, port = serve(directory)
        time.sleep(1)
        figures("start to accepting, s", seconds)
        figures("main process idle, MB", rss(child.pid))
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("a@b.example", ["support@example.com"], "From: a@b.example\r\n\r\nHello\r\n")
        time.sleep(2)
        figures("with one worker, MB", rss(child.pid) + sum(rss(pid) for pid in children(child.pid)[:1]))
        child.terminate()
        child.wait(30)
        child, _, _ = serve(directory, BRIDGE_OPS_BIND="127.0.0.1:0", BRIDGE_OPS_TOKEN="0123456789abcdef")
        time.sleep(1)
        figures("main process idle with the page, MB", rss(child.pid))
        child.terminate()
        child.wait(30)
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bridge", "--help"], stdout=subprocess.DEVNULL, check=True)
    figures("`ticket-bridge --help`, s", time.perf_counter() - begin)


def main() -> int:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in BOUNDS}
    for _ in range(ROUNDS):
        once(lambda name, value: found[name].append(value))
    lines = [
        "# Start, memory, help",
        "",
        f"`make bench-operating`: medians of {ROUNDS} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}.",
        "",
        "| figure | measured | bound |",
        "|---|---|---|",
    ]
    medians = {name: statistics.median(values) for name, values in found.items()}
    lines += [f"| {name} | {medians[name]:.2f} | {bound:g} |" for name, bound in BOUNDS.items()]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    return 0 if all(medians[name] <= bound for name, bound in BOUNDS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
