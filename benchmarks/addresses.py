"""Forged addresses, and what a stranger can learn from RCPT: ``python -m benchmarks.addresses [--out FILE]``.

Two parts. A million forged tags (random, of other tickets, domains and keys, one character off) are matched while
signatures are enforced. Then the intake, listening on loopback, is asked for recipients of several kinds, in random
order over one connection at a time, and the times of each kind are compared with those of another by Welch's t-test, as
leakage tests for side channels do: |t| under 4.5 on the lower 90 % of the times is taken for "no difference" (Goodwill
et al., "A testing methodology for side-channel resistance validation", 2011; Reparaz et al., "Dude, is my code constant
time?", 2017). Exits with 1 when a forged tag is accepted, a reply differs, or a time does.
"""

from __future__ import annotations

import argparse
import math
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bridge.reference import AddressKeys, make_address, parse_address

KEYS = AddressKeys.parse(
    "a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,b:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)
DOMAIN = "example.com"
ULID = "0123456789abcdefghjkmnpqrstvwxyz"
BASE_32 = "abcdefghijklmnopqrstuvwxyz234567"
LIMIT = 4.5
LAST = "signature wrong at the last character, ticket exists"


def ticket(chance: random.Random) -> str:
    """A public id that no API has."""
    return "tkt_" + chance.choice("01234567") + "".join(chance.choices(ULID, k=25))


def forged(chance: random.Random) -> str:
    """An address whose tag somebody made up, or took from elsewhere."""
    wanted, key = ticket(chance), chance.choice(KEYS.keys)
    kind = chance.randrange(4)
    if kind == 0:
        tag = "".join(chance.choices(BASE_32, k=16))
    elif kind == 1:
        tag = key.tag(DOMAIN, ticket(chance))
    elif kind == 2:
        tag = key.tag("example.org", wanted)
    else:
        right, at = key.tag(DOMAIN, wanted), chance.randrange(16)
        tag = right[:at] + chance.choice(BASE_32.replace(right[at], "")) + right[at + 1 :]
    return f"support+{wanted}.{chance.choice('abz') if kind == 0 else key.id}{tag}@{DOMAIN}"


def forge(number: int, chance: random.Random) -> int:
    """How many of so many forged addresses are accepted."""
    return sum(
        not parse_address(
            forged(chance),
            domains=frozenset({DOMAIN}),
            mailboxes=frozenset({"support"}),
            keys=KEYS,
            signed="enforce",
        ).refused
        for _ in range(number)
    )


def kinds(chance: random.Random, known: list[str]) -> dict[str, str]:
    """One recipient of each kind. ``known`` are the tickets that exist.

    Each kind draws its own ticket and tag: one that was asked for a moment ago is answered some 1.5 µs sooner, whether
    it exists or not, because the processor has just been there.
    """

    def made_up() -> str:
        return "".join(chance.choices(BASE_32, k=16))

    def one_off(wanted: str) -> str:
        right = KEYS.keys[0].tag(DOMAIN, wanted)
        return right[:15] + ("b" if right[15] == "a" else "a")

    existing = [chance.choice(known) for _ in range(4)]
    absent = [ticket(chance) for _ in range(2)]
    first = KEYS.keys[0]
    return {
        LAST: f"support+{existing[0]}.a{one_off(existing[0])}@{DOMAIN}",
        "signature wrong, ticket exists": f"support+{existing[1]}.a{made_up()}@{DOMAIN}",
        "signature wrong, no such ticket": f"support+{absent[0]}.a{made_up()}@{DOMAIN}",
        "key unknown, ticket exists": f"support+{existing[2]}.z{made_up()}@{DOMAIN}",
        "right signature, ticket exists": make_address(existing[3], mailbox="support", domain=DOMAIN, key=first),
        "right signature, no such ticket": make_address(absent[1], mailbox="support", domain=DOMAIN, key=first),
    }


PAIRS = (
    ("right signature, ticket exists", "right signature, no such ticket"),
    ("signature wrong, ticket exists", "signature wrong, no such ticket"),
    (LAST, "signature wrong, ticket exists"),
    ("key unknown, ticket exists", "signature wrong, ticket exists"),
)


class Asking:
    """A client that times the answers to RCPT."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._sock.makefile("rb")
        self._file.readline()
        self._say(b"HELO x\r\n")

    def _say(self, line: bytes) -> bytes:
        self._sock.sendall(line)
        return self._file.readline()

    def rcpt(self, recipient: str) -> tuple[int, bytes]:
        """Nanoseconds until the answer, and the answer."""
        self._say(b"MAIL FROM:<a@b.example>\r\n")
        line = f"RCPT TO:<{recipient}>\r\n".encode()
        start = time.perf_counter_ns()
        answer = self._say(line)
        taken = time.perf_counter_ns() - start
        self._say(b"RSET\r\n")
        return taken, answer

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._sock.close()


def ask(
    port: int, rounds: int, chance: random.Random, known: str
) -> tuple[dict[str, list[int]], dict[str, set[bytes]]]:
    """Times and answers of each kind; every round asks for each kind once, in random order."""
    times: dict[str, list[int]] = {}
    answers: dict[str, set[bytes]] = {}
    done = 0
    while done < rounds:
        asking = Asking(port)
        for _ in range(min(100, rounds - done)):
            recipients = list(kinds(chance, known).items())
            chance.shuffle(recipients)
            for kind, recipient in recipients:
                taken, answer = asking.rcpt(recipient)
                times.setdefault(kind, []).append(taken)
                answers.setdefault(kind, set()).add(answer)
            done += 1
        asking.close()
    return times, answers


def welch(one: list[int], other: list[int]) -> float:
    """Welch's t of the two, without the slowest tenth of both together (interruptions, which hit at random)."""
    bound = statistics.quantiles([*one, *other], n=10)[-1]
    a, b = ([value for value in values if value <= bound] for values in (one, other))
    spread = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    return (statistics.fmean(a) - statistics.fmean(b)) / spread


def listener() -> tuple[subprocess.Popen[bytes], int]:
    """The intake in a process of its own, enforcing signatures."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.addresses", "--listen"], stdout=subprocess.PIPE)
    assert child.stdout
    return child, int(child.stdout.readline())


def listen() -> None:
    """Serve until killed; the port is printed."""
    import asyncio
    from ipaddress import ip_network

    import structlog

    from bridge.intake import Intake, IntakeConfig, Listen

    class Nowhere:
        """Mail is announced, but none is sent."""

        def accepting(self) -> bool:
            """There is room."""
            return True

    def match(recipient: str):  # type: ignore[no-untyped-def]
        return parse_address(
            recipient, domains=frozenset({DOMAIN}), mailboxes=frozenset({"support"}), keys=KEYS, signed="enforce"
        )

    def quiet(*_: object) -> dict[str, object]:
        raise structlog.DropEvent

    async def run() -> None:
        intake = Intake(
            IntakeConfig(
                hostname="bridge.example.com",
                match=match,
                domains=frozenset({DOMAIN}),
                relay_networks=(ip_network("127.0.0.0/8"),),
            ),
            Nowhere(),  # type: ignore[arg-type]
            structlog.wrap_logger(None, processors=[quiet]),
        )
        await intake.start([Listen(host="127.0.0.1", port=0)])
        print(intake.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def report(number: int, accepted: int, times: dict[str, list[int]], answers: dict[str, set[bytes]]) -> tuple[str, bool]:
    """The results as Markdown, and whether all of them are as they should be."""
    refusals = {answer for kind, said in answers.items() if "right" not in kind for answer in said}
    welcomes = {answer for kind, said in answers.items() if "right" in kind for answer in said}
    rows = [
        f"| {kind} | {len(values)} | {statistics.median(values) / 1000:.1f} | "
        f"{' '.join(sorted(answer.decode().strip() for answer in answers[kind]))} |"
        for kind, values in sorted(times.items())
    ]
    scores = [(one, other, welch(times[one], times[other])) for one, other in PAIRS]
    good = not accepted and len(refusals) == len(welcomes) == 1 and all(abs(t) < LIMIT for _, _, t in scores)
    lines = [
        "# Forged addresses, and what RCPT tells a stranger",
        "",
        "Again: `python -m benchmarks.addresses --out benchmarks/results/addresses.md`. The method stands in its head.",
        "",
        f"**{number:,} forged tags, {accepted} accepted** (a quarter each: random, another ticket's, another domain's,",
        "one character off).",
        "",
        "RCPT over loopback while signatures are enforced, kinds in random order. The answer to RCPT is a function of",
        "the address and the keys and has no way to the spool or the API; 5,000 tickets exist, drawn at random:",
        "",
        "| recipient | asked | median µs | answers |",
        "|---|---|---|---|",
        *rows,
        "",
        f"| compared | Welch's t (no difference: under {LIMIT}) |",
        "|---|---|",
        *(f"| {one} — {other} | {t:+.2f} |" for one, other, t in scores),
        "",
        f"All as it should be: {'yes' if good else 'NO'}.",
    ]
    return "\n".join(lines) + "\n", good


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forged", type=int, default=1_000_000, help="forged tags to try")
    parser.add_argument("--rounds", type=int, default=20_000, help="times that each kind of recipient is asked for")
    parser.add_argument("--seed", type=int, default=4471)
    parser.add_argument("--out", type=Path, help="file for the results; printed without")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        listen()
        return 0
    chance = random.Random(options.seed)
    accepted = forge(options.forged, chance)
    child, port = listener()
    try:
        times, answers = ask(port, options.rounds, chance, [ticket(chance) for _ in range(5000)])
    finally:
        child.kill()
        child.wait()
    text, good = report(options.forged, accepted, times, answers)
    if options.out:
        options.out.write_text(text, "utf-8")
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
