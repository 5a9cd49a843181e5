"""``python -m bridge.sandbox`` as a process: start, stop, being killed, and what it refuses to start with."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.sandbox.serving import KEY, MESSAGES, TICKETS

HEADERS = {"Authorization": f"Bearer {KEY}"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bridge.sandbox", *arguments]


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    started = subprocess.Popen(
        command("--bind", "127.0.0.1:0", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with started:
        try:
            assert started.stdout is not None
            found = re.fullmatch(
                r"sandbox listening on (http://(?:127\.0\.0\.1|0\.0\.0\.0):[1-9][0-9]*)\n", started.stdout.readline()
            )
            assert found is not None
            yield started, found[1]
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_cleanly(number: signal.Signals) -> None:
    with process("--key", KEY) as (started, url):
        # A kept-alive connection must not hold up the stop.
        with httpx.Client(base_url=url, headers=HEADERS, trust_env=False) as client:
            assert client.get(TICKETS).status_code == 200
            started.send_signal(number)
            assert started.wait(10) == 0
        assert started.stderr is not None
        assert started.stderr.read() == ""


def test_a_killed_sandbox_still_has_what_it_answered(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.db"
    for round_ in range(2):
        with process("--key", KEY, "--database", str(database)) as (started, url):
            for index in range(10):
                answer = httpx.post(
                    url + MESSAGES, json={"message": f"{round_}-{index}"}, headers=HEADERS, trust_env=False
                )
                assert answer.status_code == 201
            started.kill()
            started.wait(10)
    with closing(sqlite3.connect(database)) as connection:
        words = [
            row[0] for row in connection.execute("SELECT body FROM messages WHERE request_id NOTNULL ORDER BY seq")
        ]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert words == [f"{round_}-{index}" for round_ in range(2) for index in range(10)]


def failed(*arguments: str) -> str:
    ended = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == os.EX_CONFIG
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --key KEY"),
        (["--key", ""], "empty"),
        (["--key", "a b"], "blanks"),
        (["--key", "a", "--write-only-key", "a"], "given twice"),
        (["--key", "a", "--rate-limit", "0"], "at least 1"),
        (["--key", "a", "--bind", "8088"], "HOST:PORT"),
        (["--key", "a", "--bind", "127.0.0.1:99999"], "HOST:PORT"),
        (["--key", "a", "--bind", ":80"], "HOST:PORT"),
        (["--key", "a", "--database", "/nonexistent/sandbox.db"], "cannot be used"),
    ],
)
def test_a_wrong_configuration_ends_with_78_and_a_reason(arguments: list[str], said: str) -> None:
    assert said in failed(*arguments)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert bind in failed("--key", "a", "--bind", bind)


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Kära vänner, " * 100)
    assert "cannot be used" in failed("--key", "a", "--database", str(text))
    assert text.read_text() == "Kära vänner, " * 100
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE tickets (id TEXT)")
    before = other.read_bytes()
    assert "not a database of this sandbox" in failed("--key", "a", "--database", str(other))
    assert other.read_bytes() == before


def test_beyond_loopback_it_warns() -> None:
    with process("--key", KEY, "--bind", "0.0.0.0:0") as (started, _):
        started.terminate()
        assert started.wait(10) == 0
        assert started.stderr is not None
        assert "keep this port private" in started.stderr.read()
