"""A sandbox and a bridge as processes of their own, for one scenario."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.main_job.running import Api, Bridge, eventually, sandbox
from torture.checker import Balance, judge
from torture.load import Load, Sent


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the result: what was asked for, what came out."""

    name: str
    figure: str
    passed: bool


@dataclass(slots=True)
class World:
    """What a scenario works with."""

    directory: Path
    api: Api
    bridge: Bridge
    tickets: Sequence[str]

    @property
    def database(self) -> Path:
        """The sandbox's."""
        return self.directory / "sandbox.db"

    def load(self, mails: int | None = None, *, relays: int = 4, size: int = 2_000, pause_s: float = 0.0) -> Load:
        """Relays for about ``mails`` mails over all tickets (without end for None), started."""
        each = None if mails is None else max(1, mails // len(self.tickets))
        return Load(lambda: self.bridge.port, self.tickets, each, relays, size, pause_s).start()

    def states(self) -> Mapping[str, str]:
        """Entry id → state."""
        return {entry["id"]: entry["state"] for entry in self.bridge.queue("--limit", "10000000")}

    def balance(self, mails: Sequence[Sent], within_s: float) -> Balance:
        """The balance once nothing waits any more, or as it is after ``within_s``."""
        eventually(lambda: not self._waiting(), within_s)
        return judge(mails, self.database, self.states())

    def _waiting(self) -> int:
        states = ("received", "ready", "sending", "unknown")
        found = self.bridge.queue(*(word for state in states for word in ("--state", state)), "--limit", "1")
        if found:
            time.sleep(0.5)
        return len(found)


@contextmanager
def world(tickets: int = 8, directory: Path | None = None, **settings: str) -> Iterator[World]:
    """Everything started; ended by process id."""
    with tempfile.TemporaryDirectory(prefix="torture-") as own:
        home = directory or Path(own)
        with sandbox(Path(own)) as api:
            made = [new_ticket(api, number) for number in range(tickets)]
            bridge = Bridge(home, api.url, **settings)
            try:
                yield World(Path(own), api, bridge, made)
            finally:
                bridge.process.kill()


def new_ticket(api: Api, number: int) -> str:
    """A ticket of its own for the load."""
    answer = api.client.post(
        "/api/v2/support/tickets",
        json={"departmentSlug": "support", "subject": f"Torture {number}", "message": "The ticket's first words."},
    )
    answer.raise_for_status()
    ticket: str = answer.json()["id"]
    return ticket


def balanced(name: str, balance: Balance) -> Criterion:
    """The criterion of nearly every scenario."""
    return Criterion(
        f"{name}: every acknowledged mail on its ticket, once and in order", str(balance), balance.all_delivered
    )
