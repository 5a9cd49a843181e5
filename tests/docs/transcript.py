"""Compares a transcript with what happens, and writes it anew.

``python -m tests.docs.transcript DOCUMENT… [SCENARIO…]``
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from tests.docs.blocks import Block, blocks
from tests.docs.world import PATIENCE_S, SCENARIOS, World

_ID = re.compile(r"\b(?!tkt_)[0-9a-hjkmnp-tv-z]{26}\b")
_VARYING = (
    (re.compile(r"\b(req|tmsg|satt)_[0-9a-z]{26}"), r"\1_…"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b\d+ (s|m|h|d)\b"), "AGE"),
    (re.compile(r"\b\d+(\.\d+)? (MB|GB|KB)\b"), "SIZE"),
    (re.compile(r'"(session|paused_s|bytes|line|size|entries)": ("[0-9a-f]+"|[\d.]+|\[[^]]*\])'), r'"\1": …'),
    (re.compile(r"\b\d+ bytes\b"), "SIZE"),
    (re.compile(r"[ \t]+"), " "),
)
_LOOKS = ("tb status", "tb check", "tb queue list", "tb queue show ", "journalctl ")


def normal(text: str) -> str:
    """``text`` without what differs from one time to the next."""
    for pattern, put in _VARYING:
        text = pattern.sub(put, text)
    return "\n".join(line.rstrip() for line in _ID.sub("ID", text).strip().splitlines())


def replay(block: Block, world: World) -> None:
    """Do what the transcript does; AssertionError where it goes another way."""
    SCENARIOS[block.markers["scenario"]](world)
    ids: dict[str, str] = {}
    for written, printed in block.commands():
        command = _with(ids, written)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = world.run(command).stdout
            # What a bridge does on its own takes its time: whoever reads asks again.
            if normal(found) == normal(printed) or time.monotonic() > deadline or not _only_looks(command):
                break
            time.sleep(0.3)
        assert normal(found) == normal(printed), f"{block.name}: $ {command}\n{found}"
        ids |= dict(zip(_ID.findall(printed), _ID.findall(found), strict=True))


def _with(ids: dict[str, str], command: str) -> str:
    """The command about the entries of this time."""
    for written, here in ids.items():
        command = command.replace(written, here)
    return command


def _only_looks(command: str) -> bool:
    return command.startswith(_LOOKS) and "--text" not in command


def record(block: Block, world: World) -> str:
    """The transcript as it happens now."""
    SCENARIOS[block.markers["scenario"]](world)
    ids: dict[str, str] = {}
    latest, lines = "", []
    for written, printed in block.commands():
        command = re.sub(r"\bID\b", latest, _with(ids, written))
        found = world.run(command).stdout
        settled = time.monotonic() + PATIENCE_S
        while _only_looks(command) and time.monotonic() < settled:
            time.sleep(1.5)
            again = world.run(command).stdout
            if normal(again) == normal(found):
                break
            found = again
        ids |= dict(zip(_ID.findall(printed), _ID.findall(found), strict=False))
        latest = next(iter(_ID.findall(found)), latest)
        lines += [f"$ {command}", *found.rstrip("\n").splitlines()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the transcripts of documents anew; with names of scenarios, those only."""
    wanted = [argument for argument in arguments if argument in SCENARIOS]
    for name in [argument for argument in arguments if argument not in wanted]:
        document = Path(name)
        for block in reversed(list(blocks([document]))):
            if block.markers.get("scenario", "") not in (wanted or SCENARIOS):
                continue
            with tempfile.TemporaryDirectory(prefix="tb-docs-") as directory:
                world = World(Path(directory))
                try:
                    text = record(block, world)
                finally:
                    world.close()
            whole = document.read_text("utf-8")
            document.write_text(whole[: block.at] + text + whole[block.at + len(block.text) :], "utf-8")
            print(f"{block.name}: {block.markers['scenario']}")


if __name__ == "__main__":
    main(sys.argv[1:])
