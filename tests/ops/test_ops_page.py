"""The operators' page over HTTP: health, metrics, login and its limits, what is shown, and every button."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.delivery import GateState
from bridge.ops.meter import Meter
from bridge.ops.metrics import METRICS
from bridge.ops.page import PageServer
from bridge.ops.page.app import Page
from bridge.ops.page.login import COOKIE
from bridge.ops.status import Monitor
from bridge.spool import open_spool
from bridge.spool.api import Detail
from tests.ops.conftest import with_spool

TOKEN = "a-token-of-the-operators"
Entries = dict[str, str]


class Clock:
    """Now, until a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Served:
    """The page on a port of its own, and a browser without JavaScript."""

    def __init__(self, url: str, clock: Clock, meter: Meter) -> None:
        self.url = url
        self.clock = clock
        self.meter = meter
        self.client = httpx.Client(base_url=url, trust_env=False, headers={"Origin": url})

    def cookie(self, answer: httpx.Response) -> None:
        """Browsers take a Secure cookie from loopback; httpx does not."""
        found = re.match(rf"{COOKIE}=([^;]+)", answer.headers.get("set-cookie", ""))
        if found:
            self.client.headers["Cookie"] = f"{COOKIE}={found[1]}"

    def login(self) -> None:
        answer = self.client.post("/login", data={"token": TOKEN})
        assert answer.status_code == 303, answer.text
        self.cookie(answer)

    def csrf(self, path: str = "/") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.client.get(path).text)
        assert found
        return found[1]

    def press(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf(), **fields})


@pytest.fixture
def served(tmp_path: Path, entries: Entries) -> Iterator[Served]:
    yield from serving(tmp_path, TOKEN)


def serving(tmp_path: Path, token: str, *, rejects: bool = False) -> Iterator[Served]:
    ready, stop = threading.Event(), asyncio.Event()
    clock = Clock()
    meter = Meter(clock)
    running: dict[str, object] = {}

    async def live() -> None:
        running["loop"] = asyncio.get_running_loop()
        url = f"sqlite:///{tmp_path}/spool.db"
        spool = await open_spool(url, owner="page", high_water_bytes=2**33, min_free_bytes=0, exclusive=False)
        page = Page(spool, Monitor(spool, None, meter, None, clock), token, clock, rejects=rejects)
        server = PageServer(page.app, "127.0.0.1", 0)
        host, port = await server.start()
        running["url"] = f"http://{host}:{port}"
        ready.set()
        await stop.wait()
        await server.stop()
        await spool.close()

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert ready.wait(20)
    made = Served(str(running["url"]), clock, meter)
    yield made
    made.client.close()
    loop = running["loop"]
    assert isinstance(loop, asyncio.AbstractEventLoop)
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()


def detail(path: Path, entry_id: str) -> Detail:
    return with_spool(path, lambda spool: spool.detail(entry_id), exclusive=False)


def test_health_needs_no_login(served: Served) -> None:
    assert served.client.get("/healthz").text == "ok\n"
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["accepting"]) == (200, True)
    assert served.client.get("/").headers["location"] == "/login"


def test_every_metric_is_there_and_means_what_it_says(served: Served, entries: Entries) -> None:
    served.meter(None, "", {"event": "mail_queued", "entries": ["a", "b"], "bytes": 10})
    served.meter(None, "", {"event": "decided", "state": "held", "reason": "no_ticket"})
    served.meter(None, "", {"event": "delivered", "reason": "delivered", "outcome": "delivered"})
    served.meter(None, "", {"event": "held", "reason": "refused_by_api"})
    served.meter(None, "", {"event": "recipient_refused"})
    served.meter(None, "", {"event": "unreadable", "level": "error"})
    text = served.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    optional = {"ticket_bridge_certificate_end_timestamp_seconds"}
    assert set(families) == {name.removesuffix("_total") for name in METRICS} - optional
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found["ticket_bridge_entries", "held"] == 3
    assert found["ticket_bridge_held_entries", "no_ticket"] == 1
    assert found[("ticket_bridge_mails_accepted_total",)] == 1
    assert found[("ticket_bridge_accepted_bytes_total",)] == 10
    assert found["ticket_bridge_decisions_total", "held", "no_ticket"] == 1
    assert found["ticket_bridge_settlements_total", "delivered", "delivered"] == 1
    assert found["ticket_bridge_settlements_total", "held", "refused_by_api"] == 1
    assert found["ticket_bridge_api_outcomes_total", "delivered"] == 1
    assert found["ticket_bridge_refusals_total", "recipient_refused"] == 1
    assert found["ticket_bridge_errors_total", "unreadable"] == 1
    assert found[("ticket_bridge_accepting",)] == 1
    assert found["ticket_bridge_paused", "key"] == 0
    assert not set(entries.values()) & set(re.findall(r"[0-9a-z]{26}", text))
    assert "example" not in text


def test_login_and_its_limits(served: Served) -> None:
    answer = served.client.post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    for _ in range(5):
        assert served.client.post("/login", data={"token": "wrong"}).status_code == 403
    assert served.client.post("/login", data={"token": TOKEN}).status_code == 429
    served.clock.now += 301
    assert served.client.post("/login", data={"token": TOKEN}).status_code == 303


def test_a_session_ends(served: Served) -> None:
    served.login()
    assert served.client.get("/").status_code == 200
    served.clock.now += 9 * 3600
    assert served.client.get("/").status_code == 303
    served.login()
    cookie = served.client.headers["Cookie"]
    assert served.press("/logout").status_code == 303
    served.client.headers["Cookie"] = cookie
    assert served.client.get("/").status_code == 303


def test_forms_of_others_are_refused(served: Served, entries: Entries, tmp_path: Path) -> None:
    served.login()
    where = f"/entries/{entries['ready']}/discard"
    csrf = served.csrf()
    assert served.client.post(where).status_code == 403
    assert served.client.post(where, data={"csrf": "x"}).status_code == 403
    for origin in ("https://evil.example", "null", ""):
        answer = served.client.post(where, data={"csrf": csrf}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
    assert served.client.get(where).status_code == 405
    assert served.client.post("/login", data={"token": TOKEN}, headers={"Origin": "null"}).status_code == 403
    assert detail(tmp_path, entries["ready"]).entry.state == "ready"
    assert served.client.post("/logout", content=b"x" * 20_000).status_code == 413


def test_without_a_token_there_is_no_page(tmp_path: Path, entries: Entries) -> None:
    for served in serving(tmp_path, ""):
        assert served.client.get("/login").status_code == 404
        assert "BRIDGE_OPS_TOKEN" in served.client.get("/login").text
        assert served.client.get("/", follow_redirects=True).status_code == 404
        assert served.client.post("/entries/x/discard").status_code == 303
        assert served.client.get("/metrics").status_code == 200


def test_headers_keep_the_browser_strict(served: Served) -> None:
    served.login()
    for path in ("/", "/login", "/healthz", "/metrics", "/entries", "/nothing"):
        policy = served.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert served.client.get("/assets/style.css").headers["content-type"].startswith("text/css")
    assert served.client.get("/assets/..%2fapp.py").status_code == 404


def test_overview_lists_and_filters(served: Served, entries: Entries) -> None:
    served.login()
    page = served.client.get("/").text
    assert "No bridge runs on this spool" in page
    assert "nothing was sent yet" in page
    for outcome, said in (("delivered", "answers"), ("not_sent", "fails")):
        served.meter(None, "", {"event": "delivered", "reason": "delivered", "outcome": outcome})
        assert f"<dd>{said}</dd>" in served.client.get("/").text
    assert "No ticket" in page
    assert entries["delivered"][-8:] in page
    page = served.client.get("/entries", params={"state": "held", "reason": "no_ticket"}).text
    assert entries["no_ticket"] in page
    assert entries["unsure"] not in page
    assert served.client.get("/entries", params={"state": "nonsense"}).status_code == 200


def test_words_are_shown_when_asked_for_and_as_text(served: Served, entries: Entries, tmp_path: Path) -> None:
    served.login()
    page = served.client.get(f"/entries/{entries['delivered']}").text
    assert "words\\u202e" not in page
    assert "tmsg_1" in page
    shown = served.press(f"/entries/{entries['delivered']}/text")
    assert "\\x1b[31mwords\\u202e" in shown.text
    assert "\x1b" not in shown.text
    assert [line.action for line in detail(tmp_path, entries["delivered"]).audit] == ["reveal"]
    assert "reveal" in served.client.get(f"/entries/{entries['delivered']}").text


@pytest.mark.parametrize(
    ("name", "action", "state"),
    [
        ("unsure", "retry", "ready"),
        ("stranger", "release", "ready"),
        ("recorded", "replay", "ready"),
        ("ready", "hold", "held"),
        ("no_ticket", "discard", "discarded"),
    ],
)
def test_buttons(served: Served, entries: Entries, tmp_path: Path, name: str, action: str, state: str) -> None:
    served.login()
    entry_id = entries[name]
    assert f'formaction="/entries/{entry_id}/{action}"' in served.client.get(f"/entries/{entry_id}").text
    answer = served.press(f"/entries/{entry_id}/{action}", note="because")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/entries/{entry_id}?done={action}")
    assert f"Done: {action}." in served.client.get(answer.headers["location"]).text
    found = detail(tmp_path, entry_id)
    assert found.entry.state == state
    assert [(line.actor, line.action, line.note) for line in found.audit] == [("page", action, "because")]


def test_what_is_not_possible_says_so(served: Served, entries: Entries, tmp_path: Path) -> None:
    served.login()
    answer = served.press(f"/entries/{entries['no_ticket']}/release")
    assert (answer.status_code, "redirect it to a ticket" in answer.text) == (409, True)
    answer = served.press(f"/entries/{entries['no_ticket']}/redirect", ticket="nonsense")
    assert (answer.status_code, "is no ticket" in answer.text) == (409, True)
    answer = served.press(f"/entries/{entries['no_ticket']}/redirect", ticket=" 149943 ")
    assert answer.status_code == 303
    assert detail(tmp_path, entries["no_ticket"]).entry.override == "149943"
    assert served.press(f"/entries/{entries['no_ticket']}/explode").status_code == 404
    assert served.client.get("/entries/01zzzzzzzzzzzzzzzzzzzzzzzz").status_code == 404
    assert served.client.get("/nothing").status_code == 404


def test_pauses_and_other_troubles_are_named(tmp_path: Path) -> None:
    import trustme

    from bridge.ops.status import Status, certificate_end
    from bridge.spool.api import Counts, Usage

    status = Status(
        now=10_000.0,
        counts=Counts({}, {}, oldest_waiting=1000.0),
        usage=Usage(1, 1, 1, accepting=False),
        gate=GateState(open=False, reason="key", since=1.0),
        circuit_open=False,
        certificate_until=10_000.0 + 86_400,
    )
    said = " ".join(status.troubles())
    for word in ("452", "refuses the key", "150 minutes", "ends in 1 days"):
        assert word in said
    pem = tmp_path / "cert.pem"
    trustme.CA().issue_cert("x.example").cert_chain_pems[0].write_to_path(str(pem))
    assert (certificate_end(pem) or 0) > 1_700_000_000
    assert certificate_end(tmp_path / "none") is None
    pem.write_text("nonsense")
    assert certificate_end(pem) is None
