"""The operators' page in a real browser: hostile mails that must stay text, every width and scheme, accessibility."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from email.header import Header
from pathlib import Path
from typing import Any

import pytest

from tests.main_job.running import Api, Bridge, eventually, sandbox

pytestmark = pytest.mark.system
TOKEN = "a-token-of-the-operators"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
HOSTILE = (
    "<script>window.hit=1</script>",
    "</td><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    '"><svg/onload=window.hit=1>',
    "' onmouseover='window.hit=1",
    '" autofocus onfocus="window.hit=1',
    "javascript:window.hit=1",
    "<a href='javascript:window.hit=1'>x</a>",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "</title><script>window.hit=1</script>",
    "</textarea><script>window.hit=1</script>",
    "{{ 7*7 }}{% for x in y %}",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=javascript:window.hit=1'>",
    "<base href=//evil.example>",
)
"""Each goes into the subject, the sender's name, the words and an attachment's name: 64 mails."""
PLACES = ("subject", "name", "body", "file")


def hostile(payload: str, place: str, number: int) -> bytes:
    """A mail without a ticket that carries ``payload`` in one place."""
    encoded = Header(payload, "utf-8", maxlinelen=900).encode()
    subject = encoded if place == "subject" else "x"
    name = encoded if place == "name" else "Ann"
    body = payload if place == "body" else "words"
    file = payload.replace("\\", "\\\\").replace('"', '\\"') if place == "file" else "a.txt"
    return (
        f"From: {name} <a{number}@b.example>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\nContent-Type: text/plain\r\n\r\n"
        f'{body}\r\n--zz\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="{file}"\r\n\r\n'
        "x\r\n--zz--\r\n"
    ).encode()


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[tuple[Bridge, str]]:
    with sandbox(tmp_path) as api:
        started = Bridge(tmp_path, api.url, BRIDGE_OPS_BIND="127.0.0.1:0", BRIDGE_OPS_TOKEN=TOKEN)
        found = [line for line in started.process.output if '"event": "page"' in line]
        url = re.search(r'"url": "([^"]+)"', found[0])
        assert url
        yield started, url[1]
        started.process.kill()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield started
        started.close()


def log_in(browser: Any, url: str, **options: Any) -> Any:
    page = browser.new_context(**options).new_page()
    page.goto(url)
    page.get_by_label("Token (BRIDGE_OPS_TOKEN)").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("The last hour").wait_for()
    return page


def test_hostile_mails_stay_text(bridge: tuple[Bridge, str], browser: Any) -> None:
    running, url = bridge
    mails = [(payload, place) for payload in HOSTILE for place in PLACES]
    for number, (payload, place) in enumerate(mails):
        running.send(hostile(payload, place, number), "support@example.com")
    settled = eventually(lambda: [row for row in running.queue() if row["state"] == "held"][63:] and running.queue())
    assert len(settled) == len(mails)
    page = log_in(browser, url)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in ("", "entries?state=held"):
        page.goto(url + path)
        assert page.evaluate("window.hit") is None
        assert page.locator("table tbody tr").first.is_visible()
    for row, (payload, place) in zip(settled, mails, strict=True):
        page.goto(f"{url}entries/{row['id']}")
        page.get_by_role("button", name="Show the words").click()
        page.get_by_role("heading", name="Words").wait_for()
        assert page.evaluate("window.hit") is None, (payload, place)
        assert page.locator("main iframe, main script, main img, main svg, main style, main base").count() == 0
        if place == "body":
            assert payload in page.locator(".lines").inner_text()
    assert dialogs == []


def test_every_button_without_a_script(bridge: tuple[Bridge, str], browser: Any) -> None:
    running, url = bridge
    for number in range(2):
        running.send(hostile("words", "body", number), "support@example.com")
    held = eventually(lambda: [row["id"] for row in running.queue() if row["state"] == "held"][1:] and running.queue())
    page = log_in(browser, url, java_script_enabled=False)
    page.goto(f"{url}entries/{held[0]['id']}")
    page.get_by_label("Why (for the audit)").fill("spam")
    page.get_by_role("button", name="Discard").click()
    assert page.get_by_text("Done: discard.").is_visible()
    page.goto(f"{url}entries/{held[1]['id']}")
    page.get_by_role("button", name="It was cut wrongly").click()
    assert page.get_by_text("Done: case.").is_visible()
    page.get_by_label("Ticket to redirect to").fill("tkt_01hxa3b4c5d6e7f8g9h0j1k2m3")
    page.get_by_role("button", name="Redirect").click()
    assert page.get_by_text("Done: redirect.").is_visible()
    states = eventually(lambda: [row["state"] for row in running.queue()] == ["discarded", "delivered"])
    assert states
    page.get_by_role("button", name="Log out").click()
    assert page.get_by_role("button", name="Log in").is_visible()


def test_discarding_asks_first_where_a_script_can(bridge: tuple[Bridge, str], browser: Any) -> None:
    running, url = bridge
    running.send(hostile("words", "body", 1), "support@example.com")
    (row,) = eventually(lambda: [row for row in running.queue() if row["state"] == "held"])
    page = log_in(browser, url)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.goto(f"{url}entries/{row['id']}")
    page.get_by_role("button", name="Discard").click()
    assert [found["state"] for found in running.queue()] == ["held"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe_and_no_sideways_scrolling(
    bridge: tuple[Bridge, str], browser: Any, tmp_path: Path, scheme: str
) -> None:
    running, url = bridge
    running.send(hostile("words", "body", 1), "support@example.com")
    (row,) = eventually(lambda: [row for row in running.queue() if row["state"] == "held"])
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "axe-core@4.10.3"],
        cwd=tmp_path,
        check=True,
        timeout=120,
    )
    axe = (tmp_path / "node_modules/axe-core/axe.min.js").read_text()
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    page = log_in(browser, url, bypass_csp=True, **phone)
    for path in ("", "entries?state=held", f"entries/{row['id']}", "nothing"):
        page.goto(url + path)
        page.evaluate(axe)
        found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))")
        assert [one for one in found if one[0] in ("serious", "critical")] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    fresh = browser.new_context(bypass_csp=True, **phone).new_page()
    fresh.goto(url)
    fresh.evaluate(axe)
    found = fresh.evaluate("axe.run().then(r => r.violations.map(v => [v.impact, v.id]))")
    assert [one for one in found if one[0] in ("serious", "critical")] == []


def test_the_api_is_the_witness(tmp_path: Path, browser: Any) -> None:
    """A held answer that is released on the page is on the ticket."""
    with sandbox(tmp_path) as api:
        running = Bridge(
            tmp_path,
            api.url,
            BRIDGE_OPS_BIND="127.0.0.1:0",
            BRIDGE_OPS_TOKEN=TOKEN,
            BRIDGE_AUTHSERV_ID="mx.example.com",
            BRIDGE_NUMBER_POLICY="authenticated",
        )
        try:
            _release(running, api, browser)
        finally:
            running.process.kill()


def _release(running: Bridge, api: Api, browser: Any) -> None:
    found = re.search(r'"url": "([^"]+)"', "".join(line for line in running.process.output if '"page"' in line))
    assert found
    running.send(b"From: a@b.example\r\nSubject: Re: [#149943] x\r\n\r\nIt is me.\r\n", "support@example.com")
    (row,) = eventually(lambda: [row for row in running.queue() if row["state"] == "held"])
    assert row["reason"] == "sender_not_authenticated"
    assert api.bodies() == []
    page = log_in(browser, found[1])
    page.goto(f"{found[1]}entries/{row['id']}")
    page.get_by_role("button", name="Release").click()
    assert eventually(api.bodies) == ["It is me."]
