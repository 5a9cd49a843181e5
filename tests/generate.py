"""Writes the documentation that is generated from the code: settings, the example env file, commands, reasons.

``python -m tests.generate`` writes; with ``--check`` it compares and exits 1 when something is out of date.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from bridge.cli import app
from bridge.environment import SECRETS, variable
from bridge.ops.metrics import METRICS
from bridge.reasons import CLASSES, REASONS
from bridge.sensitivity import DEFAULT
from bridge.sensitivity.rules import DEFAULT_SCOPES
from bridge.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{item}`" for item in get_args(annotation) if item)
    if origin in (Union, UnionType):
        return " or ".join(_type(item) for item in get_args(annotation) if item is not NoneType)
    if origin is tuple:
        return "list, comma-separated"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "`true` \\| `false`", "Path": "path"}
    return names.get(annotation.__name__, "secret" if annotation.__name__ == "SecretStr" else annotation.__name__)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "needed"
    value = field.default
    if value is None or not str(value).strip("*") or value == ():
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(str(item) for item in value)}`"
    return f"`{value}`"


def settings() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{variable(name)}` | {_type(field.annotation)} | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    secrets = ", ".join(f"`{variable(name)}`" for name in SECRETS)
    return "\n".join(
        [
            "# Settings",
            "",
            "Generated from `bridge/settings.py` by `make generate`. Every setting is an environment variable, or",
            "a line of the file given with `ticket-bridge --env-file FILE`; the environment wins over the file.",
            "A name that is misspelled, a bad value or a missing one ends the start with exit code 78 and a message.",
            "",
            "An env file reads the same for the bridge, systemd (`EnvironmentFile=`) and Docker (`--env-file`):",
            "`NAME=value` lines, `#` comments at the start of a line only, nothing interpolated, no quotes. What one",
            "of the three would read differently (quotes, backslashes, blanks around it) is refused with its line.",
            "",
            f"Secrets ({secrets}) can come from a file instead: `NAME_FILE=/path`, or systemd's",
            "`LoadCredential=bridge_api_key:/path` (the variable's name in lower case).",
            "",
            "| name | type | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def example_env() -> str:
    """config/bridge.example.env."""
    lines = [
        "# Settings of the ticket bridge. Copy, fill in what is needed, and keep the file to its owner (chmod 600).",
        "# Read alike by --env-file, systemd's EnvironmentFile= and docker --env-file. docs/settings.md explains each.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        needed = field.default is PydanticUndefined
        lines += [
            f"# {field.description}",
            f"{'' if needed else '#'}{variable(name)}={(field.examples or [''])[0]}",
            "",
        ]
    return "\n".join(lines)


def reasons() -> str:
    """docs/reasons.md."""
    return "\n".join(
        [
            "# Classes and reasons",
            "",
            "Generated from `bridge/reasons.py` by `make generate`. These words are stable: scripts may rely on them.",
            "",
            "## What kind of mail it is",
            "",
            "| class | meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in CLASSES.items()),
            "",
            "## Why an entry is where it is",
            "",
            "| reason | meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in REASONS.items()),
            "",
        ]
    )


def commands() -> str:
    """docs/commands.md."""
    root = get_command(app)
    lines = [
        "# Commands",
        "",
        "Generated from the commands' own help by `make generate`; `ticket-bridge COMMAND --help` says the same.",
        "",
        *_options(root, "ticket-bridge"),
    ]
    for name, command in sorted(_leaves(root, "ticket-bridge")):
        lines += [f"## {name}", "", (command.help or "").strip(), "", *_options(command, name), *_examples(command)]
    return "\n".join([*lines, "## Exit codes", "", *EXIT_CODES, ""])


def metrics() -> str:
    """docs/metrics.md."""
    return "\n".join(
        [
            "# Health and metrics",
            "",
            "Generated from `bridge/ops/metrics.py` by `make generate`. `BRIDGE_OPS_BIND` says where they are served:",
            "",
            "| path | answer |",
            "|---|---|",
            "| `/healthz` | 200 while the process answers |",
            "| `/readyz` | 200 while mail is accepted, 503 while it gets 452; JSON with what a person should look at |",
            "| `/metrics` | Prometheus, text format |",
            "",
            "They need no login and carry no address, id or word of a mail. `config/prometheus/alerts.yml` holds the",
            "alerts that matter, `config/grafana/ticket-bridge.json` a dashboard.",
            "",
            "| metric | meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items()),
            "",
        ]
    )


def rules() -> str:
    """docs/sensitivity-rules.md."""
    table = tomllib.loads((ROOT / "bridge/sensitivity" / DEFAULT).read_text("utf-8"))
    rows = []
    for rule in table["rule"]:
        scope = ", ".join(rule.get("scope", sorted(DEFAULT_SCOPES)))
        tier = rule["tier"] if rule.get("enabled", True) else f"{rule['tier']}, off"
        rows.append(f"| `{rule['id']}` | {tier} | {scope} | {rule['description']} |")
    return "\n".join(
        [
            "# The shipped sensitivity rules",
            "",
            f"Generated from `bridge/sensitivity/{DEFAULT}` by `make generate`. What a rule is: `docs/sensitivity.md`.",
            "",
            "| rule | tier | looks at | finds |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


EXIT_CODES = (
    "| code | meaning |",
    "|---|---|",
    "| 0 | all well |",
    "| 1 | something is wrong with what was looked at, or an action was not possible |",
    "| 2 | bad usage |",
    "| 74 | the spool is broken: a person must act |",
    "| 75 | not now: try again later |",
    "| 78 | configuration: a setting, or a file that one names |",
)


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that is no group, whichever click typer brings."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, sub in children.items():
        yield from _leaves(sub, f"{name} {child}")


def _examples(command: Any) -> list[str]:
    _, *lines = (command.epilog or "").split("\n\n")
    return ["```sh", *lines, "```", ""] if lines else []


def _options(command: Any, name: str) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(command.make_context(name, [], resilient_parsing=True)))
    rows = []
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        shown = ", ".join(parameter.opts) if is_option else parameter.name.upper()
        if not parameter.hidden:
            rows.append(f"| `{shown}` | {parameter.help or ''} |")
    table = ["| argument or option | meaning |", "|---|---|", *rows, ""] if rows else []
    return [f"`{name} {usage}`", "", *table]


FILES = {
    "docs/metrics.md": metrics,
    "docs/commands.md": commands,
    "docs/settings.md": settings,
    "config/bridge.example.env": example_env,
    "docs/reasons.md": reasons,
    "docs/sensitivity-rules.md": rules,
}


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` compare them."""
    stale = []
    for name, make in FILES.items():
        path, text = ROOT / name, make()
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
    for name in stale:
        print(f"{name} is not what the code says: run make generate")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
