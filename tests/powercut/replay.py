"""Cuts the power at any moment of a recorded run, and looks at what is left on the disk.

A disk may keep any part of what was not synced: here each write since a file's last sync is kept, dropped or torn at a
sector, as chance has it, and a file whose directory was not synced may be missing altogether. What was acknowledged
before the cut has to be there afterwards.
"""

from __future__ import annotations

import os
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import BridgeError
from bridge.spool.cipher import Cipher
from bridge.spool.upkeep import verify

HERE = Path(__file__).parent
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Step:
    """One record of ``recorder.c``."""

    kind: str
    name: str
    offset: int
    data: bytes


@dataclass(slots=True)
class File:
    """A file of the recorded directory: what is on disk for certain, and what came since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Step] = field(default_factory=list)
    named: bool = False
    """Its directory was synced since it was made."""


@dataclass(slots=True)
class Cuts:
    """What a number of cuts came to."""

    cuts: int = 0
    acknowledged: int = 0
    """Acknowledgements before the cuts, summed up."""
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def build(directory: Path) -> Path:
    """The recorder, compiled (needs gcc)."""
    library = directory / "recorder.so"
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", library, HERE / "recorder.c", "-ldl", "-lpthread"], check=True)
    return library


def record(library: Path, synchronous: str, mails: int) -> list[Step]:
    """One run of the workload, as it met the disk."""
    with tempfile.TemporaryDirectory() as where:
        directory, log = Path(where) / "spool", Path(where) / "log"
        directory.mkdir()
        environ = {**os.environ, "LD_PRELOAD": str(library), "RECORD_DIR": str(directory), "RECORD_LOG": str(log)}
        command = [sys.executable, "-m", "tests.powercut.workload", str(directory), synchronous, str(mails)]
        subprocess.run(command, env=environ, cwd=HERE.parent.parent, check=True, timeout=120)
        return list(_steps(log.read_bytes()))


def _steps(log: bytes) -> Iterator[Step]:
    at = 0
    while at < len(log):
        kind, length, offset, size = struct.unpack_from("<cHQI", log, at)
        path, at = log[at + 15 : at + 15 + length].decode(), at + 15 + length
        data = log[at : at + size] if kind == b"W" else b""
        at += len(data)
        yield Step(kind.decode(), path.rpartition("/")[2], offset, data)


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "T":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
    elif step.data:
        content.extend(bytes(max(0, step.offset - len(content))))
        content[step.offset : step.offset + len(step.data)] = step.data


class Disk:
    """The directory while a recording is played back."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.acks: list[str] = []

    def play(self, step: Step) -> None:
        if step.name == "acks":
            self.acks += step.data.decode().splitlines()
        elif step.kind == "D":
            for file in self.files.values():
                file.named = True
        elif step.kind == "U":
            del self.files[step.name]
        elif step.kind == "C":
            self.files.setdefault(step.name, File())
        elif step.kind == "S":
            file = self.files[step.name]
            for one in file.pending:
                _apply(file.synced, one)
            file.pending.clear()
        else:
            self.files.setdefault(step.name, File()).pending.append(step)

    def cut(self, chance: random.Random, directory: Path) -> None:
        """Write what is left of each file into ``directory``."""
        keep = chance.choice([0.0, 0.0, 0.5, 0.9, 1.0])
        for name, file in self.files.items():
            if not file.named and chance.random() < 0.5:
                continue
            content = bytearray(file.synced)
            for step in file.pending:
                if chance.random() < keep:
                    _apply(content, _torn(step, chance))
            (directory / name).write_bytes(content)


def _torn(step: Step, chance: random.Random) -> Step:
    sectors = len(step.data) // SECTOR
    if not sectors or chance.random() < 0.7:
        return step
    return Step(step.kind, step.name, step.offset, step.data[: chance.randrange(sectors) * SECTOR])


def cut_often(steps: Sequence[Step], cuts: int, chance: random.Random, progress: Callable[[int], None]) -> Cuts:
    """Cut at ``cuts`` moments, spread over the whole run, and look what is left after each."""
    moments = sorted(chance.randrange(1, len(steps) + 1) for _ in range(cuts))
    found, disk, played = Cuts(), Disk(), 0
    memory = Path("/dev/shm")
    for moment in moments:
        for step in steps[played:moment]:
            disk.play(step)
        played = moment
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
            disk.cut(chance, Path(directory))
            _look(Path(directory) / "spool.db", disk.acks, found)
        progress(found.cuts)
    return found


def _look(path: Path, acks: Sequence[str], found: Cuts) -> None:
    """What was acknowledged is there, whole, and what was delivered is known to be."""
    found.cuts += 1
    found.acknowledged += len(acks)
    states: dict[str, str] = {}
    if path.exists() and path.stat().st_size:
        try:
            found.damaged += verify(path, Cipher(), lambda *_: None).faults
            with closing(sqlite3.connect(path)) as db:
                states = dict(db.execute("SELECT id, state FROM entries"))
        except (BridgeError, sqlite3.Error) as error:
            # A cut before the first commit leaves a file without a schema: it is made anew, and nothing is missing.
            if acks:
                found.damaged.append(str(error))
    for ack in acks:
        what, entry_id, *_ = ack.split()
        if entry_id not in states or (what == "delivered" and states[entry_id] != "delivered"):
            found.lost.append(ack)
