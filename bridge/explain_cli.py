"""``ticket-bridge explain``: prints what ``bridge.explain`` found, for people or as one object a line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from bridge import sensitivity
from bridge.explain import Assumed, Explained, Ours, explain_all
from bridge.ops.covering import Covering
from bridge.ops.render import as_dict, clean, lines, request, summary, unread
from bridge.settings import Settings


def run(files: list[str], *, env_file: Path | None, assumed: Assumed, as_json: bool, reveal: bool) -> int:
    """Explain every mail of ``files``; 1 when one of them could not be read."""
    settings, configured = _settings(env_file)
    return asyncio.run(_run(files, settings, configured=configured, assumed=assumed, as_json=as_json, reveal=reveal))


def _settings(env_file: Path | None) -> tuple[Settings, bool]:
    """``explain`` needs no API key, and without BRIDGE_MAIL_DOMAINS takes every address for ours."""
    from bridge.environment import load, strip

    settings, warnings = load(env_file=env_file, defaults={"BRIDGE_API_KEY": "-", "BRIDGE_MAIL_DOMAINS": "localhost"})
    strip()
    for warning in warnings:
        typer.echo(f"ticket-bridge: {warning}", err=True)
    return settings, settings.mail_domains != ("localhost",)


async def _run(
    files: list[str], settings: Settings, *, configured: bool, assumed: Assumed, as_json: bool, reveal: bool
) -> int:
    from bridge.composition import address_keys, policy, rules_name

    ours = Ours(
        domains=frozenset(settings.mail_domains) if configured else frozenset(),
        mailboxes=frozenset(settings.mailboxes),
        keys=address_keys(settings),
        signed=settings.signed_addresses,
        hostname=settings.effective_hostname,
    )
    console = Console(highlight=False, soft_wrap=True)
    rests_on = policy(settings)
    covering = Covering(sensitivity.load(rests_on.rules, name=rules_name(settings)), rests_on.sensitivity.tier)
    unreadable = 0
    async for one in explain_all(files, policy=rests_on, ours=ours, assumed=assumed):
        unreadable += one.decision is None
        if as_json:
            typer.echo(json.dumps(_object(one, covering if reveal else None), ensure_ascii=False))
        else:
            _print(console, one, covering, reveal=reveal)
    return 1 if unreadable else 0


def _object(one: Explained, revealing: Covering | None) -> dict[str, Any]:
    if one.decision is None:
        return {"file": one.file, "recipient": one.envelope.recipient, **unread(one.defect)}
    members = as_dict(one.decision)
    if revealing:
        for member, finding in zip(members["findings"], one.decision.findings, strict=True):
            member["matched"] = list(revealing.matched(one.decision, finding))
    return {"file": one.file, "recipient": one.envelope.recipient, **members}


def _print(console: Console, one: Explained, covering: Covering, *, reveal: bool) -> None:
    console.rule(clean(one.file), align="left")
    if one.decision is None:
        console.print(f"hold unreadable: {one.defect}", style="bold red", markup=False)
        return
    for line in summary(one.decision, covering, reveal=reveal):
        console.print(line)
    for line in lines(one.decision, None if reveal else covering):
        console.print(line)
    sent = request(one.decision)
    if sent:
        path, body = sent
        if not reveal:
            body = {name: covering.covered(text) if isinstance(text, str) else text for name, text in body.items()}
        console.print(path, style="bold", markup=False)
        console.print(json.dumps(body, ensure_ascii=False, indent=2), markup=False)
    console.print()
