"""``ticket-bridge spool``: look after the spool itself. Results on standard output, progress on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bridge.loading_cli import WITHOUT_API, examples, settings_of

if TYPE_CHECKING:
    from bridge.settings import Settings
    from bridge.spool.api import State
    from bridge.spool.cipher import Cipher
    from bridge.spool.export import Exported
    from bridge.spool.ledger import Ledger
    from bridge.spool.moving import Moved

EXIT_WRONG = 1
T = TypeVar("T")
spool = typer.Typer(help="Look after the spool: verify, migrate, compact, move, export.", no_args_is_help=True)

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
    from bridge.spool import is_postgres
    from bridge.spool.cipher import Cipher

    progress = _Progress("verified")
    if is_postgres(settings.spool_url):
        from bridge.spool.postgres.upkeep import verify as verify_shared

        found = asyncio.run(_beside(settings, lambda spool, cipher: verify_shared(spool, cipher, progress)))
    else:
        from bridge.spool.upkeep import verify as verify_file

        found = verify_file(spool_path(settings), Cipher(spool_keys(settings)), progress)
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
    """Bring the spool to this version's schema.

    On SQLite `serve` does so by itself, and this is for when no bridge serves it (75). On PostgreSQL it makes the
    schema, too, and bridges of the version before may go on running meanwhile.
    """
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.composition import spool_path
    from bridge.spool import is_postgres, migrate_postgres
    from bridge.spool.upkeep import migrate as migrate_file

    if is_postgres(settings.spool_url):
        before, after = asyncio.run(migrate_postgres(settings.spool_url))
    else:
        before, after = migrate_file(spool_path(settings))
    words = f"schema {after}: nothing to do" if before == after else f"schema {before} became {after}"
    _report({"before": before, "after": after}, words, (), as_json=as_json)


@spool.command(epilog=examples("spool compact"))
def compact(context: typer.Context, as_json: AsJson = False) -> None:
    """Seal everything with the first key of BRIDGE_SPOOL_KEY, and shrink the file unless a bridge serves it."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.composition import spool_keys, spool_path
    from bridge.spool import is_postgres
    from bridge.spool.cipher import Cipher

    progress = _Progress("sealed anew")
    if is_postgres(settings.spool_url):
        from bridge.spool.postgres.upkeep import compact as compact_shared

        done = asyncio.run(_beside(settings, lambda spool, cipher: compact_shared(spool, cipher, progress)))
    else:
        from bridge.spool.upkeep import compact as compact_file

        done = compact_file(spool_path(settings), Cipher(spool_keys(settings)), progress)
    progress.end()
    words = f"{done.resealed} values sealed anew; {done.size_before} bytes became {done.size_after}"
    if not done.shrunk:
        words += "; not shrunk, because a bridge serves it: stop the bridge and run this again for that"
    _report(asdict(done), words, (), as_json=as_json)


@spool.command(
    epilog=examples("spool move sqlite:////var/lib/ticket-bridge/spool.db postgresql://bridge@db.example.com/bridge")
)
def move(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the spool that is there; no bridge serves it.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of a new spool, or of one half moved before.")],
    as_json: AsJson = False,
) -> None:
    """Copy a whole spool into another store, SQLite or PostgreSQL; run it again when it broke off.

    Nothing is taken away; the old spool then says that it was moved, and no bridge serves it any more.
    """
    settings = settings_of(context, defaults=WITHOUT_API)
    progress = _Progress("moved")
    done = asyncio.run(_move(settings, source, target, progress))
    progress.end()
    counted = ", ".join(f"{number} {table}" for table, number in done.tables.items() if number)
    _report(
        asdict(done), f"{done.copied} entries copied; both hold {counted or 'nothing'}: all there", (), as_json=as_json
    )


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


async def _beside(settings: Settings, work: Callable[[Ledger, Cipher], Awaitable[T]]) -> T:
    """Work on the spool beside those who serve it."""
    from bridge import composition
    from bridge.spool.cipher import Cipher

    opened = await composition.open_spool(settings, exclusive=False)
    try:
        return await work(opened, Cipher(composition.spool_keys(settings)))
    finally:
        await opened.close()


async def _move(settings: Settings, source: str, target: str, progress: _Progress) -> Moved:
    """The lock of a file, and the sign of life in a database, tell that nobody serves either spool."""
    from bridge import composition
    from bridge.errors import SpoolBusy
    from bridge.ops.heartbeat import GONE_S, newest
    from bridge.settings import spool_address
    from bridge.spool import is_postgres, migrate_postgres
    from bridge.spool.moving import move as run

    opened: list[Ledger] = []
    try:
        for url in (source, target):
            changed = settings.model_copy(update={"spool_url": spool_address(url)})
            if is_postgres(url) and url == target:
                await migrate_postgres(url)
            elif url == source and not is_postgres(url) and not composition.spool_path(changed).exists():
                raise typer.BadParameter(f"there is no spool at {composition.spool_path(changed)}")
            opened.append(await composition.open_spool(changed))
            beat = await newest(opened[-1])
            if is_postgres(url) and beat is not None and not beat.stopped and time.time() - beat.at < GONE_S:
                raise SpoolBusy(f"a bridge serves the spool that is to be moved {'from' if url == source else 'to'}")
        return await run(opened[0], opened[1], "another store", progress)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    finally:
        for spool_ in opened:
            await spool_.close()


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
