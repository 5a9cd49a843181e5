"""What stands beside the code agrees with it: alerts, dashboard, units, documents."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from bridge.cli import app
from bridge.environment import SECRETS, variable
from bridge.ops.metrics import METRICS
from bridge.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN_WRONG = ("BRIDGE_MAILBOXS",)
"""What a transcript shows the message for."""
ALERTS = (ROOT / "config/prometheus/alerts.yml").read_text()


def test_alerts_and_dashboard_use_metrics_that_are_there() -> None:
    dashboard = json.loads((ROOT / "config/grafana/ticket-bridge.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += re.findall(r"expr: (.+)", ALERTS)
    used = {name for expression in expressions for name in re.findall(r"ticket_bridge_\w+", expression)}
    assert len(expressions) > 15
    assert used <= set(METRICS)


def test_every_alert_has_a_recipe() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-").replace(",", "") for heading in headings}
    recipes = re.findall(r"runbook: docs/operations.md#(\S+)", ALERTS)
    assert len(recipes) == ALERTS.count("- alert:")
    assert set(recipes) <= anchors


def test_a_tenants_unit_differs_only_in_its_names() -> None:
    one = (ROOT / "systemd/ticket-bridge.service").read_text().splitlines()
    many = (ROOT / "systemd/ticket-bridge@.service").read_text().splitlines()
    different = {line.partition("=")[0] for line in set(many) ^ set(one) if "=" in line}
    assert different == {"Description", "EnvironmentFile", "Environment", "LoadCredential", "StateDirectory"}
    assert all("%i" in line for line in set(many) - set(one) if "=" in line)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_files_settings_and_metrics_that_are_there(document: Path) -> None:
    text = document.read_text()
    for name in re.findall(r"`((?:docs|config|systemd|bridge|tests|benchmarks|requirements)/[\w./@-]+)`", text):
        assert (ROOT / name.rstrip(".")).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (document.parent / name).exists() or (ROOT / name).exists(), name
    settings = {variable(name) for name in Settings.model_fields} | {f"BRIDGE_{name}_FILE" for name in SECRETS}
    families = ("BRIDGE_SENSITIVITY_", "BRIDGE_SERVICE_", "BRIDGE_PORT")
    for name in re.findall(r"\bBRIDGE_[A-Z_]+\b", text):
        assert name in {*settings, *SHOWN_WRONG} or name.startswith(families), name
    for name in re.findall(r"\bticket_bridge_\w+", text):
        assert name in METRICS, name


def _commands(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield names
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*names, name))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_commands_that_are_there(document: Path) -> None:
    known = set(_commands(get_command(app)))
    groups = {names[0] for names in known if len(names) > 1}
    called = re.findall(
        r"(?:\btb|bin/ticket-bridge|`ticket-bridge|^ticket-bridge|-- ticket-bridge) ([^`\n]+)", document.read_text()
    )
    for line in called:
        words = re.sub(r"--env-file \S+ ", "", line).split()
        words = [word for word in words if word != "--help"]
        if words[0].startswith(("-", "<", "…", "COMMAND", "[", "\\")) or words[0] == "=":
            continue
        names = tuple(words[: 2 if words[0] in groups else 1])
        assert names in known, line


@pytest.mark.system
@pytest.mark.parametrize(("drop_in", "exposure"), [("", 1.5), ("port-25.conf", 1.6)])
def test_units_are_sound_and_well_confined(tmp_path: Path, drop_in: str, exposure: float) -> None:
    for name in ("ticket-bridge.service", "ticket-bridge@.service", "ticket-bridge.socket"):
        text = (ROOT / "systemd" / name).read_text().replace("/opt/ticket-bridge/bin/ticket-bridge", "/bin/true")
        unit = tmp_path / name.replace("@", "@one")
        unit.write_text(text)
        if drop_in and unit.suffix == ".service":
            directory = tmp_path / f"{unit.name}.d"
            directory.mkdir()
            shutil.copy(ROOT / "systemd/ticket-bridge.service.d" / drop_in, directory)
    paths = [str(path) for path in sorted(tmp_path.iterdir()) if path.is_file()]
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for path in [path for path in paths if path.endswith(".service")]:
        command = ["systemd-analyze", "security", "--offline=yes", path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("✗ AmbientCapabilities" in done.stdout) == bool(drop_in), "only a drop-in gives a capability"
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert level, done.stdout
        assert float(level[1]) <= exposure


@pytest.mark.system
def test_alerts_are_sound() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install prometheus"
    subprocess.run([promtool, "check", "rules", str(ROOT / "config/prometheus/alerts.yml")], check=True)
