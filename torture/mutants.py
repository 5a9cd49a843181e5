"""``python -m torture.mutants``: would a test notice a small mistake in the pure packages? (``make mutants``)

cosmic-ray, from an environment of its own, changes one operator, number or branch at a time in a copy of the project,
and the package's own tests run on it. A sample is drawn by a seed: first places in the code, then one change at each,
so that a comparison with its many changes counts no more than a number. What survives is listed; ``--judged`` holds
what a person made of each survivor that was looked at.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import random
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torture.audit import copy_project

TIMES_AS_LONG = 4
"""A change after which the tests take longer than that hangs, and is noticed."""
SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Package:
    """Code, and the tests that are there to catch mistakes in it, the quickest first."""

    name: str
    tests: tuple[str, ...]


PACKAGES = (
    Package("bridge/reference", ("tests/reference",)),
    Package("bridge/reply", ("tests/reply/test_reply_extract.py", "tests/reply")),
    Package("bridge/mail", ("tests/mail/test_mail_corpus.py", "tests/verdict", "tests/mail")),
    Package("bridge/sensitivity", ("tests/sensitivity/test_sensitivity_rules.py", "tests/sensitivity")),
    Package("bridge/pipeline.py", ("tests/verdict", "tests/sensitivity/test_sensitivity_closed.py")),
    Package("bridge/verdict.py", ("tests/verdict",)),
    Package("bridge/message.py", ("tests/delivery/test_delivery_message.py", "tests/verdict")),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """One change and what came of it."""

    place: str
    code: str
    """The changed line, as it is and as it was made."""
    outcome: str

    @property
    def row(self) -> str:
        return f"`{self.place}`: {self.code}"


def main() -> int:
    """Try the sample; 1 when the tests fail on the copy as it is, or a survivor was not judged."""
    parser = argparse.ArgumentParser(prog="python -m torture.mutants", description=__doc__)
    parser.add_argument("--each", type=int, default=4, help="changes for each package; 0: every place")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="only packages whose name contains this")
    parser.add_argument("--cosmic-ray", default=".venv/mutants/bin/cosmic-ray")
    parser.add_argument("--judged", type=Path, default=Path(__file__).with_name("judged.toml"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chosen = [one for one in PACKAGES if not options.only or any(word in one.name for word in options.only)]
    judged = tomllib.loads(options.judged.read_text("utf-8")) if options.judged.exists() else {}
    found: dict[str, tuple[int, list[Tried]]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory, "project")
        copy_project(copy)
        for package in chosen:
            program = str(Path(options.cosmic_ray).absolute())
            found[package.name] = run(copy, package, program, options.each, options.seed)
            for one in found[package.name][1]:
                print(f"{one.outcome:10} {one.row}", file=sys.stderr, flush=True)
    text = "\n".join(report(found, judged, options.each, options.seed))
    print(text)
    if options.out:
        options.out.write_text(text, "utf-8")
    survivors = [one for _, tried in found.values() for one in tried if one.outcome == SURVIVED]
    return int(any(key(one) not in judged for one in survivors))


def run(copy: Path, package: Package, program: str, each: int, seed: int) -> tuple[int, list[Tried]]:
    """How many places the package has, and what came of those that were tried."""
    arguments = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not system and not shared"]
    tests = [sys.executable, *arguments, "--hypothesis-profile", "quick", *package.tests]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    begin = time.monotonic()
    done = subprocess.run(tests, cwd=copy, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{package.name}: its tests fail on the copy as it is:\n{done.stdout[-2000:]}")
    within_s = TIMES_AS_LONG * (time.monotonic() - begin) + 20
    print(f"{package.name}: its tests took {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    config, session = copy.parent / "config.toml", copy.parent / "session.sqlite"
    session.unlink(missing_ok=True)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "{package.name}"\ntimeout = {within_s:.1f}\nexcluded-modules = []\n'
        f"test-command = {json.dumps(shlex.join(tests))}\n[cosmic-ray.distributor]\nname = 'local'\n"
    )
    subprocess.run([program, "init", str(config), str(session)], cwd=copy, env=environ, check=True)
    places = sample(copy, session, each, seed)
    subprocess.run([program, "exec", str(config), str(session)], cwd=copy, env=environ, check=True)
    dump = subprocess.run(
        [program, "dump", str(session)], cwd=copy, env=environ, capture_output=True, text=True, check=True
    )
    return places, [_tried(json.loads(line)) for line in dump.stdout.splitlines()]


def sample(copy: Path, session: Path, each: int, seed: int) -> int:
    """Leave only one change at each of ``each`` places in the session; how many places there were."""
    annotations: dict[str, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
    places: dict[tuple[str, int, int], list[str]] = {}
    with contextlib.closing(sqlite3.connect(session)) as db:
        query = "SELECT module_path, start_pos_row, start_pos_col, job_id FROM mutation_specs"
        for path, row, column, job in db.execute(f"{query} ORDER BY 1, 2, 3, operator_name, occurrence"):
            spans = annotations.setdefault(path, list(_annotations(copy / path)))
            if not any(first <= (row, column) < last for first, last in spans):
                places.setdefault((path, row, column), []).append(job)
        chance = random.Random(seed)
        chosen = sorted(places) if not each else chance.sample(sorted(places), min(each, len(places)))
        kept = [(chance.choice(places[place]),) for place in chosen]
        db.execute("CREATE TEMP TABLE kept (job_id TEXT PRIMARY KEY)")
        db.executemany("INSERT INTO kept VALUES (?)", kept)
        db.execute("DELETE FROM mutation_specs WHERE job_id NOT IN (SELECT job_id FROM kept)")
        db.execute("DELETE FROM work_items WHERE job_id NOT IN (SELECT job_id FROM kept)")
        db.commit()
    return len(places)


def _annotations(path: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types are told: a change there changes nothing, for they are never evaluated."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for told in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(told, ast.expr) and told.end_lineno and told.end_col_offset:
                yield (told.lineno, told.col_offset), (told.end_lineno, told.end_col_offset)


def _tried(dumped: Sequence[dict[str, object]]) -> Tried:
    item, result = dumped
    mutation = item["mutations"][0]  # type: ignore[index]  # JSON
    diff = str(result["diff"]).splitlines()
    changed = [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    old, new = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    row = mutation["start_pos"][0]
    return Tried(f"{mutation['module_path']}:{row}", f"`{old}` → `{new}`", str(result["test_outcome"]))


def key(one: Tried) -> str:
    """What a judgement is found by: the file and the change, not the line's number."""
    return f"{one.place.partition(':')[0]}: {one.code.replace('`', '')}"


def report(found: dict[str, tuple[int, list[Tried]]], judged: dict[str, str], each: int, seed: int) -> Iterator[str]:
    """The result as Markdown."""
    wanted = f"{each} places of each package, seed {seed}" if each else "every place"
    yield from ("# Mutation tests", "", f"`make mutants` (cosmic-ray 8.7.0): {wanted}, one change at each.", "")
    yield from ("| package | places | tried | noticed | survived |", "|---|---|---|---|---|")
    for name, (places, tried) in found.items():
        lived = sum(one.outcome == SURVIVED for one in tried)
        yield f"| `{name}` | {places:,} | {len(tried)} | {len(tried) - lived} | {lived} |"
    yield from ("", "## What survived, and what that means", "")
    for _, tried in found.values():
        for one in tried:
            if one.outcome == SURVIVED:
                yield f"- {one.row} — {judged.get(key(one), '**not judged yet**')}"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
