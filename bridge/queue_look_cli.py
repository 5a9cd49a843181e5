"""``queue list``, ``queue show`` and ``queue export``: what is there."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge import queue_select_cli as select

if TYPE_CHECKING:
    from bridge.ops.covering import Covering
    from bridge.settings import Settings
    from bridge.spool.api import Detail, Entry, Spool


def row(entry: Entry, now: float) -> dict[str, Any]:
    """What scripts may rely on of an entry."""
    return {
        "id": entry.id,
        "state": str(entry.state),
        "reason": str(entry.reason),
        "ticket": entry.lane or None,
        "sender": entry.sender,
        "recipient": entry.envelope.recipient,
        "attempts": entry.attempts,
        "age_seconds": round(now - entry.accepted_at, 1),
        "next_in_seconds": round(max(0.0, entry.next_at - now), 1),
        "size": entry.size,
    }


def list_entries(
    context: typer.Context,
    state: select.StateOption = None,
    ticket: select.TicketOption = "",
    sender: select.SenderOption = "",
    reason: select.ReasonOption = "",
    older_than: select.Older = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: select.AsJson = False,
) -> None:
    """List entries in the order of acceptance: state, reason, ticket, sender, attempts, age.

    States: received (not read yet), ready (waits for its turn), sending, unknown (is looked for on the ticket), held
    (waits for a person), delivered, recorded (automatic mail, kept), discarded, expired.
    """
    chosen = select.query(state, ticket, sender, reason, older_than, limit)
    rows = [row(entry, time.time()) for entry in select.with_spool(context, lambda spool, _: spool.list(chosen))]
    if as_json:
        for one in rows:
            typer.echo(json.dumps(one, ensure_ascii=False))
    else:
        _print_rows(rows)
    if len(rows) == limit:
        typer.echo(f"only the first {limit} are shown: --limit shows more", err=True)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from bridge.ops.render import clean

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("id", "state", "reason", "ticket", "sender", "attempts", "age"):
        table.add_column(name, no_wrap=True)
    for one in rows:
        cells = (one["id"], one["state"], one["reason"], one["ticket"] or "", clean(one["sender"]))
        table.add_row(*cells, str(one["attempts"]), _age(one["age_seconds"]))
    # Ids are there to be copied: a narrow terminal wraps its lines rather than the table its cells.
    Console(width=max(Console().width, 160), soft_wrap=True).print(table, crop=False)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def show(
    context: typer.Context,
    entry_id: select.OneId,
    text: Annotated[bool, typer.Option("--text", help="Show the mail's words too; that is audited.")] = False,
    as_json: select.AsJson = False,
) -> None:
    """Show one entry: envelope, decision, attempts, audit; with --text what was kept and cut."""
    from bridge.spool.api import Audit

    async def work(spool: Spool, settings: Settings) -> tuple[Detail, Covering | None]:
        detail = await spool.detail(entry_id)
        if text:
            await spool.note(detail.entry.id, Audit(time.time(), select.actor(), "reveal"))
        return detail, None if text else _covering(settings)

    detail, covering = select.with_spool(context, work)
    if as_json:
        typer.echo(json.dumps(_detail(detail, covering), ensure_ascii=False))
    else:
        _print_detail(detail, covering)


def _covering(settings: Settings) -> Covering:
    from bridge import sensitivity
    from bridge.composition import policy, rules_name
    from bridge.ops.covering import Covering

    rests_on = policy(settings)
    return Covering(sensitivity.load(rests_on.rules, name=rules_name(settings)), rests_on.sensitivity.tier)


def _detail(detail: Detail, covering: Covering | None) -> dict[str, Any]:
    from dataclasses import asdict

    from bridge.ops.render import as_dict

    decision = as_dict(detail.decision, covering) if detail.decision else None
    if decision and covering:
        for name in ("message", "reply", "elided", "subject"):
            del decision[name]
    return {
        **row(detail.entry, time.time()),
        "envelope": asdict(detail.entry.envelope),
        "decision": decision,
        "attempts_made": [asdict(attempt) for attempt in detail.attempts],
        "audit": [asdict(line) for line in detail.audit],
    }


def _print_detail(detail: Detail, covering: Covering | None) -> None:
    from rich.console import Console

    from bridge.ops.render import clean, lines, summary
    from bridge.reasons import REASONS

    console = Console(highlight=False, soft_wrap=True)
    entry = detail.entry
    console.print(f"{entry.id}  {entry.state}, {entry.reason}: {REASONS[entry.reason]}", markup=False)
    console.print(
        f"   envelope  from <{clean(entry.envelope.mail_from)}> to <{clean(entry.envelope.recipient)}>, "
        f"by {entry.envelope.client_ip} ({entry.envelope.protocol}), {_age(time.time() - entry.accepted_at)} ago",
        markup=False,
    )
    if detail.decision:
        for line in summary(detail.decision, covering):
            console.print(line)
        for line in () if covering else lines(detail.decision):
            console.print(line)
    for attempt in detail.attempts:
        said = f"{attempt.status or ''} {attempt.code} {attempt.detail}".strip()
        console.print(
            f"    attempt  {attempt.number} {attempt.kind}: {attempt.outcome or 'open'} {clean(said)} "
            f"{attempt.request_id} {attempt.message_id}".rstrip(),
            markup=False,
        )
    for audit in detail.audit:
        console.print(f"      audit  {audit.actor}: {audit.action} {clean(audit.note)}".rstrip(), markup=False)


def export(
    context: typer.Context,
    entry_id: select.OneId,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to write the raw mail; it must not exist. '-' is the output.")
    ],
) -> None:
    """Write an entry's raw mail to a new file of mode 0600, or to the standard output; that is audited.

    The file is made as the spool's owner, who may not write everywhere: '-' and the shell's '>' write as you.
    """
    from bridge.spool.api import Audit

    async def work(spool: Spool, _settings: object) -> bytes:
        detail = await spool.detail(entry_id)
        raw = await spool.raw(detail.entry.id)
        await spool.note(detail.entry.id, Audit(time.time(), select.actor(), "export"))
        return raw

    raw = select.with_spool(context, work)
    if file == "-":
        sys.stdout.buffer.write(raw)
        return
    try:
        descriptor = os.open(Path(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}; '-' writes to the standard output", err=True)
        raise typer.Exit(1) from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(raw)
    typer.echo(f"{file}: {len(raw)} bytes")
