"""How fast mail is taken, beside peers in the same run: ``python -m benchmarks.intake [--out FILE]``.

Peers: aiosmtpd as it is shipped, with a handler that does nothing, and Postfix's smtp-sink, which throws mail away.
The load is Postfix's smtp-source (Debian: ``apt-get install postfix``; Postfix itself is not started). Every server is
a process of its own. Rounds alternate between the servers, so that what else the machine does hits all alike; the best
round counts. Exits with 1 when a ratio is below its target.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path

RECIPIENT = "support+tkt_01hzy3v7k2m4n6p8q0r2s4t6v8@example.com"


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


LOADS = (
    Load(
        "5 KB, 50 reused sessions",
        6000,
        5_120,
        50,
        reuse=True,
        targets=(("accepting", "aiosmtpd", 3.0), ("durable", "aiosmtpd", 2.0), ("durable", "smtp-sink", 0.3)),
    ),
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
        2000,
        5_120,
        20,
        reuse=False,
        targets=(("accepting", "aiosmtpd", 1.0), ("durable", "aiosmtpd", 1.0)),
    ),
)
SERVERS = ("accepting", "durable", "aiosmtpd", "smtp-sink")


async def _bare(port: int) -> None:
    from aiosmtpd.smtp import SMTP, Envelope, Session

    class Nothing:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            return "250 OK"

    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(Nothing(), hostname="mx.example.com", loop=loop), "127.0.0.1", port)
    await asyncio.Event().wait()


async def _ours(port: int, durable: str) -> None:
    from bridge.intake import Intake, IntakeConfig, Listen
    from bridge.ops import logs
    from bridge.reference import AddressKeys, parse_address
    from bridge.spool import open_spool
    from bridge.spool.api import NewMail, Spool

    class Accepting:
        async def accept(self, mail: NewMail) -> tuple[str, ...]:
            return ("01hzy3v7k2m4n6p8q0r2s4t6v8",) * len(mail.envelopes)

        def accepting(self) -> bool:
            return True

    class Durable:
        def __init__(self, spool: Spool) -> None:
            self.accept = spool.accept
            self._spool = spool

        def accepting(self) -> bool:
            return self._spool.usage().accepting

    domains, mailboxes = frozenset({"example.com"}), frozenset({"support"})
    config = IntakeConfig(
        hostname="mx.example.com",
        match=partial(parse_address, domains=domains, mailboxes=mailboxes, keys=AddressKeys(), signed="off"),
        domains=domains,
        relay_networks=(ip_network("127.0.0.0/8"),),
    )
    reception = (
        Durable(await open_spool(durable, owner="bench", high_water_bytes=1 << 40, min_free_bytes=0))
        if durable
        else Accepting()
    )
    intake = Intake(config, reception, logs.configure("json"))
    await intake.start([Listen(host="127.0.0.1", port=port)])
    await asyncio.Event().wait()


def serve(kind: str, port: int, directory: str) -> None:
    """Be one of the servers."""
    if kind == "smtp-sink":
        os.execvp("smtp-sink", ["smtp-sink", f"127.0.0.1:{port}", "512"])
    if kind == "aiosmtpd":
        asyncio.run(_bare(port))
    import uvloop

    uvloop.run(_ours(port, f"sqlite:///{directory}/spool.db" if kind == "durable" else ""))


@contextmanager
def server(kind: str, directory: str) -> Iterator[int]:
    """A server in a process of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.intake", "--serve", kind, str(port), directory],
            stdout=nowhere,
            stderr=nowhere if kind != "aiosmtpd" else None,
        )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def rate(load: Load, port: int, mails: int) -> float:
    """Mails a second; every one of them was acknowledged, else this raises."""
    command = ["smtp-source", *(["-d"] if load.reuse else []), "-s", str(load.sessions), "-m", str(mails)]
    command += ["-l", str(load.size), "-f", "kund@example.net", "-t", RECIPIENT, f"127.0.0.1:{port}"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    if done.stderr:
        raise RuntimeError(done.stderr)
    return mails / (time.perf_counter() - start)


def measure(load: Load, rounds: int) -> dict[str, float]:
    """The best rate of each server."""
    best = dict.fromkeys(SERVERS, 0.0)
    for _ in range(rounds):
        for kind in SERVERS:
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory, server(kind, directory) as port:
                rate(load, port, load.sessions * 2)
                best[kind] = max(best[kind], rate(load, port, load.mails))
    return best


def main() -> int:
    """Run, print a table, write it, and say whether the targets are met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=3)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]), options.serve[2])
        return 0
    lines = ["| load | " + " | ".join(f"{kind}, mails/s" for kind in SERVERS) + " | ratios (target) |"]
    lines.append("|---" * (len(SERVERS) + 2) + "|")
    met = True
    for load in LOADS:
        rates = measure(load, options.rounds)
        ratios = []
        for ours, peer, wanted in load.targets:
            found = rates[ours] / rates[peer]
            met = met and found >= wanted
            ratios.append(f"{ours} : {peer} {found:.2f} (≥ {wanted:g})")
        lines.append(f"| {load.name} | " + " | ".join(f"{rates[kind]:.0f}" for kind in SERVERS))
        lines[-1] += f" | {'; '.join(ratios)} |"
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text(HEADING + "\n".join(lines) + "\n")
    return 0 if met else 1


HEADING = """# Taking mail

Written by `make bench-intake` (`python -m benchmarks.intake --out benchmarks/results/intake.md`). *accepting*: the
intake before a store that keeps nothing; *durable*: before the SQLite spool, every mail synced to disk before its
`250`, nothing being delivered meanwhile. *aiosmtpd*: 1.4.6 as shipped, with a handler that does nothing. Load generator
and servers share the machine.

"""

if __name__ == "__main__":
    sys.exit(main())
