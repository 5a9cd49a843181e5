"""The web page as a browser gets it: escaped, locked down, and usable without a script."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest

from tests.sandbox.serving import ATTACHMENTS, CLOSED, EXAMPLE, KEY, NUMBER, TICKETS, Served

HOSTILE = '</textarea></div><script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;{{ 7 * 7 }}{% raw %}'
ELEMENTS_OF_OURS = {
    "html", "head", "meta", "title", "link", "body", "a", "header", "div", "img", "span", "nav", "main", "footer", "p",
    "h1", "h2", "ul", "li", "time", "section", "article", "strong", "form", "label", "textarea", "input", "button",
    "aside", "dl", "dt", "dd", "code", "details", "summary", "svg", "path", "select", "option", "table", "thead",
    "tbody", "tr", "th", "td",
}  # fmt: skip


class Page(HTMLParser):
    """Elements, attributes, texts, and the text inside and outside of ``details``."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.covered: list[str] = []
        self._details: list[bool] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "details":
            self._details.append("open" in dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self._details.pop()

    def handle_data(self, data: str) -> None:
        (self.covered if self._details and not self._details[-1] else self.shown).append(data)

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attrs.get(name) for found, attrs in self.elements if found == tag and name in attrs]


def page(served: Served, path: str, status: int = 200) -> Page:
    answer = served.anonymous.get(path)
    assert answer.status_code == status, answer.text
    return checked(answer)


def checked(answer: httpx.Response) -> Page:
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    # With no-referrer, browsers send "Origin: null" with the page's own forms, which would then be refused.
    assert answer.headers["referrer-policy"] == "same-origin"
    read = Page(answer)
    for tag, attributes in read.elements:
        assert tag in ELEMENTS_OF_OURS
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), (tag, attributes)
    assert len(read.attributes("html", "lang")) == 1
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    controls = {
        attributes["id"] for tag, attributes in read.elements
        if tag in ("textarea", "select") or (tag == "input" and attributes.get("type") != "hidden")
    }  # fmt: skip
    assert controls == set(read.attributes("label", "for"))
    return read


@pytest.mark.parametrize(
    "path",
    [
        "/", "/?status=closed", "/?status=unknown", "/?status=%3Cscript%3E", f"/tickets/{EXAMPLE}",
        f"/tickets/{NUMBER}", "/faults", "/requests",
    ],
)  # fmt: skip
def test_every_page_is_locked_down_and_labelled(untouched: Served, path: str) -> None:
    page(untouched, path)


@pytest.mark.parametrize("path", ["/nope", "/tickets/1", "/files/tatt_x", "/assets/../schema.sql", "/assets/x.css",
                                  "/%3Cscript%3Ealert(1)%3C/script%3E"])  # fmt: skip
def test_what_is_not_there_has_a_page_too(untouched: Served, path: str) -> None:
    assert "404" in page(untouched, path, 404).shown


def test_the_style_sheet_and_the_icon_come_from_here_alone(untouched: Served) -> None:
    read = page(untouched, "/")
    for address in [*read.attributes("link", "href"), *read.attributes("img", "src")]:
        assert address is not None
        answer = untouched.anonymous.get(address)
        assert answer.status_code == 200
        assert "url(" not in answer.text
        assert "@import" not in answer.text


def test_nothing_that_anyone_sends_becomes_markup(served: Served) -> None:
    ticket = {
        "departmentSlug": "support", "subject": HOSTILE, "message": HOSTILE,
        "context": {"serviceType": "other", "serviceId": HOSTILE},
    }  # fmt: skip
    made = served.api.post(TICKETS, json=ticket).json()["id"]
    served.api.post(ATTACHMENTS, files={"file": (HOSTILE, b"x")}, data={"ticketId": made})
    served.api.post(f"{TICKETS}/{made}/messages", json={"message": HOSTILE})
    served.api.post(ATTACHMENTS, files={"file": (HOSTILE, b"x")}, data={"ticketId": made})
    served.anonymous.post(f"/sandbox/tickets/{made}/staff", json={"message": HOSTILE, "senderName": HOSTILE[:100]})
    served.api.get(f"{TICKETS}/{quote(HOSTILE, safe='')}", headers={"User-Agent": HOSTILE})
    assert HOSTILE in page(served, "/").shown
    conversation = page(served, f"/tickets/{made}")
    assert conversation.shown.count(HOSTILE) >= 5
    page(served, "/requests")
    complaint = served.anonymous.post(
        "/faults", data={"fault": HOSTILE, "seconds": HOSTILE, HOSTILE: "x", "code": HOSTILE}
    )
    assert complaint.status_code == 400
    assert HOSTILE in checked(complaint).attributes("input", "value")


def test_an_armed_code_is_escaped(served: Served) -> None:
    served.arm("status", code=HOSTILE)
    assert any(HOSTILE in text for text in page(served, "/faults").shown)


def test_an_encrypted_reply_is_marked_and_covered(served: Served) -> None:
    served.api.post(ATTACHMENTS, files={"file": ("nyckel.txt", b"x")}, data={"ticketId": EXAMPLE})
    served.post("Lösenordet är korall", encrypted=True)
    served.post("Och detta är inte hemligt")
    read = page(served, f"/tickets/{EXAMPLE}")
    assert "Lösenordet är korall" in read.covered
    assert "nyckel.txt" in read.covered
    assert "Encrypted" in read.shown
    assert "Och detta är inte hemligt" in read.shown
    assert not any("korall" in text or "nyckel" in text for text in [*page(served, "/").shown, *read.shown])


def test_customer_staff_and_automation_are_told_apart(untouched: Served) -> None:
    read = page(untouched, f"/tickets/{CLOSED}")
    classes = [str(name).split()[1] for name in read.attributes("article", "class")]
    assert classes == ["customer", "automation", "staff", "customer", "automation"]
    assert [text for text in read.shown if text in ("Customer", "Support", "Automatic")].count("Support") == 1


def test_attachments_are_listed_and_never_shown_by_the_browser(served: Served) -> None:
    html = b"<html><script>alert(1)</script>"
    served.api.post(ATTACHMENTS, files={"file": ("sida å.html", html)}, data={"ticketId": EXAMPLE})
    waiting = page(served, f"/tickets/{EXAMPLE}")
    assert "Uploads waiting for a reply" in waiting.shown
    served.post("se filen")
    read = page(served, f"/tickets/{EXAMPLE}")
    assert "Uploads waiting for a reply" not in read.shown
    assert "sida å.html" in read.shown
    [address] = [href for href in read.attributes("a", "href") if href and href.startswith("/files/tatt_")]
    answer = served.anonymous.get(address)
    assert answer.content == html
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''sida%20%C3%A5.html"


def test_staff_answer_with_the_form(served: Served) -> None:
    form = {"message": "Hej!\r\n\r\nKlart nu.", "senderName": "Åsa"}
    answer = served.anonymous.post(f"/tickets/{EXAMPLE}/staff", data=form, headers={"Origin": served.url})
    assert answer.status_code == 303
    [(stored, sender, name, body)] = served.rows(
        "SELECT id, sender, sender_name, body FROM messages ORDER BY seq DESC LIMIT 1"
    )
    assert (sender, name, body) == ("staff", "Åsa", "Hej!\n\nKlart nu.")
    assert answer.headers["location"] == f"/tickets/{EXAMPLE}#{stored}"
    assert "Hej!\n\nKlart nu." in page(served, f"/tickets/{EXAMPLE}").shown


def test_an_empty_answer_is_not_sent(served: Served) -> None:
    answer = served.anonymous.post(f"/tickets/{EXAMPLE}/staff", data={"message": " \n", "senderName": "x"})
    assert answer.status_code == 400
    assert "Write something before you send it." in checked(answer).shown


def test_the_buttons_close_and_reopen(served: Served) -> None:
    for action, status in (("close", "closed"), ("reopen", "open")):
        assert f"/tickets/{EXAMPLE}/{action}" in page(served, f"/tickets/{EXAMPLE}").attributes("form", "action")
        assert served.anonymous.post(f"/tickets/{EXAMPLE}/{action}").status_code == 303
        assert served.rows("SELECT status FROM tickets WHERE id=?", EXAMPLE) == [(status,)]
    assert served.anonymous.post(f"/tickets/{EXAMPLE}/burn").status_code == 404


@pytest.mark.parametrize("path", [f"/tickets/{EXAMPLE}/staff", f"/tickets/{EXAMPLE}/close", "/faults"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_another_web_site_cannot_use_the_forms(untouched: Served, path: str, headers: dict[str, str]) -> None:
    form = {"message": "x", "fault": "delay"}
    assert untouched.anonymous.post(path, data=form, headers=headers).status_code == 403
    assert untouched.rows("SELECT status FROM tickets WHERE id=?", EXAMPLE) == [("answered",)]
    assert untouched.armed() == []


def test_forms_are_bounded(served: Served) -> None:
    path = f"/tickets/{EXAMPLE}/staff"
    assert served.anonymous.post(path, data={"message": "x" * 1_100_000}).status_code == 413
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert served.anonymous.post(path, content=iter([b"message=x"]), headers=kind).status_code == 413
    assert served.rows("SELECT count(*) FROM messages WHERE ticket_id=?", EXAMPLE) == [(2,)]


def test_faults_are_armed_and_disarmed_with_the_form(served: Served) -> None:
    form = {
        "fault": "status",
        "on": "messages",
        "count": "2",
        "seconds": "",
        "status": "502",
        "form": "html",
        "code": " ",
    }
    assert served.anonymous.post("/faults", data=form).status_code == 303
    served.anonymous.post("/faults", data={"fault": "delay", "on": "list", "seconds": "0.5"})
    [status, delay] = served.armed()
    assert (status["status"], status["form"], status["count"], status["on"]) == (502, "html", 2, "messages")
    assert (delay["seconds"], delay["count"]) == (0.5, 1)
    read = page(served, "/faults")
    assert {"status", "delay", "replies to a ticket", "2 requests"} <= set(read.shown)
    assert "2" in page(served, "/").shown
    served.anonymous.post("/faults", data={"disarm": status["id"]})
    served.anonymous.post("/faults", data={"disarm": status["id"]})
    assert served.armed() == [delay]
    served.anonymous.post("/faults", data={"disarm": "all"})
    assert served.armed() == []


def test_the_faults_form_keeps_what_was_entered_when_it_complains(served: Served) -> None:
    answer = served.anonymous.post("/faults", data={"fault": "delay", "on": "list", "seconds": "soon", "status": "500"})
    assert answer.status_code == 400
    read = checked(answer)
    assert {"soon", "500"} <= set(read.attributes("input", "value"))
    assert re.search(r"<option selected>delay</option>", answer.text)
    assert any(text.startswith("seconds:") for text in read.shown)
    assert served.armed() == []


def test_the_requests_page_shows_outcomes_and_no_key(served: Served) -> None:
    served.arm("reset_after")
    with pytest.raises(httpx.TransportError):
        served.post("hemligt")
    served.api.get(f"{TICKETS}/1")
    answer = served.anonymous.get("/requests")
    assert KEY not in answer.text
    assert "hemligt" not in answer.text
    assert {"no answer", "reset_after", "404", "ticket_not_found"} <= set(checked(answer).shown)


def test_armed_faults_do_not_break_the_page(served: Served) -> None:
    served.arm("status", status=500, count=50)
    page(served, "/")
    page(served, f"/tickets/{EXAMPLE}")
