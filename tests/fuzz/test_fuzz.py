"""Each fuzzer for a minute, both at once, on the same walk each time; ``make fuzz`` explores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60


@pytest.mark.system
@pytest.mark.timeout(240)
def test_fuzzers_find_nothing(tmp_path: Path) -> None:
    runs = {
        name: subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.fuzz.run", name),
                *("--seconds", str(SECONDS), "--walk", "1", "--out", str(tmp_path)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        for name in ("pipeline", "smtp")
    }
    said = {name: run.communicate(timeout=200)[0] for name, run in runs.items()}
    for name, run in runs.items():
        assert run.returncode == 0, said[name][-5000:]
        assert "DONE" in said[name] or "Done" in said[name], said[name][-2000:]
    assert not list(tmp_path.iterdir())
