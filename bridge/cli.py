"""The commands. Thin: they read settings, call the parts, print, and turn errors into exit codes.

Exit codes (sysexits.h where it has one): 0 all well; 1 something is wrong with what was looked at; 2 bad usage;
74 the spool is broken; 75 try again later; 78 configuration. Imports stand inside the commands, so that each pays
only for what it uses.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.errors import BridgeError, ConfigurationError, SpoolError, UnknownEntry, WrongState
from bridge.loading_cli import WITHOUT_API, examples, settings_of
from bridge.queue_cli import queue
from bridge.sensitivity_cli import commands as sensitivity_commands
from bridge.spool_cli import spool

EXIT_WRONG, EXIT_BROKEN, EXIT_LATER, EXIT_CONFIG = 1, 74, 75, 78

app = typer.Typer(
    name="ticket-bridge",
    help="Posts customers' e-mail answers as replies on their support tickets, and loses none of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings are BRIDGE_* variables (docs/settings.md). Exit codes: 0 all well; 1 something is wrong with what "
    "was looked at; 2 bad usage; 74 the spool is broken; 75 try again later; 78 configuration.",
)
app.add_typer(queue, name="queue")
app.add_typer(sensitivity_commands, name="sensitivity")
app.add_typer(spool, name="spool")


def main() -> None:
    """The console script: run a command, answer errors with one message and a fitting exit code."""
    try:
        app()
    except BridgeError as error:
        typer.echo(f"ticket-bridge: {error}", err=True)
        if isinstance(error, ConfigurationError):
            sys.exit(EXIT_CONFIG)
        if isinstance(error, UnknownEntry | WrongState):
            sys.exit(EXIT_WRONG)
        broken = isinstance(error, SpoolError) and not error.temporary
        sys.exit(EXIT_BROKEN if broken else EXIT_LATER)
    except KeyboardInterrupt:
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ticket-bridge {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="File of BRIDGE_* settings; the environment wins over it.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Posts customers' e-mail answers as replies on their support tickets, and loses none of them."""
    del version
    context.obj = env_file


@app.command(epilog=examples("serve", "--env-file /etc/ticket-bridge/bridge.env serve"))
def serve(context: typer.Context) -> None:
    """Take mail by SMTP and LMTP, keep it safe, and post it as replies. Ends on SIGTERM after what is in flight."""
    settings = settings_of(context, owner=True)
    from bridge.service import serve as run

    sys.exit(run(settings))


@app.command(
    epilog=examples(
        "sandbox --bind 127.0.0.1:8080 --key secret", "sandbox --bind 127.0.0.1:0 --key secret --database tickets.db"
    )
)
def sandbox(
    bind: Annotated[str, typer.Option(help="Where to listen: HOST:PORT; port 0 takes a free one and prints it.")],
    key: Annotated[list[str], typer.Option(help="A key with both scopes; may be repeated.")],
    write_only_key: Annotated[list[str] | None, typer.Option(help="A key without read:support.")] = None,
    database: Annotated[str | None, typer.Option(help="SQLite file to keep it in; in memory without.")] = None,
    rate_limit: Annotated[int | None, typer.Option(help="Requests a minute and key; unlimited without.")] = None,
) -> None:
    """Run a ticket API to try the bridge against, with a web page and faults on demand (docs/sandbox.md)."""
    from bridge.sandbox.server import run

    run(bind, keys=key, write_only_keys=write_only_key or [], database=database, rate_limit=rate_limit)


@app.command(epilog=examples("demo", "demo --once"))
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the mails; 0 only if each ended as it should, by the API's word.")
    ] = False,
) -> None:
    """Show the main job: a sandbox and a bridge on loopback ports, and eight customers' mails through real SMTP."""
    from bridge.demo import run

    sys.exit(run(once=once))


@app.command(
    epilog=examples(
        "explain mail.eml",
        "explain --json inbox.mbox Maildir",
        "explain --rcpt support+149943@example.com --mail-from '' - < mail.eml",
    )
)
def explain(
    context: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(help="Message files, mboxes, Maildirs; '-' or nothing is standard input.")
    ] = None,
    rcpt: Annotated[str, typer.Option(help="Envelope recipient; taken from each mail without.")] = "",
    mail_from: Annotated[str | None, typer.Option(help="Envelope sender; taken from each mail without.")] = None,
    client: Annotated[str, typer.Option(help="Address of the relay that handed the mail over.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="One object a line for each mail.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show what the sensitivity rules matched.")] = False,
) -> None:
    """Show what the bridge would do with mails and why, line by line, without network or spool."""
    from bridge.explain import Assumed
    from bridge.explain_cli import run

    assumed = Assumed(recipient=rcpt, mail_from=mail_from, client_ip=client)
    sys.exit(run(files or ["-"], env_file=context.obj, assumed=assumed, as_json=as_json, reveal=reveal))


@app.command(epilog=examples("check", "check --ticket 149943", "check --offline --json"))
def check(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Only the configuration and the spool.")] = False,
    ticket: Annotated[str, typer.Option(help="A ticket (id or number) that the key must reach.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Check the configuration, the API and its key, the spool and the ports; say each thing looked at."""
    settings = settings_of(context, owner=True)
    from bridge.checks import run

    results = asyncio.run(run(settings, offline=offline, ticket=ticket))
    for result in results:
        plain = f"{'ok  ' if result.ok else 'WRONG'} {result.what}: {result.found}"
        typer.echo(json.dumps(asdict(result), ensure_ascii=False) if as_json else plain)
    sys.exit(0 if all(result.ok for result in results) else EXIT_WRONG)


@app.command(epilog=examples("status", "status --json"))
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one object.")] = False,
) -> None:
    """Show how many mails wait, are held and why, how old the oldest is, and what is wrong; 1 when something is."""
    settings = settings_of(context, owner=True, defaults=WITHOUT_API)
    from bridge.operating_cli import status as run

    sys.exit(run(settings, as_json=as_json))


@app.command("settings", epilog=examples("settings", "settings --json"))
def show_settings(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Show every effective setting and where it comes from; secrets are masked."""
    environ = dict(os.environ)
    settings = settings_of(context)
    from bridge.operating_cli import show_settings as run

    run(settings, context.obj, environ, as_json=as_json)


@app.command("send-test", epilog=examples("send-test --ticket tkt_01hxa3b4c5d6e7f8g9h0j1k2m3 --wait 120"))
def send_test(
    context: typer.Context,
    ticket: Annotated[str, typer.Option(help="The ticket to write to; BRIDGE_TEST_TICKET without.")] = "",
    sender: Annotated[str, typer.Option("--from", help="Who it is from.")] = "postmaster@localhost.localdomain",
    wait: Annotated[float, typer.Option(help="Seconds to wait for its outcome.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="As one object.")] = False,
) -> None:
    """Send a test mail through the real path and wait until it is on the ticket; 1 when it does not get there."""
    settings = settings_of(context, owner=True)
    from bridge.operating_cli import Canary
    from bridge.operating_cli import send_test as run

    sys.exit(run(settings, Canary(ticket, sender, wait), as_json=as_json))


@app.command(epilog=examples("address tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"))
def address(
    context: typer.Context,
    tickets: Annotated[list[str], typer.Argument(metavar="TICKET…", help="Public ids: tkt_ and 26 characters.")],
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Print the plus-addresses that customers answer tickets at, signed when address keys are set."""
    settings = settings_of(context)
    from bridge.composition import address_keys
    from bridge.reference import make_address

    keys = address_keys(settings)
    for ticket in tickets:
        try:
            made = make_address(
                ticket.lower(),
                mailbox=settings.mailboxes[0],
                domain=settings.mail_domains[0],
                key=keys.keys[0] if keys.keys else None,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        typer.echo(json.dumps({"ticket": ticket.lower(), "address": made}) if as_json else made)
