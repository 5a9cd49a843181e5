"""``python -m torture.audit``: does a test notice when a promise is broken? (``make audit-mutants``)

Each mutant breaks one promise in a copy of the project. In the same run its test must pass on the copy before, and
fail on it after. The tests are those of the project, as they are; none is written for a mutant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

WITHIN_S = 300


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken promise."""

    name: str
    file: str
    old: str
    """Stands in the file once."""
    new: str
    test: str
    """A pytest node id."""


MUTANTS = (
    Mutant(
        "drop the fsync",
        "bridge/spool/files.py",
        'f"synchronous = {SYNCHRONOUS}"',
        '"synchronous = NORMAL"',
        "tests/powercut/test_powercut.py::test_nothing_acknowledged_is_lost",
    ),
    Mutant(
        "250 before the commit",
        "bridge/intake/handler.py",
        "            ids = await self.reception.accept(mail)\n",
        "            self._task = asyncio.ensure_future(self.reception.accept(mail))\n"
        "            ids = tuple(str(at) for at in range(len(mail.envelopes)))\n",
        "tests/intake/test_intake_sockets.py::test_what_is_not_stored_is_not_acknowledged",
    ),
    Mutant(
        "no shield: a client that goes away takes its mail along",
        "bridge/intake/connection.py",
        "            super(SMTP, self).connection_lost(error)\n",
        "            self._handler_coroutine.cancel()\n            super(SMTP, self).connection_lost(error)\n",
        "tests/intake/test_intake_sockets.py::test_a_mail_is_stored_although_its_client_goes_away",
    ),
    Mutant(
        "retry without reconciling",
        "bridge/delivery/schedule.py",
        "        return Step(Act.LOOK, now + pace.looks_s[0], Reason.RETRY)\n",
        "        return again(attempts, age_s, now, chance=chance, pace=pace)\n",
        "tests/delivery/test_delivery_schedule.py::test_every_outcome_at_every_age",
    ),
    Mutant(
        "a stale token is accepted",
        "bridge/spool/lanes.py",
        'row["token"] != claim.token or not row["owner"]',
        'not row["owner"]',
        "tests/spool/test_spool_conformance.py::test_a_lease_that_ran_out_makes_the_old_claim_stale",
    ),
    Mutant(
        "lane order ignored",
        "bridge/spool/lanes.py",
        "WHERE e.head = 1 AND e.next_at <= ? AND e.lease_until <= ?\n    AND e.seq <",
        "WHERE e.state = 'ready' AND e.next_at <= ? AND e.lease_until <= ?\n    AND e.seq <",
        "tests/spool/test_spool_conformance.py::test_a_lane_sends_one_at_a_time_in_order",
    ),
    Mutant(
        "de-duplicated by Message-ID alone",
        "bridge/delivery/outgoing.py",
        "    parts = [claim.entry.lane, named, fingerprint(decision.message, encrypted=False)]\n"
        "    parts += sorted(item.digest for item in decision.attachments)\n",
        "    parts = [named]\n",
        "tests/delivery/test_delivery_dedupe.py",
    ),
    Mutant(
        "lenient about CRLF",
        "bridge/intake/data.py",
        "        buffer += data\n",
        '        buffer += data.replace(b"\\r\\n", b"\\n").replace(b"\\n", b"\\r\\n")\n',
        "tests/intake/test_intake_sockets.py::test_smuggling",
    ),
    Mutant(
        "a rule that fails flags nothing",
        "bridge/sensitivity/scanning.py",
        '            yield Finding(COULD_NOT_SCAN, "certain", place.name, place.posted)\n            continue\n',
        "            continue\n",
        "tests/sensitivity/test_sensitivity_closed.py::test_a_rule_that_raises_flags_and_the_others_still_look",
    ),
    Mutant(
        "elided lines dropped",
        "bridge/reply/extract.py",
        'elided = "\\n".join(line.text for line in result if not line.kept)',
        'elided = "\\n".join(line.text for line in result if not line.kept and line.text)',
        "tests/reply/test_reply_extract.py::test_kept_and_cut_lines_together_are_the_input",
    ),
    Mutant(
        "tags compared in a time that tells",
        "bridge/reference/keys.py",
        'hmac.compare_digest(made.encode("ascii"), tag.encode("ascii"))',
        "made == tag",
        "tests/reference/test_reference_time.py",
    ),
    Mutant(
        "an authentication field from below is accepted",
        "bridge/mail/authentication.py",
        "            if received > 1 + trusted_hops:\n                return\n",
        "",
        "tests/verdict/test_verdict_authentication.py::test_only_what_stands_above_the_second_received_counts",
    ),
)


def main() -> int:
    """Try each; 1 when one was not caught."""
    parser = argparse.ArgumentParser(prog="python -m torture.audit", description=__doc__)
    parser.add_argument("--only", action="append", help="only mutants whose name contains this")
    parser.add_argument("--out", type=Path, help="write the table as Markdown")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not options.only or any(word in mutant.name for word in options.only)]
    lines, caught = [], 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory, "project")
        copy_project(copy)
        for mutant in chosen:
            said = _try(copy, mutant)
            caught += said == "caught"
            print(f"{said:12} {mutant.name} ({mutant.test})", flush=True)
            lines.append(f"| {mutant.name} | `{mutant.file}` | `{mutant.test}` | {said} |")
    if options.out:
        head = ["# Mutation audit", "", "`make audit-mutants`: what each line means stands in `docs/torture.md`.", ""]
        table = ["| mutant | in | caught by | |", "|---|---|---|---|"]
        options.out.write_text("\n".join([*head, *table, *lines, ""]), "utf-8")
    print(f"{caught} passed, {len(chosen) - caught} failed")
    return int(caught < len(chosen))


def copy_project(target: Path) -> None:
    """The files that git tracks, as they are in the work tree."""
    names = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, target / name)


def _try(copy: Path, mutant: Mutant) -> str:
    file = copy / mutant.file
    sound = file.read_text("utf-8")
    if sound.count(mutant.old) != 1:
        return "no such code"
    if not _passes(copy, mutant.test):
        return "fails before"
    file.write_text(sound.replace(mutant.old, mutant.new), "utf-8")
    try:
        return "NOT CAUGHT" if _passes(copy, mutant.test) else "caught"
    finally:
        file.write_text(sound, "utf-8")


def _passes(copy: Path, test: str) -> bool:
    """Whether the test ran and passed on the copy (exit 5 is pytest's for no test)."""
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    try:
        done = subprocess.run(arguments, cwd=copy, env=environ, capture_output=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        raise SystemExit(f"{test} could not be run: {done.stdout.decode()[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
