"""How fast mail is taken, beside peers in the same run: ``make bench-intake``, or ``python -m benchmarks.intake``.

The load is Postfix's smtp-source (Debian: ``apt-get install postfix``; Postfix itself is not started). Rounds alternate
between the servers, so that what else the machine does hits all alike; the best round counts. Exits with 1 when a
target is missed, and when the API got fewer replies than ``DELIVERING`` a second while mail was taken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import RECIPIENT, Server, percentile, rss, server, syncs

SERVERS = ("accepting", "durable", "aiosmtpd", "smtp-sink")
DELIVERING = 200
"""Replies a second that the API has to get meanwhile."""
BACKLOG = 12_000
"""Mails that wait when the load begins: enough for as long as it lasts."""


@dataclass(frozen=True)
class Load:
    """What smtp-source does."""

    name: str
    mails: int
    size: int
    sessions: int
    reuse: bool
    targets: tuple[tuple[str, str, float], ...]
    """(server, peer, ratio of their rates at least)"""


STEADY = Load(
    "5 KB, 50 reused sessions",
    8000,
    5_120,
    50,
    reuse=True,
    targets=(("accepting", "aiosmtpd", 3.0), ("durable", "aiosmtpd", 2.0), ("durable", "smtp-sink", 0.3)),
)
LOADS = (
    STEADY,
    Load(
        "100 KB, 10 reused sessions",
        2000,
        102_400,
        10,
        reuse=True,
        targets=(("accepting", "aiosmtpd", 4.0), ("durable", "aiosmtpd", 3.0)),
    ),
    Load(
        "5 KB, a new connection for each",
        3000,
        5_120,
        20,
        reuse=False,
        targets=(("accepting", "aiosmtpd", 1.0), ("durable", "aiosmtpd", 1.0)),
    ),
)


class Checks:
    """Lines of the report, and whether every target was met."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.met = True

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def expect(self, met: bool) -> str:
        self.met = self.met and met
        return "" if met else " **missed**"


def rate(load: Load, port: int, mails: int) -> float:
    """Mails a second; every one of them was acknowledged, else this raises."""
    command = ["smtp-source", *(["-d"] if load.reuse else []), "-s", str(load.sessions), "-m", str(mails)]
    command += ["-l", str(load.size), "-f", "kund@example.net", "-t", RECIPIENT, f"127.0.0.1:{port}"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or done.stderr:
        raise RuntimeError(f"smtp-source: {done.returncode}: {done.stdout}{done.stderr}")
    return mails / (time.perf_counter() - start)


def measure(load: Load, rounds: int, checks: Checks) -> tuple[dict[str, float], float]:
    """The best rate of each server, and how many replies a second the API got in the durable one's best round."""
    best, delivered = dict.fromkeys(SERVERS, 0.0), 0.0
    for _ in range(rounds):
        for kind in SERVERS:
            with server(kind, BACKLOG if kind == "durable" else 0) as running:
                rate(load, running.port, load.sessions * 2)
                before, began = running.replies(), time.perf_counter()
                found = rate(load, running.port, load.mails)
                replies = (running.replies() - before) / (time.perf_counter() - began)
            if found > best[kind]:
                best[kind] = found
                delivered = replies if kind == "durable" else delivered
    checks.expect(delivered >= DELIVERING)
    return best, delivered


def loads(rounds: int, wanted_loads: tuple[Load, ...], checks: Checks) -> float:
    """The table of rates; the rate of the steady load on the durable server."""
    checks.say(
        "| load | " + " | ".join(f"{kind}, mails/s" for kind in SERVERS) + " | API, replies/s | ratios (target) |"
    )
    checks.say("|---" * (len(SERVERS) + 3) + "|")
    saturation = 0.0
    for load in wanted_loads:
        rates, delivered = measure(load, rounds, checks)
        saturation = saturation or rates["durable"]
        ratios = []
        for ours, peer, wanted in load.targets:
            found = rates[ours] / rates[peer]
            ratios.append(f"{ours} : {peer} {found:.2f} (≥ {wanted:g}){checks.expect(found >= wanted)}")
        told = " | ".join(f"{rates[kind]:.0f}" for kind in SERVERS)
        low = "" if delivered >= DELIVERING else " **too few**"
        checks.say(f"| {load.name} | {told} | {delivered:.0f}{low} | {'; '.join(ratios)} |")
    return saturation


def latency(saturation: float, mails: int, checks: Checks) -> None:
    """From the end of DATA to its 250 at half the saturation rate, against a single sync of this disk."""
    pace = saturation / 2
    sync = percentile(syncs(2_000), 0.99)
    with server("durable", BACKLOG) as running:
        sessions = [str(running.port), str(pace), str(mails), "50", "5120", RECIPIENT]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.paced", *sessions],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    waited = json.loads(done.stdout)
    found = percentile(waited, 0.99)
    checks.say(
        f"- {len(waited)} mails of 5 KB at {pace:.0f}/s over 50 sessions, from the end of DATA to `250`: median "
        f"{percentile(waited, 0.5):.1f} ms, p99 {found:.1f} ms; a 4 KB append and fdatasync here: p99 {sync:.1f} ms; "
        f"ratio {found / sync:.1f} (≤ 10){checks.expect(found <= 10 * sync)}"
    )


def memory(mails: int, checks: Checks) -> None:
    """Growth of the main process over many mails."""
    with server("durable", BACKLOG) as running:
        _taken(running, 10_000)
        before = rss(running.pid)
        _taken(running, mails)
        after = rss(running.pid)
    growth = (after - before) / before
    checks.say(
        f"- Main process after 10,000 mails {before:.1f} MB, after {mails:,} more {after:.1f} MB: {growth:+.1%} "
        f"(< 10 %){checks.expect(growth < 0.10)}"
    )


def _taken(running: Server, mails: int) -> None:
    for _ in range(0, mails, 10_000):
        rate(STEADY, running.port, min(mails, 10_000))


def main() -> int:
    """Run, print, write, and say whether the targets are met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paced-mails", type=int, default=15_000)
    parser.add_argument("--soak-mails", type=int, default=100_000)
    parser.add_argument("--load", type=int, choices=range(len(LOADS)), help="only this one of the loads")
    parser.add_argument("--only", choices=("rates", "latency", "memory"))
    parser.add_argument("--saturation", type=float, default=0.0, help="mails/s, for --only latency")
    options = parser.parse_args()
    checks, saturation = Checks(), options.saturation
    if options.only in (None, "rates"):
        saturation = loads(options.rounds, LOADS if options.load is None else LOADS[options.load :][:1], checks)
        checks.say("")
    if options.only in (None, "latency"):
        latency(saturation, options.paced_mails, checks)
    if options.only in (None, "memory"):
        memory(options.soak_mails, checks)
    if options.out:
        options.out.write_text(HEADING + "\n".join(checks.lines) + "\n")
    return 0 if checks.met else 1


HEADING = """# Taking mail

Written by `make bench-intake`. *accepting*: the intake before a store that keeps nothing. *durable*: the bridge as it
is served, on SQLite, every mail synced before its `250`, while it reads and delivers a backlog over 400 tickets; the
API is a stub that counts the replies it gets. *aiosmtpd*: 1.4.6 as shipped, with a handler that does nothing. Load
generator and servers share the machine; the best of alternating rounds counts.

"""

if __name__ == "__main__":
    sys.exit(main())
