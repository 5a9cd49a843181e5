"""``ticket-bridge spool``: look after the spool itself. Results on standard output, progress on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.loading_cli import WITHOUT_API, examples, settings_of

if TYPE_CHECKING:
    from bridge.settings import Settings
    from bridge.spool.api import State
    from bridge.spool.export import Exported

EXIT_WRONG = 1
spool = typer.Typer(help="Look after the spool: verify, migrate, compact, export.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="The result as one object.")]


class _Progress:
    """A line on a terminal that is written over; at most five times a second, and nothing where nobody looks."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = 0.0

    def __call__(self, done: int, total: int = 0) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown > 0.2:
            self._shown = now
            typer.echo(f"\r{self._what}: {done}{f' of {total}' if total else ''}\x1b[K", err=True, nl=False)

    def end(self) -> None:
        if self._shown:
            typer.echo("\r\x1b[K", err=True, nl=False)


def _report(result: dict[str, Any], words: str, faults: Sequence[str], *, as_json: bool) -> None:
    """Print a result; exit 1 when something is wrong."""
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        for fault in faults:
            typer.echo(f"WRONG {fault}")
        typer.echo(words)
    raise typer.Exit(EXIT_WRONG if faults else 0)


@spool.command(epilog=examples("spool verify", "spool verify --json"))
def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the file, and that every mail opens and is what was stored; 1 when not. Beside a running bridge too."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.composition import spool_keys, spool_path
    from bridge.spool.cipher import Cipher
    from bridge.spool.upkeep import verify as run

    progress = _Progress("verified")
    found = run(spool_path(settings), Cipher(spool_keys(settings)), progress)
    progress.end()
    words = f"{found.entries} entries, {found.mails} mails of {found.bytes} bytes: "
    _report(
        asdict(found),
        words + (f"{len(found.faults)} faults" if found.faults else "all well"),
        found.faults,
        as_json=as_json,
    )


@spool.command(epilog=examples("spool migrate"))
def migrate(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the spool to this version's schema; `serve` does so by itself. Not while a bridge serves it (75)."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.composition import spool_path
    from bridge.spool.upkeep import migrate as run

    before, after = run(spool_path(settings))
    words = f"schema {after}: nothing to do" if before == after else f"schema {before} became {after}"
    _report({"before": before, "after": after}, words, (), as_json=as_json)


@spool.command(epilog=examples("spool compact"))
def compact(context: typer.Context, as_json: AsJson = False) -> None:
    """Seal everything with the first key of BRIDGE_SPOOL_KEY, and shrink the file unless a bridge serves it."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.composition import spool_keys, spool_path
    from bridge.spool.cipher import Cipher
    from bridge.spool.upkeep import compact as run

    progress = _Progress("sealed anew")
    done = run(spool_path(settings), Cipher(spool_keys(settings)), progress)
    progress.end()
    words = f"{done.resealed} values sealed anew; {done.size_before} bytes became {done.size_after}"
    if not done.shrunk:
        words += "; not shrunk, because a bridge serves it: stop the bridge and run this again for that"
    _report(asdict(done), words, (), as_json=as_json)


@spool.command(epilog=examples("spool export /backup/maildir", "spool export out --state held"))
def export(
    context: typer.Context,
    maildir: Annotated[Path, typer.Argument(help="Where to: a Maildir, made when it is not there.")],
    state: Annotated[list[str] | None, typer.Option(help="Only entries in this state; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the mails whose bodies are kept into a Maildir, envelope on top; each one's audit says so. 1 on faults."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    states = _states(state or [])
    progress = _Progress("exported")
    try:
        done = asyncio.run(_export(settings, maildir, states, progress))
    except OSError as error:
        typer.echo(f"ticket-bridge: {error.filename or maildir}: {error.strerror}", err=True)
        raise typer.Exit(EXIT_WRONG) from None
    progress.end()
    words = f"{done.written} mails written to {maildir}, {done.present} were there, {done.erased} have no body any more"
    _report(asdict(done), words, done.faults, as_json=as_json)


def _states(names: Sequence[str]) -> tuple[State, ...]:
    from bridge.spool.api import State

    try:
        return tuple(State(name) for name in names)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; states: {', '.join(State)}") from None


async def _export(settings: Settings, maildir: Path, states: tuple[State, ...], progress: _Progress) -> Exported:
    from bridge import composition
    from bridge.spool.api import Audit
    from bridge.spool.export import export as run

    opened = await composition.open_spool(settings, exclusive=False)
    try:
        audit = Audit(
            time.time(),
            f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}",
            "export",
            f"to {maildir}",
        )
        return await run(opened, maildir, states, audit, progress)
    finally:
        await opened.close()
