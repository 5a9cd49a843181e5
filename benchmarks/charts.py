"""Draws ``docs/charts/*.svg`` from ``benchmarks/results/everything.json``; runs in an environment that has matplotlib.

The same results give the same bytes: no dates, and ids from a fixed salt. Imports nothing of the project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
CHARTS = HERE.parent / "docs" / "charts"
OURS, PEERS = "#1f6f8b", ("#b0a18f", "#8d99ae", "#d8b365", "#a3a3a3", "#c7b8ea", "#9fc2a4")
NAMES = {
    "durable": "the bridge, durable",
    "accepting": "the bridge's listener alone",
    "aiosmtpd": "bare aiosmtpd 1.4.6",
    "smtp-sink": "smtp-sink",
    "process-per-mail": "a Python process per mail",
}
COLOURS = {"durable": OURS, "accepting": "#7fb7c9", "aiosmtpd": "#b0a18f", "smtp-sink": "#8d99ae"}
STYLE = {
    "svg.hashsalt": "ticket-bridge",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}
Result = dict[str, Any]


def accepted(result: Result) -> Figure:
    """Mails a second under each load, for each server."""
    rows = result["accepted"]["figures"]
    figure, axes = plt.subplots(figsize=(8.4, 4.2))
    _groups(axes, rows, "mails_per_s", ("durable", "accepting", "aiosmtpd", "smtp-sink"))
    limit = (
        result.get("limits", {}).get("figures", {}).get("4 KB append and fdatasync, one after the other, per second")
    )
    if limit:
        axes.axhline(limit, color="#aa3333", linewidth=1, linestyle="--", label="this disk: single syncs a second")
    axes.set_ylabel("mails accepted a second")
    axes.legend(frameon=False, fontsize=9)
    return figure


def delivered(result: Result) -> Figure:
    """Mails through to the API, on a logarithmic scale."""
    figure, axes = plt.subplots(figsize=(8.4, 3.8))
    _groups(axes, result["delivered"]["figures"], "delivered_per_s", ("durable", "process-per-mail"))
    axes.set_yscale("log")
    axes.set_ylabel("delivered a second (logarithmic)")
    axes.margins(y=0.25)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _groups(axes: Axes, rows: list[Result], key: str, servers: tuple[str, ...]) -> None:
    loads = list(dict.fromkeys(row["load"] for row in rows))
    width = 0.84 / len(servers)
    for number, kind in enumerate(servers):
        heights = [next(row[key] for row in rows if (row["load"], row["server"]) == (load, kind)) for load in loads]
        at = [place + (number - (len(servers) - 1) / 2) * width for place in range(len(loads))]
        bars = axes.bar(at, heights, width * 0.94, label=NAMES[kind], color=COLOURS.get(kind, PEERS[0]))
        axes.bar_label(bars, [f"{height:.3g}" if height < 100 else f"{height:.0f}" for height in heights], fontsize=8)
    axes.set_xticks(range(len(loads)), [f"{load}\nconnections" for load in loads])


def extraction(result: Result) -> Figure:
    """Shares of mails extracted exactly, and broken."""
    rows = {name: row for name, row in result["extraction"]["figures"].items() if isinstance(row, dict)}
    names = list(rows)[::-1]
    figure, both = plt.subplots(1, 2, figsize=(8.4, 3.4), sharey=True)
    for axes, key, title in zip(
        both, ("exact", "cat"), ("exact, % (more is better)", "broken, % (less is better)"), strict=True
    ):
        colours = [OURS if name.startswith("ours") else PEERS[0] for name in names]
        bars = axes.barh(names, [rows[name][key] for name in names], color=colours)
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.15)
    return figure


def rules(result: Result) -> Figure:
    """Recall on each labelled set beside detect-secrets."""
    rows = result["rules"]["figures"]
    figure, axes = plt.subplots(figsize=(8.4, 3.2))
    series = (("recall", "the bridge's rules", OURS, -0.2), ("peer_recall", "detect-secrets", PEERS[0], 0.2))
    for key, name, colour, shift in series:
        heights = [100 * row[key] for row in rows]
        bars = axes.bar([at + shift for at in range(len(rows))], heights, 0.38, label=name, color=colour)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    new = [(at - 0.2, row["recall_when_new"]) for at, row in enumerate(rows) if row["recall_when_new"] is not None]
    axes.plot(
        *zip(*new, strict=True), "_", color="black", markersize=26, label="before our rules were changed for the set"
    )
    axes.set_xticks(range(len(rows)), [f"{row['set']} set" for row in rows])
    axes.set_ylabel("disclosures found, %")
    axes.set_ylim(0, 130)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
    return figure


def growth(result: Result) -> Figure:
    """Cost of a claim and rate of storing as the backlog grows."""
    rows = result["growth"]["figures"]
    sizes = [row["backlog"] for row in rows]
    figure, both = plt.subplots(1, 2, figsize=(8.4, 3.2))
    series = (("claim_ms", "claim and settle 32 entries, ms"), ("stored_per_s", "5 KB mails stored a second"))
    for axes, (key, title) in zip(both, series, strict=True):
        axes.plot(sizes, [row[key] for row in rows], color=OURS, marker="o")
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(0, 1.3 * max(row[key] for row in rows))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("entries waiting")
    return figure


def main() -> int:
    """Draw what was measured."""
    result: Result = json.loads(Path(sys.argv[1] if sys.argv[1:] else HERE / "results" / "everything.json").read_text())
    directory = Path(sys.argv[2]) if sys.argv[2:] else CHARTS
    directory.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for draw in (accepted, delivered, extraction, rules, growth):
            if "figures" in result.get(draw.__name__, {}):
                figure = draw(result)
                figure.tight_layout()
                figure.savefig(
                    directory / f"{draw.__name__}.svg", metadata={"Date": None, "Creator": "benchmarks.charts"}
                )
                plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
