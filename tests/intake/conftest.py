"""An intake in a thread of its own, on a real port, and a client that sends exactly what it is told."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
import uvloop

from bridge.intake import Intake, IntakeConfig, Listen, parse_listen
from bridge.reference import AddressKeys, parse_address
from bridge.spool.api import NewMail

TICKET = "tkt_01hzy3v7k2m4n6p8q0r2s4t6v8"
ADDRESS = f"support+{TICKET}@example.com"
MATCH = partial(
    parse_address,
    domains=frozenset({"example.com"}),
    mailboxes=frozenset({"support", "help"}),
    keys=AddressKeys(),
    signed="off",
)
CONFIG: dict[str, Any] = {
    "hostname": "mx.example.com",
    "match": MATCH,
    "domains": frozenset({"example.com"}),
    "relay_networks": (ip_network("127.0.0.0/8"), ip_network("::1/128")),
}


class Store:
    """A reception in memory, which fails or dawdles as told."""

    def __init__(self) -> None:
        self.mails: list[NewMail] = []
        self.room = True
        self.failure: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        self.entered.set()
        while not self.gate.is_set():
            await asyncio.sleep(0.005)
        if self.failure is not None:
            raise self.failure
        first = sum(len(one.envelopes) for one in self.mails)
        self.mails.append(mail)
        return tuple(f"entry{first + number}" for number in range(len(mail.envelopes)))

    def accepting(self) -> bool:
        return self.room


class Running:
    """One intake and the thread of its loop."""

    def __init__(self, listen: list[Listen], store: Store, kind: str, **changes: Any) -> None:
        self.store = store
        self._loop = uvloop.new_event_loop() if kind == "uvloop" else asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._loop.set_debug, kind == "asyncio")
        self.intake = Intake(IntakeConfig(**(CONFIG | changes)), store, structlog.get_logger())
        try:
            self.do(self.intake.start(listen))
        except BaseException:
            self._end()
            raise

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def drain(self, grace_s: float) -> None:
        self.do(self.intake.drain(grace_s))

    def close(self) -> None:
        self.store.gate.set()
        self.drain(0.2)
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        left = asyncio.all_tasks(self._loop)
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True)) if left else None
        self._loop.close()

    def client(self, number: int = 0, *, greet: bool = True) -> Client:
        host, port = self.intake.addresses[number]
        if port:
            sock = socket.create_connection((host, port), timeout=10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(host)
        client = Client(sock)
        if greet:
            assert client.reply().startswith("220 mx.example.com ")
        return client


class Client:
    """Bytes out, replies in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self) -> str:
        """One reply; its lines joined by newlines. Empty when the connection is closed."""
        lines: list[str] = []
        while True:
            line = self._file.readline().decode()
            assert not line or line.endswith("\r\n")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, *commands: str) -> str:
        """Send commands together; the reply to the last one."""
        self.send("".join(f"{command}\r\n" for command in commands).encode())
        return [self.reply() for _ in commands][-1]

    def begin(self, *recipients: str, hello: str = "EHLO") -> None:
        """Up to the go-ahead for the mail."""
        wanted = recipients or (ADDRESS,)
        answer = self.say(
            f"{hello} client.example", "MAIL FROM:<a@b.example>", *(f"RCPT TO:<{one}>" for one in wanted), "DATA"
        )
        assert answer.startswith("354 ")

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def body(raw: bytes) -> bytes:
    """A stored mail without the trace field that we put on top."""
    lines = raw.split(b"\r\n")
    assert lines[0].startswith(b"Received: from ")
    assert lines[1].startswith(b"\tby mx.example.com with ")
    return b"\r\n".join(lines[3:])


Start = Callable[..., Running]


@pytest.fixture(params=["asyncio", "uvloop"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts intakes; every test runs under both loops."""
    running: list[Running] = []

    def make(*listen: str | Listen, **changes: Any) -> Running:
        places = [parse_listen(one) if isinstance(one, str) else one for one in listen or ("127.0.0.1:0",)]
        running.append(Running(places, changes.pop("store", None) or Store(), request.param, **changes))
        return running[-1]

    yield make
    for one in running:
        one.close()
