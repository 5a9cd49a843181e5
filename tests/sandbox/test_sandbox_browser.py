"""The web page in a real browser, without JavaScript: forms, covers, phone width, both colour schemes."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from tests.sandbox.serving import EXAMPLE, Served

pytestmark = pytest.mark.system
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Any:
    from playwright.sync_api import sync_playwright

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield started
        started.close()


def test_support_staff_read_and_answer_without_a_script(served: Served, browser: Any) -> None:
    served.post("Lösenordet är korall", encrypted=True)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(served.url)
    page.get_by_role("link", name="Kan inte skicka e-post").click()
    secret = page.get_by_text("Lösenordet är korall")
    assert not secret.is_visible()
    page.get_by_text("Show the encrypted reply").click()
    assert secret.is_visible()
    page.get_by_label("Message", exact=True).fill("Hej!\n\n<b>Klart</b> nu.")
    page.get_by_role("button", name="Send answer").click()
    assert page.get_by_text("<b>Klart</b> nu.").is_visible()
    page.get_by_role("button", name="Close ticket").click()
    assert page.get_by_role("button", name="Reopen ticket").is_visible()
    newest = served.rows("SELECT sender, body FROM messages ORDER BY seq DESC LIMIT 1")
    assert newest == [("staff", "Hej!\n\n<b>Klart</b> nu.")]
    assert served.rows("SELECT status FROM tickets WHERE id=?", EXAMPLE) == [("closed",)]


def test_faults_are_armed_and_disarmed_in_the_browser(served: Served, browser: Any) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{served.url}/faults")
    page.get_by_label("Fault", exact=True).select_option("status")
    page.get_by_text("Details that some faults take").click()
    page.get_by_label("Status", exact=True).fill("502")
    page.get_by_role("button", name="Arm", exact=True).click()
    assert [fault["status"] for fault in served.armed()] == [502]
    page.get_by_role("button", name="Disarm status").click()
    assert served.armed() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", f"/tickets/{EXAMPLE}", "/faults", "/requests"])
def test_every_page_fits_a_phone_and_breaks_no_policy(served: Served, browser: Any, path: str, scheme: str) -> None:
    served.post("x" * 400 + " " + "åäö " * 200)
    page = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.goto(served.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    channels = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
    assert (sum(map(int, channels)) < 3 * 128) == (scheme == "dark")
    assert said == []
