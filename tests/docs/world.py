"""A machine as the documents speak of it, in a directory: paths and ports are put for those that are written there.

The bridge, the sandbox and every command are real processes. ``systemctl`` and ``journalctl`` are played: the first
starts and stops the bridge with the unit's settings, the second shows the bridge's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.main_job import running
from tests.main_job.running import NUMBER, TICKET, Api, Process, eventually

KEY = "the-right-key"
CLOSED = "tkt_01hwy5k8q2v7n3r6t9x0b4d1fg"
NOBODY = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"
PATIENCE_S = 90.0
"""How long anything may take on a machine that is busy with other work."""
ENV = """BRIDGE_MAIL_DOMAINS=example.com
BRIDGE_HOSTNAME=bridge.example.com
BRIDGE_LISTEN=127.0.0.1:{port}
BRIDGE_API_URL={api}
BRIDGE_SPOOL_URL=sqlite:///{root}/var/lib/ticket-bridge/spool.db
BRIDGE_SPOOL_MIN_FREE_BYTES=0
"""
POISON = b"a mail that breaks its reader"
_POISONED = f"""import os
import bridge.pipeline as pipeline
_read = pipeline.read
def read(raw):
    if {POISON!r} in raw:
        os.abort()
    return _read(raw)
pipeline.read = read
"""
_JOURNALCTL = """#!/bin/bash
while [ $# -gt 0 ]; do case "$1" in -g) pattern="$2"; shift 2;; -n) lines="$2"; shift 2;; *) shift;; esac; done
grep -h -- "${pattern:-.}" LOG | tail -n "${lines:-1000}"
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class World:
    """One machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        for name in ("etc/ticket-bridge/credentials", "var/lib/ticket-bridge", "bin", "work", "poison", "backup"):
            (root / name).mkdir(parents=True)
        keys = ["--key", KEY, "--key", running.KEY]
        self._sandbox = Process(["-m", "bridge", "sandbox", "--bind", "127.0.0.1:0", *keys], r"(http://\S+)")
        assert self._sandbox.found
        self.api = Api(self._sandbox.found[1].rstrip("/"), self._sandbox)
        self.env_file = root / "etc/ticket-bridge/bridge.env"
        self.credential = root / "etc/ticket-bridge/credentials/api_key"
        self.credential.write_text(KEY)
        self.env_file.write_text(ENV.format(port=self.port, api=self.api.url, root=root))
        self._bridge: Process | None = None
        self.environ: dict[str, str] = {}
        """For the commands, besides this test's own."""
        self._log = root / "log"
        self._log.touch()
        tool = f'exec {sys.executable} -m bridge "$@"\n'
        credentials = f"CREDENTIALS_DIRECTORY={self.credential.parent}"
        self._tool("ticket-bridge", tool)
        self._tool("tb", f'{credentials} exec ticket-bridge --env-file {self.env_file} "$@"\n')
        self._tool("journalctl", _JOURNALCTL.replace("LOG", str(self._log)))
        shutil.copytree(Path(__file__).resolve().parents[2] / "bridge/demo_mails", root / "work/mails")
        shutil.copy(root / "work/mails/5-password.eml", root / "work/mail.eml")

    def _tool(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/bash\n{text}")
        path.chmod(0o755)

    def configure(self, **settings: str) -> None:
        """Lines for the env file."""
        names = tuple(f"{name}=" for name in settings)
        kept = [line for line in self.env_file.read_text().splitlines() if not line.startswith(names)]
        lines = [*kept, *(f"{name}={value}" for name, value in settings.items())]
        self.env_file.write_text("\n".join(lines) + "\n")

    def poison(self) -> None:
        """A fault in the reader, as a mail may find one: a bridge that starts from here on has it."""
        (self.root / "poison/sitecustomize.py").write_text(_POISONED)

    def start(self) -> None:
        environ = {"CREDENTIALS_DIRECTORY": str(self._loaded()), "PYTHONPATH": str(self.root / "poison")}
        self._bridge = Process(
            ["-m", "bridge", "--env-file", str(self.env_file), "serve"], r'"event": "started"', environ
        )

    def _loaded(self) -> Path:
        """LoadCredential=bridge:DIRECTORY, as systemd.exec(5) says: copies, named after both."""
        run = self.root / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        for file in self.credential.parent.iterdir():
            shutil.copy(file, run / f"bridge_{file.name}")
        return run

    def stop(self) -> None:
        if self._bridge:
            assert self._bridge.stop() == 0
            self._keep_log()
            self._bridge = None

    def _keep_log(self) -> None:
        if self._bridge:
            with self._log.open("a") as file:
                file.writelines(self._bridge.output)
                self._bridge.output.clear()

    def systemctl(self, verb: str) -> None:
        if verb in ("stop", "restart"):
            self.stop()
        if verb in ("start", "restart"):
            self.start()
        if verb == "reload" and self._bridge:
            self._bridge.child.send_signal(signal.SIGHUP)

    def close(self) -> None:
        if self._bridge:
            self._bridge.kill()
        self.api.client.close()
        self._sandbox.kill()

    def send(
        self,
        to: str = f"support+{TICKET}",
        words: str = "Hello.",
        sender: str = "anna@example.org",
        *,
        automatic: bool = False,
    ) -> None:
        sign = "Auto-Submitted: auto-replied\r\n" if automatic else ""
        raw = f"From: Anna Berg <{sender}>\r\nSubject: Re: your answer\r\n{sign}\r\n{words}\r\n"
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client, contextlib.suppress(smtplib.SMTPException):
            client.sendmail(sender, [f"{to}@example.com"], raw.encode())

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command of a document."""
        self._keep_log()
        words = command.split()
        if words[:1] == ["systemctl"] and words[-1] == "ticket-bridge":
            self.systemctl(words[1])
            return subprocess.CompletedProcess(words, 0, "", "")
        if command.startswith("# "):
            STEPS[command.removeprefix("# ")](self)
            return subprocess.CompletedProcess(words, 0, "", "")
        environ = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "USER": "root", "COLUMNS": "160"}
        environ |= self.environ
        environ.pop("SUDO_USER", None)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.live(command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.root / "work",
            env=environ,
            check=False,
            timeout=PATIENCE_S,
        )
        return subprocess.CompletedProcess(words, done.returncode, self.written(done.stdout), "")

    def _pairs(self) -> list[tuple[str, str]]:
        api_port = self.api.url.rpartition(":")[2]
        named = [
            (f"/{name}", f"{self.root}/{name}") for name in ("etc/ticket-bridge", "var/lib/ticket-bridge", "backup")
        ]
        tool = ("/opt/ticket-bridge/bin/", f"{self.root}/bin/")
        return [*named, tool, ("127.0.0.1:8025", f"127.0.0.1:{self.port}"), ("127.0.0.1:8080", f"127.0.0.1:{api_port}")]

    def live(self, text: str) -> str:
        """Where a document speaks of a path or a port, this machine's."""
        for written, here in self._pairs():
            text = text.replace(written, here)
        return text

    def written(self, text: str) -> str:
        """The other way round."""
        for written, here in self._pairs():
            text = text.replace(here, written)
        return text

    def ids(self, state: str) -> list[str]:
        """The entries in a state."""
        rows = self.run(f"tb queue list --json --state {state}").stdout.splitlines()
        return [json.loads(row)["id"] for row in rows]

    def entries(self, state: str, count: int) -> None:
        """Wait until so many entries are in a state."""

        assert eventually(lambda: len(self.ids(state)) >= count, PATIENCE_S), (
            f"there are not {count} entries that are {state}"
        )


def first_look(world: World) -> None:
    world.start()
    world.send(words="It works again, thank you!")
    world.send("support", "Hello, what is the price?", "nils@holm.example")
    world.entries("delivered", 1)
    world.entries("held", 1)


def broken_key(world: World) -> None:
    world.credential.write_text("an-old-key")
    world.start()
    world.send(words="Sent while the key was broken.")
    assert eventually(lambda: "paused: key" in world.run("tb status").stdout, PATIENCE_S), "delivery is not paused"
    world.send(f"support+{NUMBER}", "And another one.", "nils@holm.example")


def unknown_ticket(world: World) -> None:
    world.start()
    world.send(f"support+{NOBODY}", "My order is late.")
    world.entries("held", 1)


def closed_ticket(world: World) -> None:
    world.configure(BRIDGE_CLOSED_TICKETS="hold")
    world.start()
    world.send(f"support+{CLOSED}", "One more question.")
    world.entries("held", 1)


def reopen(world: World) -> None:
    answer = world.api.client.post(f"/api/v2/support/tickets/{CLOSED}/actions/reopen")
    assert answer.is_success, answer.text


def poison_mail(world: World) -> None:
    world.poison()
    world.start()
    world.send(words=POISON.decode())
    world.send(words="The one behind it.", sender="nils@holm.example")
    world.entries("held", 1)
    world.entries("delivered", 1)


def full_disk(world: World) -> None:
    left_over = world.root / "var/lib/ticket-bridge/left-over.img"
    with left_over.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 2_000_000_000)
    free = shutil.disk_usage(world.root).free
    world.configure(BRIDGE_SPOOL_MIN_FREE_BYTES=str(free + 1_000_000_000))
    world.start()
    time.sleep(1)
    world.send()


def stopped(world: World) -> None:
    first_look(world)
    world.stop()


def misspelled(world: World) -> None:
    world.configure(BRIDGE_MAILBOXS="help")


def shadow(world: World) -> None:
    world.configure(BRIDGE_MODE="shadow")
    world.start()
    world.send(words="Would be posted.")
    world.entries("recorded", 1)


SCENARIOS: dict[str, Callable[[World], None]] = {
    made.__name__: made
    for made in (
        first_look,
        broken_key,
        unknown_ticket,
        closed_ticket,
        poison_mail,
        full_disk,
        stopped,
        misspelled,
        shadow,
    )
}
STEPS: dict[str, Callable[[World], None]] = {"the ticket is reopened in the ticket system": reopen}
