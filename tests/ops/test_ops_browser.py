"""The operators' page in a real browser: hostile mails that must stay text, every width and scheme, accessibility."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.header import Header
from pathlib import Path
from typing import Any

import pytest

from bridge.ops.page.entries import Entries
from bridge.spool.api import Detail
from tests.main_job.running import Api, Bridge, eventually, sandbox
from tests.ops.test_ops_page import Served, serving
from tests.ops.test_ops_page import detail as detail_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
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


def detail(path: Path, entry_id: str) -> Detail:
    """Read beside playwright, which keeps an event loop running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(detail_of, path, entry_id).result()


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


@pytest.fixture
def served(tmp_path: Path, entries: dict[str, str]) -> Iterator[Served]:
    """The page alone, on a spool with an entry in every place."""
    yield from serving(tmp_path, TOKEN, rejects=True)


def test_every_action(served: Served, browser: Any, entries: dict[str, str], tmp_path: Path) -> None:
    page = log_in(browser, served.url)
    page.on("dialog", lambda dialog: dialog.accept())
    ways = (
        ("ready", "Hold", "held"),
        ("ready", "Release", "ready"),
        ("ready", "Retry", "ready"),
        ("ready", "Discard", "discarded"),
        ("ready", "Replay", "ready"),
        ("no_ticket", "Redirect", "received"),
        ("stranger", "Reject", "discarded"),
    )
    assert {way[1].lower() for way in ways} == Entries.ACTIONS
    for name, button, state in ways:
        page.goto(f"{served.url}/entries/{entries[name]}")
        page.get_by_label("Why (for the audit)").fill(f"by {button}")
        if button == "Redirect":
            page.get_by_label("Ticket to redirect to").fill("149943")
        page.get_by_role("button", name=button, exact=True).click()
        assert page.get_by_text(f"Done: {button.lower()}.").is_visible()
        found = detail(tmp_path, entries[name])
        assert found.entry.state == state, button
        assert (found.audit[-1].actor, found.audit[-1].action) == ("page", button.lower())
        assert f"by {button}" in found.audit[-1].note
        assert page.locator(".steps li").last.inner_text().startswith(state.capitalize())


def test_guessing_the_token_is_limited(served: Served, browser: Any) -> None:
    page = browser.new_context().new_page()
    page.goto(served.url)
    for number in range(6):
        page.get_by_label("Token (BRIDGE_OPS_TOKEN)").fill(f"guess {number}")
        page.get_by_role("button", name="Log in").click()
    assert "Too many wrong tokens" in page.get_by_role("alert").inner_text()
    page.get_by_label("Token (BRIDGE_OPS_TOKEN)").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    assert page.get_by_role("alert").is_visible()
    served.clock.now += 301
    log_in(browser, served.url)


def test_a_page_of_somebody_else_presses_no_button(
    served: Served, browser: Any, entries: dict[str, str], tmp_path: Path
) -> None:
    """Another site, opened in the browser of somebody who is logged in; once even with a CSRF token that leaked."""
    page = log_in(browser, served.url)
    csrf = page.locator("input[name=csrf]").first.get_attribute("value")
    target = f"{served.url}/entries/{entries['ready']}/discard"
    for host in ("127.0.0.1", "localhost"):
        for token in ("", csrf):
            form = f"<form method=post action={target}><input name=csrf value='{token}'></form>"
            form += "<script>document.forms[0].submit()</script>"
            with foreign(form) as port:
                page.goto(f"http://{host}:{port}/")
                page.wait_for_url(re.compile("/(login|entries/.*/discard)$"))
            assert page.get_by_role("heading").first.inner_text() in ("Log in", "Not allowed")
            assert detail(tmp_path, entries["ready"]).entry.state == "ready"
    framed = f"<iframe src={served.url}/></iframe>"
    with foreign(framed) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        assert page.frames[1].get_by_text("The last hour").count() == 0


@contextmanager
def foreign(html: str) -> Iterator[int]:
    """A site of somebody else's."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "axe-core@4.10.3"]
    subprocess.run(command, cwd=path, check=True, timeout=120)
    return (path / "node_modules/axe-core/axe.min.js").read_text()


def test_nothing_serious_for_axe_and_no_sideways_scrolling(
    served: Served, browser: Any, axe: str, entries: dict[str, str]
) -> None:
    for scheme in ("light", "dark"):
        for width in (360, 1280):
            screen = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
            _accessible(served.url, browser, axe, entries["stranger"], screen)


def _accessible(url: str, browser: Any, axe: str, entry_id: str, screen: dict[str, Any]) -> None:
    page = log_in(browser, url, bypass_csp=True, **screen)
    for path in ("/", "/entries?state=held", f"/entries/{entry_id}", "/nothing"):
        page.goto(url + path)
        page.evaluate(axe)
        found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))")
        assert [one for one in found if one[0] in ("serious", "critical")] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if path != "/nothing":
            assert page.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
    fresh = browser.new_context(bypass_csp=True, **screen).new_page()
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
