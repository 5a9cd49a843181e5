"""``ticket-bridge demo``: a sandbox and a bridge on loopback ports, and what becomes of eight customers' mails.

The mails stand in ``bridge/demo_mails`` and go through real SMTP. Each is judged by GET on the API, never by what the
bridge says of itself.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import smtplib
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import structlog
from rich.console import Console
from structlog.typing import FilteringBoundLogger

from bridge import sensitivity
from bridge.environment import load
from bridge.ops.covering import Covering
from bridge.ops.render import lines, summary
from bridge.sandbox.server import SandboxServer
from bridge.service import Service
from bridge.settings import Settings
from bridge.spool.api import Entry, Filter, State

PATIENCE_S = 60.0
"""How long the mails may take before the demo says that something is wrong."""

Conversations = dict[str, list[dict[str, Any]]]
"""Ticket id → its messages, as the API tells them."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One mail of the demo, and what must be on the ticket afterwards."""

    file: str
    title: str
    recipient: str
    ticket: str = ""
    """The ticket that gets the reply; empty when nothing may be posted."""
    body: str = ""
    """The reply, as the API must have it."""
    encrypted: bool = False
    attachments: tuple[str, ...] = ()


_MAJA = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
_AMINA = "tkt_01hx8z5y4x3w2v1t0s9r8q7p6n"

MAILS = (
    Demonstration(
        "1-gmail-web.eml",
        "Gmail on the web, by plus-address",
        f"support+{_MAJA}@example.com",
        _MAJA,
        "Hej Elin!\n\nTack, det var lösenordet. Nu kommer meddelandena fram igen – men bara till mig.\n"
        "Kan ni lägga till order@lindqvists-blommor.example som mottagare också?\n\n/Maja",
    ),
    Demonstration(
        "2-outlook.eml",
        "Outlook, by the number in the subject",
        "support@example.com",
        "tkt_01hx7m2n4p6q8r0s1t3v5w7x9y",
        "Hi Elin,\n\nthe server is back, thank you. One question is left: the nightly backup of vps-3318 did not run.\n"
        "Was the schedule lost with the reinstallation of the boot loader?\n\nBest regards\nTomasz Wieczorek",
    ),
    Demonstration(
        "3-iphone.eml",
        "Apple Mail on an iPhone",
        f"support+{_AMINA}@example.com",
        _AMINA,
        "Hej Johan,\n\nvi har beställt koden hos vår registrar, den kommer i morgon. "
        "Lägg gärna upp DNS-posterna hos er redan nu!",
    ),
    Demonstration(
        "4-thunderbird-inline.eml",
        "Thunderbird, answered between the quoted lines",
        "support+tkt_01hxa9c8d7e6f5g4h3j2k1m0np@example.com",
        "tkt_01hxa9c8d7e6f5g4h3j2k1m0np",
        "> Ska de tre webbhotellen ha egna domäner?\n\n"
        "Ja, två .se och en .nu. Alla tre är redan registrerade hos er.\n\n"
        "> Behöver någon av kunderna mer än 20 GB?\n\nNej, 20 GB räcker länge.",
    ),
    Demonstration(
        "5-password.eml",
        "In Swedish, with a password in it",
        f"support+{_MAJA}@example.com",
        _MAJA,
        "Hej igen,\n\ngör det gärna åt oss. Inloggningen är info@lindqvists-blommor.example\n"
        "och lösenordet är Pion-Ranunkel-4471.\n\nHälsningar\nMaja",
        encrypted=True,
    ),
    Demonstration(
        "6-attachment.eml",
        "Apple Mail with a picture, by the number in the subject",
        "support@example.com",
        _AMINA,
        "Så här ser våra DNS-poster ut i dag (skärmbild bifogad). Är det något mer ni behöver?\n\nAmina",
        attachments=("DNS-poster glasblåseriet.png",),
    ),
    Demonstration(
        "7-out-of-office.eml", "An out-of-office answer", "support+tkt_01hwy5k8q2v7n3r6t9x0b4d1fg@example.com"
    ),
    Demonstration("8-no-ticket.eml", "A mail that names no ticket", "support@example.com"),
)


def run(*, once: bool) -> int:
    """Run the demo; the exit code. Without ``once`` it stays up until Ctrl-C."""
    return asyncio.run(_run(once=once))


async def _run(*, once: bool) -> int:
    console = Console(highlight=False)
    key = f"demo-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="ticket-bridge-demo-") as directory:
        async with SandboxServer(_bind(8080), keys=[key]) as sandbox:
            service = Service(_settings(sandbox.url, key, Path(directory)), _silent())
            await service.start()
            try:
                before = await _conversations(sandbox.url, key)
                await asyncio.to_thread(_send_all, service.addresses[0])
                entries = await _settled(service)
                after = await _conversations(sandbox.url, key)
                well = await _show(console, service, entries, before, after)
                if once:
                    return 0 if well else 1
                _farewell(console, sandbox.url, service.addresses[0])
                await _until_interrupted()
            finally:
                await service.stop()
    return 0


def _bind(port: int) -> str:
    """The well-known port when it is free, else any."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            port = 0
    return f"127.0.0.1:{port}"


def _settings(api_url: str, key: str, directory: Path) -> Settings:
    settings, _ = load(
        {
            "BRIDGE_LISTEN": _bind(8025),
            "BRIDGE_HOSTNAME": "bridge.example.com",
            "BRIDGE_MAIL_DOMAINS": "example.com",
            "BRIDGE_API_URL": api_url,
            "BRIDGE_API_KEY": key,
            "BRIDGE_SPOOL_URL": f"sqlite:///{directory}/spool.db",
            "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
        }
    )
    return settings


def _silent() -> FilteringBoundLogger:
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    return log


def mail(file: str) -> bytes:
    """The raw mail of ``file``, with the line ends that SMTP wants."""
    text = (resources.files("bridge") / "demo_mails" / file).read_bytes()
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _send_all(address: tuple[str, int]) -> None:
    with smtplib.SMTP(*address, timeout=30) as client:
        for item in MAILS:
            raw = mail(item.file)
            automatic = b"\r\nAuto-Submitted:" in raw
            client.sendmail("" if automatic else "customer@example.net", [item.recipient], raw, ["BODY=8BITMIME"])


async def _settled(service: Service) -> list[Entry]:
    """The entries in the mails' order, when nothing moves any more or after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        entries = list(await service.spool.list(Filter()))
        waiting = [e for e in entries if e.state in (State.RECEIVED, State.READY, State.SENDING, State.UNKNOWN)]
        if len(entries) == len(MAILS) and not waiting:
            return entries
        if time.monotonic() > deadline:
            return entries
        await asyncio.sleep(0.1)


async def _conversations(url: str, key: str) -> Conversations:
    """Every ticket's messages, as the API tells them."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10) as client:
        tickets = (await client.get("/api/v2/support/tickets", params={"limit": 100})).json()["data"]
        found = {}
        for ticket in tickets:
            detail = (await client.get(f"/api/v2/support/tickets/{ticket['id']}")).json()
            found[ticket["id"]] = detail["messages"]
        return found


async def _show(
    console: Console,
    service: Service,
    entries: list[Entry],
    before: Conversations,
    after: Conversations,
) -> bool:
    new = {ticket: messages[len(before[ticket]) :] for ticket, messages in after.items()}
    unclaimed = {ticket: list(messages) for ticket, messages in new.items()}
    well = len(entries) == len(MAILS)
    covering = Covering(sensitivity.load(), "probable")
    for item, entry in zip(MAILS, entries, strict=False):
        detail = await service.spool.detail(entry.id)
        fault = _judge(item, unclaimed)
        well = well and not fault
        console.rule(f"[bold]{item.title}", align="left")
        if detail.decision:
            for line in (*summary(detail.decision, covering), *lines(detail.decision, covering, brief=True)):
                console.print(line)
        console.print(f"{'state':>11}  {entry.state}, {entry.reason}", markup=False)
        verdict = fault or ("the API has it as it should be" if item.ticket else "the API has nothing of it, rightly")
        console.print(f"{'judged':>11}  {verdict}", style="bold red" if fault else "bold green", markup=False)
    stray = sum(len(messages) for messages in unclaimed.values())
    if stray:
        console.print(f"{stray} messages on tickets that no mail accounts for", style="bold red")
    return well and not stray


def _judge(item: Demonstration, unclaimed: Conversations) -> str:
    """What is wrong with the API's view of a mail, or empty. Takes the mail's message out of ``unclaimed``."""
    if not item.ticket:
        return ""
    for message in unclaimed.get(item.ticket, []):
        if (message["body"] or "").strip() == item.body:
            unclaimed[item.ticket].remove(message)
            if message["encrypted"] is not item.encrypted:
                return f"encrypted is {message['encrypted']}, which is wrong"
            files = tuple(attached["filename"] for attached in message["attachments"])
            return "" if files == item.attachments else f"its attachments are {files}, not {item.attachments}"
    return "the ticket has no such reply"


def _farewell(console: Console, page: str, address: tuple[str, int]) -> None:
    host, port = address
    ticket = "support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@example.com"
    console.rule("[bold]Now your own", align="left")
    console.print(f"The tickets, as support staff see them: {page}/", style="bold", markup=False)
    console.print("Send a mail:", markup=False)
    console.print(
        f'  swaks --server {host}:{port} --from you@example.net --to {ticket} --header "Subject: Re: test" '
        "--body 'Hello from swaks'",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"  python3 -c \"import smtplib; smtplib.SMTP('{host}', {port}).sendmail('you@example.net', ['{ticket}'], "
        "'Subject: Re: test\\n\\nHello from Python')\"",
        markup=False,
        soft_wrap=True,
    )
    console.print("Ctrl-C ends it; everything it made is then deleted.", style="dim")


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
