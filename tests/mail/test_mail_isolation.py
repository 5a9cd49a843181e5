"""A mail breaks at most its worker: what a worker knows, and what becomes of one that dies."""

from __future__ import annotations

import base64
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_process
import pytest

from bridge import isolation, lending
from bridge.errors import UnreadableMail
from bridge.isolation import Isolation
from tests.mail import breaking
from tests.main_job.conftest import api, make_bridge
from tests.main_job.running import KEY, TICKET, Api, Bridge, eventually

__all__ = ["api", "make_bridge"]

ORDINARY = b"From: c@example.net\r\nSubject: x\r\n\r\nhello\r\n"


def run(function: Callable[..., Any], *args: Any) -> Any:
    async def once() -> Any:
        return await Isolation(1)._run(function, *args)

    return anyio.run(once)


def test_a_mail_is_read_in_another_process() -> None:
    async def read() -> tuple[str | None, bytes]:
        reader = Isolation(1)
        mail = await reader.read(ORDINARY)
        attached = b"Content-Type: application/pdf\r\n\r\n%PDF"
        with await reader.attachment(attached, "1") as file:
            return mail.text, file.read()

    assert anyio.run(read) == ("hello\n", b"%PDF")


@pytest.mark.parametrize("lends", [True, False])
@pytest.mark.parametrize("size", [1, lending.SMALL_BYTES * 4])
def test_bytes_come_and_go_whole(monkeypatch: pytest.MonkeyPatch, size: int, *, lends: bool) -> None:
    if not lends:
        monkeypatch.setattr(lending, "blank", lambda: None)
        monkeypatch.setattr(isolation, "blank", lambda: None)
    data = os.urandom(size)
    raw = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data)

    async def both() -> tuple[int, bytes]:
        reader = Isolation(1)
        mail = await reader.read(raw)
        with await reader.attachment(raw, mail.attachments[0].path) as file:
            return mail.size, file.read()

    assert anyio.run(both) == (len(raw), data)


def test_a_worker_leaves_alone_what_took_the_number_of_a_loan(tmp_path: Path) -> None:
    file = lending.blank()
    assert file is not None
    told = lending.loan(file, 5)
    other = (tmp_path / "other").open("w+b")
    other.write(b"other")
    other.flush()
    os.dup2(other.fileno(), file.fileno())
    with file, other:
        for look in (told.taken, lambda: told.fill(b"mail")):
            with pytest.raises(FileNotFoundError):
                look()
    assert (tmp_path / "other").read_bytes() == b"other"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_nothing_is_lent_where_a_process_may_not_be_looked_into() -> None:
    script = """
import ctypes, os
from bridge.lending import blank
os.setuid(65534)
for allowed in (0, 1):
    ctypes.CDLL(None).prctl(4, allowed)
    print(blank() is not None)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


def test_an_attachment_that_is_not_there() -> None:
    async def look() -> None:
        await Isolation(1).attachment(ORDINARY, "7")

    with pytest.raises(KeyError):
        anyio.run(look)


@pytest.mark.parametrize(
    ("function", "defect"),
    [(breaking.die, "crash"), (breaking.raise_error, "ZeroDivisionError"), (breaking.hoard, "MemoryError")],
)
def test_what_breaks_its_reader_is_unreadable(function: Callable[[], None], defect: str) -> None:
    with pytest.raises(UnreadableMail) as caught:
        run(function)
    assert caught.value.defect == defect
    assert "words" not in str(caught.value)


@pytest.mark.system
def test_processor_time_is_bounded() -> None:
    begin = time.monotonic()
    with pytest.raises(UnreadableMail, match="crash"):
        run(breaking.spin)
    assert time.monotonic() - begin < 2 * isolation.WALL_S


def test_time_by_the_clock_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "WALL_S", 1.0)
    with pytest.raises(UnreadableMail, match="timeout"):
        run(breaking.sleep)


def test_a_death_is_tried_once_more(tmp_path: Path) -> None:
    assert run(breaking.die_first, str(tmp_path)) == "alive"


def test_second_tries_are_made_one_at_a_time(tmp_path: Path) -> None:
    async def both() -> None:
        reader = Isolation(3)

        async def one() -> None:
            with pytest.raises(UnreadableMail):
                await reader._run(breaking.die_slowly, str(tmp_path))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)

    anyio.run(both)
    lives = sorted(tuple(map(float, path.read_text().split())) for path in tmp_path.iterdir())
    assert len(lives) == 6
    alone = lives[3:]
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(alone))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid: int) -> Iterator[bytes]:
    """What a process can write to: its heap and stacks, piece by piece."""
    spans = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for start, end in ((int(start, 16), int(end, 16)) for start, end in spans):
            try:
                file.seek(start)
                yield file.read(end - start)
            except OSError:
                continue


SECRETS = {
    "BRIDGE_API_KEY": KEY,
    "BRIDGE_ADDRESS_KEYS": f"a:{base64.b64encode(b'address key for this test, 32 oc').decode()}",
    "BRIDGE_SPOOL_KEY": f"b:{base64.b64encode(b'spool key for this test, 32 octet'[:32]).decode()}",
    "BRIDGE_OPS_TOKEN": "ops-token-of-this-test",
}


@pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes' memory")
def test_a_worker_knows_no_secret(make_bridge: Callable[..., Bridge], api: Api) -> None:
    bridge = make_bridge(**SECRETS, BRIDGE_OPS_BIND="127.0.0.1:0")
    bridge.send("From: c@example.net\r\nSubject: x\r\n\r\nhello\r\n")
    assert eventually(api.bodies) == ["hello"]
    workers = children(bridge.process.child.pid)
    assert workers
    for pid in workers:
        known = b"\n".join(
            (*(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline")), *memory(pid))
        )
        assert [name for name, secret in SECRETS.items() if secret.encode() in known] == []
    assert any(KEY.encode() in piece for piece in memory(bridge.process.child.pid)), "the look finds nothing anywhere"


def test_workers_get_the_environment_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_HARMLESS", "1")
    environ, _, kernel = run(breaking.surroundings)
    assert environ["BRIDGE_HARMLESS"] == "1"
    assert b"BRIDGE_HARMLESS=1" in kernel


BREAKING = """
import os
import bridge.mail.parse as parse
honest = parse.lean
def lean(raw, note):
    if b"X-Break: kill" in raw:
        os.kill(os.getpid(), 9)
    if b"X-Break: raise" in raw:
        raise MemoryError
    return honest(raw, note)
parse.lean = lean
"""


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_mail_that_breaks_its_worker_is_held_and_nothing_else_suffers(
    make_bridge: Callable[..., Bridge], api: Api, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BREAKING)
    bridge = make_bridge(PYTHONPATH=str(tmp_path))
    broken = b"X-Break: kill\r\nFrom: c@example.net\r\nSubject: bad\r\n\r\nthe words\r\n"
    for raw in (broken, broken.replace(b"kill", b"raise"), ORDINARY):
        bridge.send(raw)
    assert eventually(api.bodies) == ["hello"]
    held = eventually(lambda: [entry for entry in bridge.queue() if entry["state"] == "held"][1:] and bridge.queue())
    found = [entry for entry in held if entry["state"] == "held"]
    assert [entry["reason"] for entry in found] == ["unreadable", "unreadable"]
    shown = [bridge.command("queue", "show", entry["id"]).stdout for entry in found]
    assert sum("crash" in text for text in shown) == 1
    assert sum("MemoryError" in text for text in shown) == 1
    exported = [bridge.command("queue", "export", entry["id"], "-").stdout for entry in found]
    assert all("the words" in raw for raw in exported)
    assert f"support+{TICKET}" in shown[0]
