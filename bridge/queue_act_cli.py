"""What a person decides: ``queue retry``, ``release``, ``replay``, ``hold``, ``discard``, ``reject`` and ``redirect``.

One entry after another, each action durable and audited on its own: what was done stays done when one is refused.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from bridge import queue_select_cli as select
from bridge.errors import ConfigurationError, UnknownEntry, WrongState

if TYPE_CHECKING:
    from bridge.ops.actions import Actions
    from bridge.settings import Settings
    from bridge.spool.api import Filter, Spool

Act = Callable[["Actions", str], Awaitable[str]]
SHOWN_FROM = 20
"""Entries from which a bulk action shows how far it is."""


@dataclass(frozen=True, slots=True)
class _Bulk:
    """What a command was asked to do, and to which entries."""

    verb: str
    ids: Sequence[str] | None
    chosen: Filter
    everything: bool
    yes: bool
    as_json: bool


def _run(context: typer.Context, bulk: _Bulk, act: Act) -> None:
    async def work(spool: Spool, settings: Settings) -> bool:
        from bridge.ops.actions import Actions

        if bulk.verb == "reject" and not settings.notice_smarthost:
            raise ConfigurationError("nobody can be told without BRIDGE_NOTICE_SMARTHOST: discard instead")
        ids = await _selected(spool, bulk)
        actions, well = Actions(spool, select.actor(), time.time), True
        with _progress(bulk.verb, len(ids)) as step:
            for entry_id in ids:
                try:
                    _say(bulk, await act(actions, entry_id), "")
                except (UnknownEntry, WrongState) as error:
                    _say(bulk, entry_id, str(error))
                    well = False
                step()
        return well

    if not select.with_spool(context, work):
        raise typer.Exit(1)


async def _selected(spool: Spool, bulk: _Bulk) -> Sequence[str]:
    """The ids that were given, or what the filters select once a person agreed: of what the action is for."""
    if bool(bulk.ids) == bulk.everything:
        raise typer.BadParameter("give entry ids, or --all with filters")
    if bulk.ids:
        return bulk.ids
    from bridge.ops.actions import ALLOWED

    states = bulk.chosen.states or tuple(ALLOWED[bulk.verb])
    found = await spool.list(replace(bulk.chosen, states=states))
    if not found:
        typer.echo("no entry is selected", err=True)
    elif not bulk.yes:
        typer.confirm(f"{bulk.verb} {len(found)} entries?", abort=True, err=True)
    return [entry.id for entry in found]


def _say(bulk: _Bulk, entry_id: str, wrong: str) -> None:
    if bulk.as_json:
        told = {"id": entry_id, "action": bulk.verb, "done": not wrong} | ({"error": wrong} if wrong else {})
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif wrong:
        typer.echo(f"{entry_id}: {wrong}", err=True)
    else:
        typer.echo(f"{entry_id}: done")


@contextmanager
def _progress(verb: str, total: int) -> Iterator[Callable[[], None]]:
    """Shows on a terminal how far long work is; gives what counts one step."""
    if total < SHOWN_FROM or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # What is told of each entry stays on the standard output: only on one terminal together it goes above the bar.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda: bar.advance(task)


def _command(name: str, act: Callable[[Actions, str, str], Awaitable[str]]) -> Callable[..., None]:
    """One bulk command; they differ only in the action."""

    def command(  # noqa: PLR0913, PLR0917 - one for each option
        context: typer.Context,
        ids: select.Ids = None,
        note: select.Note = "",
        everything: select.All = False,
        yes: select.Yes = False,
        state: select.StateOption = None,
        ticket: select.TicketOption = "",
        sender: select.SenderOption = "",
        reason: select.ReasonOption = "",
        older_than: select.Older = "",
        as_json: select.AsJson = False,
    ) -> None:
        chosen = select.query(state, ticket, sender, reason, older_than, select.EVERY)
        bulk = _Bulk(name, ids, chosen, everything, yes, as_json)
        _run(context, bulk, lambda actions, entry_id: act(actions, entry_id, note))

    return command


retry = _command("retry", lambda actions, entry_id, note: actions.retry(entry_id, note))
release = _command("release", lambda actions, entry_id, note: actions.release(entry_id, note))
replay = _command("replay", lambda actions, entry_id, note: actions.replay(entry_id, note))
hold = _command("hold", lambda actions, entry_id, note: actions.hold(entry_id, note))
discard = _command("discard", lambda actions, entry_id, note: actions.discard(entry_id, note))
reject = _command("reject", lambda actions, entry_id, note: actions.reject(entry_id, note))


def redirect(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    ids: select.Ids = None,
    to: Annotated[
        str,
        typer.Argument(metavar="TICKET", help="The ticket they belong to: public id or number.", show_default=False),
    ] = ...,  # type: ignore[assignment] # typer's way of saying that it is needed
    note: select.Note = "",
    everything: select.All = False,
    yes: select.Yes = False,
    state: select.StateOption = None,
    ticket: select.TicketOption = "",
    sender: select.SenderOption = "",
    reason: select.ReasonOption = "",
    older_than: select.Older = "",
    as_json: select.AsJson = False,
) -> None:
    """Send entries to another ticket than they name; their mail is read anew for that.

    Held, recorded, discarded and expired entries can be redirected, and those that wait for their turn.
    """
    chosen = select.query(state, ticket, sender, reason, older_than, select.EVERY)
    bulk = _Bulk("redirect", ids, chosen, everything, yes, as_json)
    _run(context, bulk, lambda actions, entry_id: actions.redirect(entry_id, to, note))
