"""A sandbox and a bridge as processes of their own, and the API as the only witness."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
NUMBER = "149943"
KEY = "main-job-key"
T = TypeVar("T")


def eventually(look: Callable[[], T], within_s: float = 20.0) -> T:
    """The first true value of ``look``; its last value when none came."""
    deadline = time.monotonic() + within_s
    while True:
        value = look()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.05)


class Process:
    """A child that announces something in its output, and whose output is kept."""

    def __init__(
        self,
        arguments: list[str],
        announces: str,
        environ: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.output: list[str] = []
        self._announced = threading.Event()
        self._pattern = re.compile(announces)
        self.found: re.Match[str] | None = None
        self.child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environ or {})},
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._announced.wait(30) or self.found is None:
            self.kill()
            raise AssertionError(f"it did not start: {''.join(self.output)}")

    def _read(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self.output.append(line)
            match = None if self.found else self._pattern.search(line)
            if match:
                self.found = match
                self._announced.set()
        self._announced.set()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.child.send_signal(number)
        code = self.child.wait(60)
        self._reader.join(10)
        assert self.child.stdout
        self.child.stdout.close()
        return code

    def kill(self) -> None:
        assert self.child.stdout
        if self.child.poll() is None:
            self.stop(signal.SIGKILL)
        elif not self.child.stdout.closed:
            self._reader.join(10)
            self.child.stdout.close()


class Bridge:
    """``ticket-bridge serve`` on a spool in ``directory``."""

    def __init__(self, directory: Path, api_url: str, **settings: str) -> None:
        self.environ = {
            "BRIDGE_LISTEN": "127.0.0.1:0",
            "BRIDGE_HOSTNAME": "bridge.example.com",
            "BRIDGE_MAIL_DOMAINS": "example.com",
            "BRIDGE_API_URL": api_url,
            "BRIDGE_API_KEY": KEY,
            "BRIDGE_SPOOL_URL": f"sqlite:///{directory}/spool.db",
            "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
            **settings,
        }
        self.start()

    def start(self) -> None:
        self.process = Process(["-m", "bridge", "serve"], r'"port": (\d+)', self.environ)
        assert self.process.found
        self.port = int(self.process.found[1])

    def send(self, raw: bytes | str, to: str = f"support+{TICKET}@example.com", sender: str = "c@example.net") -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, [to], raw)

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def queue(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.command("queue", "list", "--json", *arguments).stdout.splitlines()]


class Api:
    """The sandbox over HTTP: what support staff would see."""

    def __init__(self, url: str, process: Process) -> None:
        self.url = url
        self.process = process
        self.client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        self.before = {ticket: len(self.messages(ticket)) for ticket in self.tickets()}

    def tickets(self) -> list[str]:
        answer = self.client.get("/api/v2/support/tickets", params={"limit": 100})
        return [ticket["id"] for ticket in answer.json()["data"]]

    def messages(self, ticket: str = TICKET) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"/api/v2/support/tickets/{ticket}").json()["messages"]
        return found

    def new(self, ticket: str = TICKET) -> list[dict[str, Any]]:
        try:
            return self.messages(ticket)[self.before.get(ticket, 0) :]
        except httpx.TransportError:
            return []

    def bodies(self, ticket: str = TICKET) -> list[str]:
        return [message["body"] for message in self.new(ticket)]

    def fault(self, **members: Any) -> None:
        self.client.post("/sandbox/faults", json=members).raise_for_status()

    def well(self) -> None:
        self.client.delete("/sandbox/faults").raise_for_status()


@contextmanager
def sandbox(directory: Path) -> Iterator[Api]:
    arguments = ["-m", "bridge", "sandbox", "--bind", "127.0.0.1:0", "--key", KEY]
    process = Process([*arguments, "--database", str(directory / "sandbox.db")], r"(http://\S+)")
    assert process.found
    api = Api(process.found[1].rstrip("/"), process)
    try:
        yield api
    finally:
        api.client.close()
        process.kill()
