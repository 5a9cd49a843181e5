"""The extractor on labelled mails, in folds, and beside what pip can install (``make bench-replies``).

    python ../shared/replies/score.py benchmarks.replies:reply

``reply(kind, data)``: ``kind`` is ``text``, ``html`` or ``eml`` (a raw message, its bytes as a latin-1 string).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bridge.mail.html import render_text
from bridge.mail.parse import read
from bridge.reply import Hints, extract
from tests.reply.hostile import HOSTILE

FOLDS = 5
HINTS = Hints(cut_signoff=True, cut_disclaimer=True, forwarded="cut")
"""The labels of most sources leave sign-off, footer and forwarded message out, so the benchmark runs with the settings
that cut them."""
PEERS = ("talon", "mail-parser-reply", "email-reply-parser", "quotequail", "unquotemail")
PEER_TIMEOUT_S = 120
MEASURES = ("exact", "f1", "lost", "leak", "cat")

Case = dict[str, Any]
Row = dict[str, Any]


def fold(text: str) -> int:
    """The fold that a mail belongs to: by its content, so that equal mails of different sources stay together."""
    digest = hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).digest()
    return digest[0] % FOLDS


def alternatives(kind: str, data: str) -> tuple[str | None, str | None]:
    """A case's text and HTML."""
    if kind == "eml":
        mail = read(data.encode("latin-1"))
        return mail.text, mail.html
    return (data, None) if kind == "text" else (None, data)


def reply(kind: str, data: str, hints: Hints | None = HINTS) -> str:
    """What the author of ``data`` newly wrote."""
    return extract(*alternatives(kind, data), hints=hints).text


def ours(cases: Iterable[Case], hints: Hints | None) -> list[str]:
    """Our extractor's answers."""
    return [reply(case["kind"], case["input"], hints) for case in cases]


def peer(name: str, python: str, cases: Iterable[Case]) -> list[str] | str:
    """A peer's answers, from its own environment; why there are none.

    Libraries that read text only get our rendition of HTML.
    """
    asked = []
    for case in cases:
        text, html = alternatives(case["kind"], case["input"])
        asked.append({"text": text, "html": html, "rendition": render_text(html) if html is not None else None})
    command = [python, str(Path(__file__).with_name("reply_peers.py")), name]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=PEER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done after {PEER_TIMEOUT_S} s"
    if done.returncode:
        return f"does not run: {done.stderr.strip().splitlines()[-1][:80] if done.stderr.strip() else 'no message'}"
    return [render_text(found["html"]) if "html" in found else found["text"] for found in json.loads(done.stdout)]


def table(title: str, groups: dict[str, list[Row] | str]) -> list[str]:
    """A Markdown table of the means, in percent."""
    lines = [f"| {title} | mails | exact | F1 | lost | leak | broken |", "| :-- | --: | --: | --: | --: | --: | --: |"]
    for name, rows in groups.items():
        if isinstance(rows, str):
            lines.append(f"| {name} | | {rows} | | | | |")
            continue
        figures = [f"{100 * statistics.fmean(row[key] for row in rows):.1f}" for key in MEASURES]
        lines.append(f"| {name} | {len(rows)} | {' | '.join(figures)} |")
    return lines


def timings(cases: Iterable[Case]) -> list[str]:
    """Microseconds of one extraction, the better of three, without the parsing of raw mails."""
    lines = ["| kind | mails | median µs | p99 µs |", "| :-- | --: | --: | --: |"]
    found: dict[str, list[float]] = {}
    for case in cases:
        text, html = alternatives(case["kind"], case["input"])
        best = min(_timed(text, html) for _ in range(3))
        for kind in (case["kind"], "all"):
            found.setdefault(kind, []).append(best)
    for kind, times in sorted(found.items()):
        times.sort()
        p99 = times[min(int(len(times) * 0.99), len(times) - 1)]
        lines.append(f"| {kind} | {len(times)} | {statistics.median(times):.0f} | {p99:.0f} |")
    return lines


def _timed(text: str | None, html: str | None) -> float:
    start = time.perf_counter()
    extract(text, html, hints=HINTS)
    return (time.perf_counter() - start) * 1e6


def hostile() -> list[str]:
    """Processor time of one extraction of input that is made to hurt, the better of two."""
    lines = ["| input | characters | s |", "| :-- | --: | --: |"]
    for name, (make, size) in HOSTILE.items():
        text, html = make(size)
        times = []
        for _ in range(2):
            start = time.process_time()
            extract(text, html)
            times.append(time.process_time() - start)
        lines.append(f"| {name} | {len(text or html or '')} | {min(times):.2f} |")
    return lines


def judged(folder: Path, python: str | None) -> tuple[list[Case], dict[str, list[Row] | str]]:
    """The cases, and every extractor's figures on each of them, or why there are none."""
    lines = (folder / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    cases: list[Case] = [json.loads(line) for line in lines]
    judge = _judge(folder / "score.py")

    def rows(answers: list[str] | str) -> list[Row] | str:
        if isinstance(answers, str):
            return answers
        return [judge(case, answer) for case, answer in zip(cases, answers, strict=True)]

    everyone = {"ours": rows(ours(cases, HINTS)), "ours, with the defaults": rows(ours(cases, None))}
    peers = {name: rows(peer(name, python, cases)) for name in PEERS} if python else {}
    return cases, everyone | peers


def report(folder: Path, python: str | None) -> str:
    """All tables, for the labelled mails in ``folder`` (``dev.jsonl``, and ``score.py``, which judges them)."""
    cases, everyone = judged(folder, python)
    best = everyone["ours"]
    assert not isinstance(best, str)
    sources: dict[str, list[Row] | str] = {
        group: [row for row, case in zip(best, cases, strict=True) if group in _groups(case)]
        for group in sorted({name for case in cases for name in _groups(case)})
    }
    folds: dict[str, list[Row] | str] = {
        str(number + 1): [row for row, case in zip(best, cases, strict=True) if fold(case["input"]) == number]
        for number in range(FOLDS)
    }
    return "\n".join(
        [
            "# Extraction of replies",
            "",
            f"Written by `make bench-replies`; Python {platform.python_version()}, {os.cpu_count()} processors.",
            "In percent; broken is lost, leaked or empty. The labels disagree about sign-offs, footers, answered",
            "quotations and forwarded mail, so that nobody reaches 100.",
            "",
            *table("extractor", everyone),
            "",
            "Ours, by source, kind and language:",
            "",
            *table("group", sources),
            "",
            "Ours, in five folds by content, with the rules as they are (none was written for a fold):",
            "",
            *table("fold", folds),
            "",
            "Time of one extraction, the better of three:",
            "",
            *timings(cases),
            "",
            "Hostile input, which may take 0.5 s each; processor time, the better of two:",
            "",
            *hostile(),
            "",
        ]
    )


def _groups(case: Case) -> tuple[str, str, str]:
    language = "English" if case["lang"].startswith("en") else "other languages"
    return f"source {case['source']}", f"kind {case['kind']}", f"in {language}"


def _judge(path: Path) -> Callable[[Case, str], Row]:
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    judge: Callable[[Case, str], Row] = module.score
    return judge


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled mails: dev.jsonl and score.py")
    parser.add_argument("--peers", help="Python of an environment that holds the peers")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = report(arguments.folder, arguments.peers)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
