"""docs/sandbox.md names everything that can be asked of the sandbox, and its examples work."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import httpx
import pytest

from bridge.sandbox import faults
from bridge.sandbox.__main__ import main
from bridge.sandbox.seed import DEPARTMENTS, TICKETS
from bridge.sandbox.validation import STATUSES
from tests.sandbox.serving import Served

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
NAMED = {name for quoted in re.findall(r"`([^`\n]+)`", TEXT) for name in re.findall(r"[\w./{}-]+", quoted)}


def test_every_fault_member_and_value_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \|(.*)$", TEXT, re.MULTILINE))
    for name, kind in faults.KINDS.items():
        own = set(re.findall(r"`(\w+)`", rows[name].rsplit("|", 2)[1]))
        assert own == kind.members, name
    values = {*faults.TARGETS, *faults.FORMS, *faults.ENDINGS, *faults.RETRY_AFTER_FORMS}
    assert values <= NAMED


def test_every_option_is_documented() -> None:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert set(re.findall(r"--[a-z-]+", shown.getvalue())) - {"--help"} <= NAMED


def test_what_is_there_from_the_start_is_documented() -> None:
    for ticket in TICKETS:
        assert re.search(rf"^\| {ticket.number} \| `{ticket.id}` \| `{ticket.status}`", TEXT, re.MULTILINE)
        assert ticket.status in STATUSES
        assert ticket.department in DEPARTMENTS
    assert set(DEPARTMENTS) <= NAMED


def test_every_column_is_documented(served: Served) -> None:
    for table in ("tickets", "messages", "attachments", "requests"):
        [row] = re.findall(rf"^\| `{table}` \|(.*)\|$", TEXT, re.MULTILINE)
        documented = set(re.findall(r"`([a-z_0-9]+)`", row))
        columns = {name for (name,) in served.rows("SELECT name FROM pragma_table_info(?)", table)}
        assert columns <= documented, table


def test_the_commands_shown_work(served: Served) -> None:
    commands = re.findall(r"^\$ (curl (?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        [url] = [word for word in words if word.startswith("http://")]
        body = words[words.index("-d") + 1] if "-d" in words else None
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
        request = served.api.build_request(method, httpx.URL(url).path, content=body)
        assert served.api.send(request).is_success
        if body:
            assert json.loads(body)
    [query] = re.findall(r"```sql\n(.*?)\n```", TEXT, re.DOTALL)
    assert [row[1] for row in served.rows(query)] == ["It works again, thank you!"]
