"""``ticket-bridge queue``: see and decide what waits, what is held and why. Works beside a running bridge."""

from __future__ import annotations

import typer

from bridge import queue_act_cli as act
from bridge import queue_look_cli as look
from bridge.loading_cli import examples

queue = typer.Typer(
    help="See and decide what waits, what is held and why. Works beside a running bridge, and without one.",
    epilog="Every action is audited: `show` tells who did what. Exit codes: 0 done; 1 something could not be done, or "
    "there is no such entry; 2 bad usage; 74 the spool is broken; 75 try again later; 78 configuration.",
    no_args_is_help=True,
)


queue.command(
    "list",
    epilog=examples(
        "queue list --state held",
        "queue list --reason no_ticket --older-than 2h",
        "queue list --json --sender anna@example.org",
    ),
)(look.list_entries)
queue.command(epilog=examples("queue show ID", "queue show --text ID"))(look.show)
queue.command(epilog=examples("queue export ID raw.eml", "queue export ID - > raw.eml"))(look.export)
queue.command(
    epilog=examples(
        "queue redirect ID tkt_01hxa3b4c5d6e7f8g9h0j1k2m3", "queue redirect ID ID 149943 --note 'asked by phone'"
    )
)(act.redirect)
queue.command(
    "retry",
    help="Try held or waiting entries again now: the same message once more, or the mail read anew where it has none.",
    epilog=examples("queue retry ID", "queue retry --all --reason ticket_closed"),
)(act.retry)
queue.command(
    "release",
    help="Let held entries go out to the tickets they name; the sender is known there from now on. What names no "
    "ticket is redirected instead.",
    epilog=examples("queue release ID", "queue release --all --reason sender_not_known --sender anna@example.org"),
)(act.release)
queue.command(
    "replay",
    help="Post what was recorded, discarded or expired, although the bridge would not. Its body must still be there "
    "(BRIDGE_RETENTION_DAYS).",
    epilog=examples("queue replay ID", "queue replay --all --yes --state recorded --reason shadow"),
)(act.replay)
queue.command(
    "hold",
    help="Keep waiting entries back until a person decides.",
    epilog=examples(
        "queue hold ID --note 'wait for the customer'", "queue hold --all --ticket tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
    ),
)(act.hold)
queue.command(
    "discard",
    help="Decide that entries are not posted. Their bodies are kept for the retention: `replay` posts them after all.",
    epilog=examples("queue discard ID --note spam", "queue discard --all --state held --older-than 30d"),
)(act.discard)
queue.command(
    "reject",
    help="Decide that entries are not posted, and tell their senders (needs BRIDGE_NOTICE_SMARTHOST).",
    epilog=examples("queue reject ID --note 'not a customer'"),
)(act.reject)
