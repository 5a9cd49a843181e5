"""Every command in README and docs is run, or says why it cannot be; the ones that are not are counted."""

from __future__ import annotations

import mailbox
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from bridge.cli import app
from tests.docs.blocks import DOCUMENTS, ROOT, RUN, Block, blocks
from tests.docs.transcript import replay
from tests.docs.world import CLOSED, KEY, PATIENCE_S, SCENARIOS, World
from tests.main_job.running import eventually

ALL = list(blocks())
README = [block for block in ALL if block.document.name == "README.md" and block.language == "sh"]
COMMANDS = [block for block in ALL if block.document.name == "commands.md"]
TRANSCRIPTS = [block for block in ALL if "scenario" in block.markers]
ELSEWHERE = [block for block in ALL if {"not run", "run by"} & set(block.markers)]
OTHERS = [
    block for block in ALL if block.language in RUN and block not in (*README, *COMMANDS, *TRANSCRIPTS, *ELSEWHERE)
]
ENDLESS = re.compile(r"ticket-bridge (--env-file \S+ )?(serve|sandbox .*|demo)$")
SMARTHOST = {"BRIDGE_NOTICE_SMARTHOST": "127.0.0.1:9", "BRIDGE_NOTICE_FROM": "postmaster@example.com"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_every_block_says_what_it_is_and_what_is_not_run_is_counted() -> None:
    for block in ALL:
        assert block.language, f"{block.name}: name its language (sh and console are run; text is not)"
        assert "scenario" not in block.markers or block.markers["scenario"] in SCENARIOS, block.name
    for block in ELSEWHERE:
        for path in re.findall(r"\b(?:tests|bridge)/[\w/]+\.py\b", " ".join(block.markers.values())):
            assert (ROOT / path).is_file(), f"{block.name}: {path}"
    not_run = [block for block in ELSEWHERE if "not run" in block.markers]
    elsewhere = len(ELSEWHERE) - len(not_run)
    here = [block for block in ALL if block.language in RUN and block not in ELSEWHERE]
    print(f"{len(here)} blocks of commands are run here, {elsewhere} by other tests, {len(not_run)} are not run:")
    for block in not_run:
        print(f"  {block.name}: {block.markers['not run']}")
    assert len(not_run) <= 12, "more commands than before are not run by anything"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_that_documents_name_are_there(document: Path) -> None:
    root = get_command(app)
    for line in re.findall(r"`(?:tb|ticket-bridge) ([^`\n]+)`", document.read_text("utf-8")):
        command, known = root, {option for parameter in root.params for option in parameter.opts}
        for word in line.split():
            children = getattr(command, "commands", {})
            if word in children:
                command = children[word]
                known |= {option for parameter in command.params for option in parameter.opts}
            elif word.startswith("--") and word != "--":
                assert word.partition("=")[0] in {*known, "--help"}, line


@pytest.mark.timeout(180)
def test_the_readme_from_top_to_bottom(world: World) -> None:
    """On a machine where nothing is configured; the API is the sandbox, whatever a block says."""
    world.env_file.unlink()
    world.credential.unlink()
    world.environ["BRIDGE_API_URL"] = world.api.url
    for block in README:
        if block in ELSEWHERE:
            continue
        text = block.text
        if "queue show ID" in text:
            world.credential.write_text(KEY)
            world.configure(BRIDGE_API_URL=world.api.url)
            world.start()
            world.send("support", "Hello, what is the price?", "nils@holm.example")
            world.entries("held", 1)
            text = text.replace(" ID", f" {world.ids('held')[0]}")
        done = world.run(text)
        expected = int(block.markers.get("exits", "0").partition(",")[0])
        assert done.returncode == expected, f"{block.name}\n{done.stdout}"
        if "tb check" in text:
            wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
            assert len(wrong) == 1, "only the key is wrong"
            assert "401" in wrong[0]


def _prepare(world: World, command: str) -> str:
    """An entry for a command about one, in a state that the command is for."""
    verb = command.split()[2] if command.startswith("ticket-bridge queue") else ""
    state = {"replay": "recorded", "hold": "ready --state unknown"}.get(verb, "held")
    wanted = command.count(" ID")
    found = eventually(lambda: world.ids(state)[wanted - 1 :] and world.ids(state), PATIENCE_S) if wanted else []
    for entry_id in found[:wanted]:
        command = command.replace(" ID", f" {entry_id}", 1)
    return command


@pytest.mark.timeout(500)
@pytest.mark.system
def test_the_examples_in_the_help(world: World) -> None:
    world.configure(BRIDGE_CLOSED_TICKETS="hold", **SMARTHOST)
    world.start()
    for number in range(9):
        world.send(f"support+{CLOSED}", f"Question {number}", f"anna{number}@example.org")
        world.send(words="I am away.", automatic=True)
    world.entries("held", 9)
    world.entries("recorded", 9)
    # Not "refuse": a closed port could not be told to open again.
    world.api.fault(fault="reset_before", count=100_000)
    for number in range(3):
        world.send(f"support+tkt_01hx8z5y4x3w2v1t0s9r8q7p6{'nmk'[number]}", f"Waits {number}", f"b{number}@example.org")
    work = world.root / "work"
    (work / "Maildir/cur").mkdir(parents=True)
    (work / "Maildir/new").mkdir()
    (work / "Maildir/cur/one").write_bytes((work / "mail.eml").read_bytes())
    box = mailbox.mbox(work / "inbox.mbox")
    box.add((work / "mail.eml").read_bytes())
    box.close()
    shutil.copy(work / "inbox.mbox", work / "archive.mbox")
    shutil.copy(work / "mail.eml", work / "old.eml")
    for rules in (work / "own.toml", world.env_file.parent / "sensitivity.toml"):
        shutil.copy(ROOT / "config/sensitivity.example.toml", rules)
    world.environ |= {
        **dict(line.split("=", 1) for line in world.env_file.read_text().splitlines()),
        "CREDENTIALS_DIRECTORY": str(world.credential.parent),
    }
    used: list[str] = []
    for line in [line for block in COMMANDS for line in block.text.splitlines()]:
        used.append(line)
        _run_example(world, line)
    assert len(used) > 25


def _run_example(world: World, line: str) -> None:
    if ENDLESS.match(line):
        # The port that an example names is this world's API, which listens.
        here = re.sub(r"(--bind \S+):\d+", r"\1:0", line)
        done = world.run(f"BRIDGE_LISTEN=127.0.0.1:0 BRIDGE_SPOOL_URL=sqlite:///other.db timeout 8 {here}")
        assert done.returncode in (0, 124), f"{line}\n{done.stdout}"
        assert "listening" in done.stdout or "demo" in line, f"{line}\n{done.stdout}"
        return
    if "send-test" in line:
        world.api.well()
    if line.startswith("ticket-bridge spool move"):
        return  # It needs a PostgreSQL: tests/postgres/test_postgres_move.py.
    if line == "ticket-bridge spool migrate":
        world.stop()
    done = world.run(_prepare(world, line) + (" <<< y" if "--all" in line else ""))
    expected = (0, 1) if re.search("status|check|send-test", line) else (0,)
    assert done.returncode in expected, f"{line}\n{done.stdout}"
    if line == "ticket-bridge spool migrate":
        world.start()


TOOLS = ("openssl", "swaks", "postmap")
"""What only machines for ``make test-system`` have for certain."""


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block, marks=[pytest.mark.system] if any(tool in block.text for tool in TOOLS) else [], id=block.name
        )
        for block in OTHERS
    ],
)
def test_other_commands(block: Block, world: World) -> None:
    expected = int(block.markers.get("exits", "0").partition(",")[0])
    for command, _ in block.commands():
        done = world.run(command)
        assert done.returncode == expected, f"{command}\n{done.stdout}"


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.markers["scenario"])
def test_transcripts_are_what_happens(block: Block, world: World) -> None:
    replay(block, world)


def test_the_demo_ends_as_the_readme_shows(world: World) -> None:
    done = world.run("ticket-bridge demo --once")
    assert done.returncode == 0, done.stdout
    (shown,) = (block for block in ALL if block.document.name == "README.md" and block.language == "text")
    happened = [_plain(line) for line in done.stdout.splitlines()]
    for line in shown.text.splitlines():
        assert "finding" in line or _plain(line) in happened, line


def _plain(line: str) -> str:
    """Without the rule behind a title; how much a sensitivity rule covers is not the README's matter."""
    return re.sub("•+.?", "•", line.rstrip("─ "))
