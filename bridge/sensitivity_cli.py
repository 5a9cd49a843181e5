"""``ticket-bridge sensitivity``: try a rule file's examples, count what the rules would flag. Shows no mail's words."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.loading_cli import WITHOUT_API, examples, settings_of

if TYPE_CHECKING:
    from bridge.explain import Explained
    from bridge.settings import Settings

_LENIENT = {**WITHOUT_API, "BRIDGE_MAIL_DOMAINS": "localhost"}

commands = typer.Typer(
    help="Try sensitivity rules on their examples and on real mail (docs/sensitivity.md). Shows no mail's words.",
    no_args_is_help=True,
)
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="Rule file to use instead of BRIDGE_SENSITIVITY_RULES.")
]


def _rules(path: Path | None, settings: Settings) -> tuple[str | None, str]:
    """(text, name) of the rules to use."""
    from bridge.composition import rules_name, rules_text

    chosen = settings if path is None else settings.model_copy(update={"sensitivity_rules": path})
    return rules_text(chosen), rules_name(chosen)


@commands.command("test", epilog=examples("sensitivity test", "sensitivity test /etc/ticket-bridge/sensitivity.toml"))
def run_test(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Rule file; BRIDGE_SENSITIVITY_RULES or else the shipped rules without.")
    ] = None,
) -> None:
    """Run every rule's examples. What is wrong is named by file, line and rule; then the exit code is 78."""
    from bridge import sensitivity

    text, name = _rules(file, settings_of(context, defaults=_LENIENT))
    rules = sensitivity.load(text, name=name)
    own = [rule for rule in rules.known if rule.origin.rpartition(":")[0] == name]
    report = sensitivity.run_examples(rules)
    in_force = sum(rule.enabled for rule in rules.known)
    typer.echo(f"{name}: {len(own)} rules of its own; {in_force} of {report.rules} rules are in force")
    typer.echo(f"all {report.examples} examples hold")


@dataclass(slots=True)
class _Counts:
    """What a scan found, without a word of it."""

    mails: int = 0
    unreadable: int = 0
    flagged: int = 0
    certain: dict[str, int] = field(default_factory=dict)
    """Mails by rule with a finding in what would be posted that is certain; ``probable`` likewise."""
    probable: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """Mails by rule with a finding only in what was cut."""

    def add(self, one: Explained) -> tuple[str, ...]:
        """Count one mail; the rules that flag it."""
        self.mails += 1
        if one.decision is None:
            self.unreadable += 1
            self.flagged += 1
            return ("could_not_scan",)
        self.flagged += one.decision.encrypted
        tiers: dict[str, str] = {}
        for finding in one.decision.findings:
            tier = finding.tier if finding.posted else "cut"
            tiers[finding.rule] = min(tier, tiers.get(finding.rule, tier), key=("certain", "probable", "cut").index)
        for rule, tier in tiers.items():
            counts = {"certain": self.certain, "probable": self.probable, "cut": self.cut}[tier]
            counts[rule] = counts.get(rule, 0) + 1
        return tuple(sorted(tiers)) if one.decision.encrypted else ()

    def table(self) -> list[str]:
        share = f" ({self.flagged / self.mails:.1%})" if self.mails else ""
        found = [f"{self.mails} mails, {self.flagged} would be encrypted{share}, {self.unreadable} could not be read"]
        rules = sorted(
            self.certain.keys() | self.probable.keys() | self.cut.keys(),
            key=lambda rule: (-self.certain.get(rule, 0) - self.probable.get(rule, 0), rule),
        )
        width = max((len(rule) for rule in rules), default=0)
        if rules:
            found.append(f"{'rule':{width}}  certain  probable  only cut")
        found += [
            f"{rule:{width}}  {self.certain.get(rule, 0):7}  {self.probable.get(rule, 0):8}  {self.cut.get(rule, 0):8}"
            for rule in rules
        ]
        return found


@commands.command(
    epilog=examples("sensitivity scan Maildir", "sensitivity scan --rules own.toml --files archive.mbox old.eml")
)
def scan(
    context: typer.Context,
    mails: Annotated[list[str], typer.Argument(help="Maildirs, mboxes, message files; '-' is standard input.")],
    rules: RulesFile = None,
    files: Annotated[
        bool, typer.Option("--files", help="Name each mail that would be encrypted, with its rules.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object with all counts.")] = False,
) -> None:
    """Count, rule by rule, the mails that would be posted encrypted, to calibrate on real mail. Nothing is posted."""
    settings = settings_of(context, defaults=_LENIENT)
    counts, named = asyncio.run(_scan(mails, settings, *_rules(rules, settings)))
    if as_json:
        members = {name: getattr(counts, name) for name in _Counts.__slots__}
        typer.echo(json.dumps({**members, **({"files": named} if files else {})}, ensure_ascii=False))
        return
    for file, found in named.items() if files else ():
        typer.echo(f"{file}: {', '.join(found)}")
    for line in counts.table():
        typer.echo(line)


async def _scan(
    mails: list[str], settings: Settings, text: str | None, name: str
) -> tuple[_Counts, dict[str, tuple[str, ...]]]:
    from bridge import sensitivity
    from bridge.composition import address_keys, policy
    from bridge.explain import Assumed, Ours, explain_all

    sensitivity.load(text, name=name)
    rests_on = replace(policy(settings), rules=text)
    ours = Ours(frozenset(), frozenset(), address_keys(settings), "off", settings.effective_hostname)
    counts = _Counts()
    named: dict[str, tuple[str, ...]] = {}
    async for one in explain_all(mails, policy=rests_on, ours=ours, assumed=Assumed()):
        found = counts.add(one)
        if found:
            named[one.file] = found
    return counts, named
