"""Commands in this process, on a spool whose entries stand in every state that people meet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bridge import cli
from bridge.model import Decision, Reply, ReplyLine
from bridge.reasons import Reason
from bridge.spool import open_spool
from bridge.spool.api import Kind, Settlement, Spool, State
from tests.spool import samples

T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Done]


@pytest.fixture
def cli_run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs a command with the settings of a bridge whose spool stands in ``tmp_path``."""

    def run(*arguments: str, **environ: str) -> Done:
        with monkeypatch.context() as patch:
            settings = {
                "BRIDGE_MAIL_DOMAINS": "example.com",
                "BRIDGE_API_KEY": "k",
                "BRIDGE_HOSTNAME": "bridge.example.com",
                "BRIDGE_SPOOL_URL": f"sqlite:///{tmp_path}/spool.db",
                "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
                "COLUMNS": "200",
                **environ,
            }
            for name, value in settings.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["ticket-bridge", *arguments])
            capfd.readouterr()
            code: object = 0
            try:
                cli.main()
            except SystemExit as end:
                code = end.code
        told = capfd.readouterr()
        assert isinstance(code, int) or code is None
        return Done(code or 0, told.out, told.err)

    return run


def with_spool(path: Path, work: Callable[[Spool], Awaitable[T]], *, exclusive: bool = True) -> T:
    """Run ``work`` on the spool at ``path``."""

    async def run() -> T:
        url = f"sqlite:///{path}/spool.db"
        spool = await open_spool(
            url, owner="test", high_water_bytes=2**33, min_free_bytes=0, create=exclusive, exclusive=exclusive
        )
        try:
            return await work(spool)
        finally:
            await spool.close()

    return asyncio.run(run())


WORDS = "my \x1b[31mwords\u202e"


def a_decision(action: str, reason: Reason) -> Decision:
    """A decision whose words try to paint the terminal."""
    lines = (ReplyLine(WORDS, True, "text", "written by the author"), ReplyLine("> old", False, "quote", "history"))
    reply = Reply(WORDS, "> old", lines, 0.9)
    made = replace(samples.decision(action=action, reason=reason, text=WORDS), reply=reply)
    return made if reason is not Reason.NO_TICKET else replace(made, reference=None)


async def fill(spool: Spool) -> dict[str, str]:
    """One entry in each of these places; their ids by name."""
    ids: dict[str, str] = {}

    async def put(name: str, action: str, reason: Reason, state: State, lane: str) -> None:
        (entry,) = await spool.accept(samples.mail(raw=f"Subject: {name}\r\n\r\nraw words\r\n".encode()))
        (claim,) = await spool.claim_received(1, 60)
        await spool.decided(claim, a_decision(action, reason), state=state, lane=lane, body_digest=name)
        ids[name] = entry

    await put("delivered", "deliver", Reason.REPLY, State.READY, samples.lane(9))
    (claim,) = await spool.claim_ready(1, 60)
    attempt = await spool.intend(claim, Kind.POST, "ff")
    await spool.settle(claim, samples.delivered(attempt.number))
    await put("unsure", "deliver", Reason.REPLY, State.READY, samples.lane(8))
    (claim,) = await spool.claim_ready(1, 60)
    await spool.settle(claim, Settlement(State.HELD, Reason.REFUSED_BY_API))
    await put("stranger", "hold", Reason.SENDER_NOT_AUTHENTICATED, State.HELD, samples.lane(1))
    await put("no_ticket", "hold", Reason.NO_TICKET, State.HELD, "")
    await put("recorded", "record", Reason.AUTO_REPLY, State.RECORDED, samples.lane(2))
    await put("ready", "deliver", Reason.REPLY, State.READY, samples.lane(3))
    (ids["received"],) = await spool.accept(samples.mail())
    return ids


@pytest.fixture
def entries(tmp_path: Path) -> dict[str, str]:
    return with_spool(tmp_path, fill)
