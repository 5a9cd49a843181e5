"""``ticket-bridge queue``: see and decide what waits, what is held and why. Works beside a running bridge."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bridge.errors import ConfigurationError, UnknownEntry, WrongState

if TYPE_CHECKING:
    from bridge.ops.actions import Actions
    from bridge.settings import Settings
    from bridge.spool.api import Detail, Entry, Filter, Spool

T = TypeVar("T")

queue = typer.Typer(help="See and decide what waits, what is held and why.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Entry ids, or unambiguous beginnings of 8 characters or more.")]
Note = Annotated[str, typer.Option("--note", help="Why, for the audit.")]
All = Annotated[bool, typer.Option("--all", help="Every entry that the filters select; asks first.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
StateOption = Annotated[list[str] | None, typer.Option("--state", help="Only entries in this state; may be repeated.")]
TicketOption = Annotated[str, typer.Option("--ticket", help="Only entries of this ticket (public id).")]
SenderOption = Annotated[str, typer.Option("--sender", help="Only entries from this address.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Only entries with this reason (docs/reasons.md).")]
Older = Annotated[float | None, typer.Option("--older-than", help="Only entries accepted this many seconds ago.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object a line.")]


def _load(context: typer.Context) -> Settings:
    from bridge.environment import load

    return load(env_file=context.find_root().obj)[0]


def _with_spool(context: typer.Context, work: Callable[[Spool], Awaitable[T]]) -> T:
    from bridge.composition import open_spool, spool_path
    from bridge.ownership import become_owner

    settings = _load(context)
    become_owner(spool_path(settings))

    async def run() -> T:
        spool = await open_spool(settings, exclusive=False)
        try:
            return await work(spool)
        finally:
            await spool.close()

    return asyncio.run(run())


def _filter(states: list[str] | None, ticket: str, sender: str, reason: str, older: float | None, limit: int) -> Filter:
    from bridge.spool.api import Filter, State

    try:
        wanted = tuple(State(name) for name in states or ())
    except ValueError as error:
        raise typer.BadParameter(f"{error}; states: {', '.join(State)}") from None
    return Filter(
        states=wanted, ticket=ticket, sender=sender, reason=reason, older_than_s=older, limit=limit, newest_first=False
    )


def _row(entry: Entry, now: float) -> dict[str, Any]:
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


@queue.command("list")
def list_entries(
    context: typer.Context,
    state: StateOption = None,
    ticket: TicketOption = "",
    sender: SenderOption = "",
    reason: ReasonOption = "",
    older_than: Older = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List entries in the order of acceptance: state, reason, ticket, sender, attempts, age."""
    query = _filter(state, ticket, sender, reason, older_than, limit)
    rows = [_row(entry, time.time()) for entry in _with_spool(context, lambda spool: spool.list(query))]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    from bridge.ops.render import clean

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("id", "state", "reason", "ticket", "sender", "attempts", "age"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        cells = (
            row["id"],
            row["state"],
            row["reason"],
            row["ticket"] or "",
            clean(row["sender"]),
            str(row["attempts"]),
        )
        table.add_row(*cells, _age(row["age_seconds"]))
    # Ids are there to be copied: a narrow terminal wraps its lines rather than the table its cells.
    Console(width=max(Console().width, 160), soft_wrap=True).print(table, crop=False)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@queue.command()
def show(
    context: typer.Context,
    entry_id: Annotated[str, typer.Argument(help="Entry id, or an unambiguous beginning of it.")],
    text: Annotated[bool, typer.Option("--text", help="Show the mail's words too; that is audited.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one entry: envelope, decision, attempts, audit; with --text what was kept and cut."""
    from bridge.spool.api import Audit

    async def work(spool: Spool) -> Detail:
        detail = await spool.detail(entry_id)
        if text:
            await spool.note(detail.entry.id, Audit(time.time(), _actor(), "reveal"))
        return detail

    detail = _with_spool(context, work)
    if as_json:
        typer.echo(json.dumps(_detail(detail, text=text), ensure_ascii=False))
    else:
        _print_detail(detail, text=text)


def _detail(detail: Detail, *, text: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from bridge.ops.render import as_dict

    decision = as_dict(detail.decision) if detail.decision else None
    if decision and not text:
        for name in ("message", "reply", "elided", "subject"):
            del decision[name]
    return {
        **_row(detail.entry, time.time()),
        "envelope": asdict(detail.entry.envelope),
        "decision": decision,
        "attempts_made": [asdict(attempt) for attempt in detail.attempts],
        "audit": [asdict(line) for line in detail.audit],
    }


def _print_detail(detail: Detail, *, text: bool) -> None:
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
        for line in summary(detail.decision):
            console.print(line)
        for line in lines(detail.decision) if text else ():
            console.print(line)
    for attempt in detail.attempts:
        said = f"{attempt.status or ''} {attempt.code} {attempt.detail}".strip()
        console.print(
            f"    attempt  {attempt.number} {attempt.kind}: {attempt.outcome or 'open'} {clean(said)} "
            f"{attempt.request_id} {attempt.message_id}",
            markup=False,
        )
    for audit in detail.audit:
        console.print(f"      audit  {audit.actor}: {audit.action} {clean(audit.note)}", markup=False)


def _actor() -> str:
    return f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"


def _selected(
    context: typer.Context, ids: Sequence[str] | None, query: Filter, *, everything: bool, yes: bool, verb: str
) -> list[str]:
    if bool(ids) == everything:
        raise typer.BadParameter("give entry ids, or --all with filters")
    if ids:
        return list(ids)
    found = [entry.id for entry in _with_spool(context, lambda spool: spool.list(query))]
    if found and not yes:
        typer.confirm(f"{verb} {len(found)} entries?", abort=True)
    return found


def _act(context: typer.Context, ids: Sequence[str], act: Callable[[Actions, str], Awaitable[str]]) -> None:
    async def work(spool: Spool) -> bool:
        from bridge.ops.actions import Actions

        actions, well = Actions(spool, _actor(), time.time), True
        for entry_id in ids:
            try:
                typer.echo(f"{await act(actions, entry_id)}: done")
            except (UnknownEntry, WrongState) as error:
                typer.echo(f"{entry_id}: {error}", err=True)
                well = False
        return well

    if not _with_spool(context, work):
        raise typer.Exit(1)


def _command(name: str, text: str, act: Callable[[Actions, str, str], Awaitable[str]]) -> None:
    """One bulk command; they differ only in the action."""

    @queue.command(name, help=text)
    def command(
        context: typer.Context,
        ids: Ids = None,
        note: Note = "",
        everything: All = False,
        yes: Yes = False,
        state: StateOption = None,
        ticket: TicketOption = "",
        sender: SenderOption = "",
        reason: ReasonOption = "",
        older_than: Older = None,
    ) -> None:
        query = _filter(state, ticket, sender, reason, older_than, 1_000_000)
        if name == "reject" and not _load(context).notice_smarthost:
            raise ConfigurationError("nobody can be told without BRIDGE_NOTICE_SMARTHOST: discard instead")
        chosen = _selected(context, ids, query, everything=everything, yes=yes, verb=name)
        _act(context, chosen, lambda actions, entry_id: act(actions, entry_id, note))


_command("retry", "Try held or waiting entries again now.", lambda actions, i, note: actions.retry(i, note))
_command(
    "release",
    "Let held entries go out to the tickets they name; the sender is known there from now on.",
    lambda actions, i, note: actions.release(i, note),
)
_command("replay", "Post what was recorded, discarded or expired.", lambda actions, i, note: actions.replay(i, note))
_command("hold", "Keep waiting entries back until a person decides.", lambda actions, i, note: actions.hold(i, note))
_command("discard", "Decide that entries are not posted.", lambda actions, i, note: actions.discard(i, note))
_command(
    "reject",
    "Decide that entries are not posted, and tell their senders (needs BRIDGE_NOTICE_SMARTHOST).",
    lambda actions, i, note: actions.reject(i, note),
)


@queue.command()
def redirect(
    context: typer.Context,
    entry_id: Annotated[str, typer.Argument(help="Entry id, or an unambiguous beginning of it.")],
    ticket: Annotated[str, typer.Argument(help="The ticket it belongs to: public id or number.")],
    note: Note = "",
) -> None:
    """Send an entry to another ticket than it names."""
    _act(context, [entry_id], lambda actions, i: actions.redirect(i, ticket, note))


@queue.command()
def export(
    context: typer.Context,
    entry_id: Annotated[str, typer.Argument(help="Entry id, or an unambiguous beginning of it.")],
    file: Annotated[Path, typer.Argument(help="Where to write the raw mail; it must not exist.")],
) -> None:
    """Write an entry's raw mail to a new file of mode 0600; that is audited."""
    from bridge.spool.api import Audit

    async def work(spool: Spool) -> bytes:
        detail = await spool.detail(entry_id)
        raw = await spool.raw(detail.entry.id)
        await spool.note(detail.entry.id, Audit(time.time(), _actor(), "export"))
        return raw

    raw = _with_spool(context, work)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(raw)
    typer.echo(f"{file}: {len(raw)} bytes")
