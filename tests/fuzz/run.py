"""Runs one fuzzer: ``python -m tests.fuzz.run NAME [--seconds N] [--walk N] [--out DIRECTORY]``. 1 on a finding.

It begins from the corpus of mails, or from written sessions, and keeps what it finds in the directory.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAILS = Path(__file__).parents[1] / "corpus" / "mail"
LONGEST_S = 20
"""Seconds one input may take; instrumented code is ten times slower."""


def seed(name: str, directory: Path) -> None:
    """Write what the fuzzer begins from."""
    if name == "pipeline":
        for path in MAILS.glob("*.eml"):
            shutil.copy(path, directory)
        return
    from tests.fuzz.smtp import SEEDS

    for number, session in enumerate(SEEDS):
        (directory / f"session-{number}").write_bytes(session)


def main(name: str, seconds: int, walk: int, out: Path) -> int:
    """The exit code. The same ``walk`` makes the same choices; 0 makes new ones."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        seed(name, Path(scratch))
        options = [
            f"-max_total_time={seconds}",
            f"-seed={walk}",
            f"-timeout={LONGEST_S}",
            "-rss_limit_mb=2048",
            "-max_len=20000",
        ]
        command = [sys.executable, "-m", f"tests.fuzz.{name}", *options, f"-artifact_prefix={out}/{name}-", scratch]
        return 1 if subprocess.run(command, check=False).returncode else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("pipeline", "smtp"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--walk", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".fuzz"))
    given = parser.parse_args()
    sys.exit(main(given.name, given.seconds, given.walk, given.out))
