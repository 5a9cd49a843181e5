"""docs/performance.md says what the results say, what a peer does better first."""

from __future__ import annotations

import json
from typing import Any

from benchmarks import performance
from benchmarks.everything import RESULT

RESULTS: dict[str, Any] = json.loads(RESULT.read_text("utf-8"))


def test_the_page_is_made_from_the_results() -> None:
    document = performance.DOCUMENT.read_text("utf-8")
    assert performance.written(document, RESULTS) == document
    for name in performance.WRITERS:
        assert f"<!-- begin {name} -->" in document


def test_what_was_measured_has_a_chart_on_the_page() -> None:
    document = performance.DOCUMENT.read_text("utf-8")
    for name in ("accepted", "delivered", "extraction", "rules", "growth"):
        assert f"(charts/{name}.svg)" in document
        assert (performance.DOCUMENT.parent / "charts" / f"{name}.svg").read_text("utf-8").startswith("<?xml")


def test_a_peer_that_is_better_is_said_to_be() -> None:
    slower = json.loads(json.dumps(RESULTS))
    for row in slower["delivered"]["figures"]:
        row["delivered_per_s"] = 1.0 if row["server"] == "durable" else 2.0
    better, _, worse = "\n".join(performance.sides(slower)).partition("The bridge is better or equal:")
    assert "0.5 times a process per mail (1 to 2 mails/s)" in better
    assert "bridge delivering, 5 KB, reused: rate" not in worse


def test_a_part_that_failed_is_said_to_have() -> None:
    failed = RESULTS | {"growth": {**RESULTS["growth"], "failed": "OSError: no space"}}
    assert "Not measured: OSError: no space." in performance.written(performance.DOCUMENT.read_text("utf-8"), failed)
