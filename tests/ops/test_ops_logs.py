"""What is logged, and above all what is not."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from bridge import sdnotify
from bridge.ops import logs

SECRET = "Ranunkel-4471"


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_exception_is_its_class_and_places_and_never_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.configure("json")
    try:
        int(SECRET)
    except ValueError as error:
        log.critical("broken", exc_info=error)
        log.exception("again")
    first, second = told(capsys)
    for event in (first, second):
        assert event["error"] == "ValueError"
        assert event["places"][-1].startswith("test_ops_logs.py:")
        assert SECRET not in json.dumps(event)
    assert (first["level"], first["event"]) == ("critical", "broken")
    assert first["timestamp"].endswith("Z")


def test_libraries_are_heard_without_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logging.getLogger("some.library").warning("could not read %s", SECRET)
    try:
        Path(f"/nonexistent/{SECRET}").read_bytes()
    except OSError:
        logging.getLogger("some.library").exception("it broke on %s", SECRET)
    logging.getLogger("some.library").info("chatter")
    events = told(capsys)
    assert [event["logger"] for event in events] == ["some.library"] * 2
    assert events[1]["error"] == "FileNotFoundError"
    assert SECRET not in json.dumps(events)


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console").info("listening", port=25)
    assert "listening" in capsys.readouterr().err


def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        assert sdnotify.notify("READY=1", {"NOTIFY_SOCKET": path})
        assert sock.recv(100) == b"READY=1"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"bridge-test-{tmp_path.name}"
        sock.bind("\0" + name)
        sock.settimeout(5)
        assert sdnotify.notify("WATCHDOG=1", {"NOTIFY_SOCKET": "@" + name})
        assert sock.recv(100) == b"WATCHDOG=1"
    assert not sdnotify.notify("READY=1", {})
    assert not sdnotify.notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_watchdog(environ: dict[str, str], seconds: float | None) -> None:
    assert sdnotify.watchdog_s(environ) == seconds
