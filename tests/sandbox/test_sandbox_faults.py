"""Each fault, over real sockets: what the client meets, and whether the request was applied."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.sandbox.app import create_app
from bridge.sandbox.faults import KINDS, STRIKE_PLACES, STRIKES
from bridge.sandbox.mischief import BEHAVIOURS
from tests.sandbox.serving import ATTACHMENTS, CLOSED, EXAMPLE, KEY, MESSAGES, TICKETS, Served, serving


def raw_post(served: Served, text: str) -> tuple[bytes, bool]:
    """What came back from a POST, to the byte, and whether the connection ended by a reset."""
    body = json.dumps({"message": text}).encode()
    head = (
        f"POST {MESSAGES} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n"
    )
    place = urlsplit(served.url)
    got = b""
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
        try:
            while piece := connection.recv(65_536):
                got += piece
        except ConnectionResetError:
            return got, True
    return got, False


def journalled(served: Served, *expected: tuple[object, ...]) -> bool:
    """The journal comes to say this; under a fault a row is finished only after the exchange is over."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if served.rows("SELECT fault, applied, status FROM requests ORDER BY seq") == list(expected):
            return True
        time.sleep(0.02)
    return False


def test_every_kind_has_a_behaviour() -> None:
    assert set(BEHAVIOURS) | {"refuse"} == set(KINDS)


def test_delay_keeps_the_answer_back(served: Served) -> None:
    served.arm("delay", seconds=0.4)
    begun = time.monotonic()
    assert served.post("hej").status_code == 201
    assert 0.4 <= time.monotonic() - begun < 5
    assert journalled(served, ("delay", 1, 201))


@pytest.mark.parametrize(("place", "stored"), [("before", []), ("after", ["hej"])])
def test_a_delayed_request_is_applied_before_or_after_the_wait(served: Served, place: str, stored: list[str]) -> None:
    served.arm("delay", seconds=1.5, place=place)
    with pytest.raises(httpx.ReadTimeout):
        served.api.post(MESSAGES, json={"message": "hej"}, timeout=0.3)
    assert served.customer_words() == stored
    deadline = time.monotonic() + 10
    while served.customer_words() != ["hej"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_refuse_closes_the_port_and_resets_what_is_open(served: Served) -> None:
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as idle:
        served.arm("refuse", seconds=1)
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises(httpx.ConnectError, match="refused"):
        httpx.post(served.url + MESSAGES, json={"message": "x"}, trust_env=False)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert served.post("hej").status_code == 201
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert served.customer_words() == ["hej"]
    assert served.armed() == []


def test_a_sandbox_stops_while_its_port_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path / "sandbox.db") as served:
        served.arm("refuse", seconds=3600)
        time.sleep(0.2)


def test_without_a_listener_refuse_says_so() -> None:
    async def ask() -> httpx.Response:
        app = create_app(keys=["k"])
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox")
        async with app.router.lifespan_context(app), client:
            return await client.post("/sandbox/faults", json={"fault": "refuse"})

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (409, "no_listener")


@pytest.mark.parametrize(("fault", "stored"), [("reset_before", []), ("reset_after", ["hej"])])
@pytest.mark.parametrize(("how", "reset"), [("reset", True), ("close", False)])
def test_the_connection_dies(served: Served, fault: str, stored: list[str], how: str, reset: bool) -> None:
    served.arm(fault, how=how)
    assert raw_post(served, "hej") == (b"", reset)
    assert served.customer_words() == stored
    assert journalled(served, (fault, len(stored), None))
    assert raw_post(served, "igen")[0].startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 500, 502, 503, 504, 599])
def test_status_as_a_problem(untouched: Served, status: int) -> None:
    untouched.arm("status", status=status)
    answer = untouched.post("hej")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert bool(answer.json().get("errors")) == (answer.json()["code"] == "invalid_request")
    assert untouched.customer_words() == []


def test_status_as_html_broken_json_or_nothing(served: Served) -> None:
    served.arm("status", status=502, form="html")
    html = served.post("hej")
    assert (html.status_code, html.headers["content-type"]) == (502, "text/html")
    assert "<h1>502" in html.text
    served.arm("status", status=500, form="broken")
    with pytest.raises(json.JSONDecodeError):
        served.post("hej").json()
    served.arm("status", status=504, form="empty")
    assert served.post("hej").content == b""
    assert served.customer_words() == []


def test_status_with_a_code_and_applied(served: Served) -> None:
    served.arm("status", status=403, code="account_inactive", place="after")
    answer = served.post("hej")
    assert (answer.status_code, answer.json()["code"]) == (403, "account_inactive")
    assert served.customer_words() == ["hej"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_where_to(untouched: Served, status: int) -> None:
    untouched.arm("status", status=status)
    answer = untouched.api.post(MESSAGES, json={"message": "x"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (status, "/elsewhere")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(served: Served, status: int) -> None:
    served.arm("status", status=status)
    assert served.post("x").content == b""
    assert served.post("y").status_code == 201


def test_success_as_html(served: Served) -> None:
    served.arm("status", status=200, form="html")
    assert served.post("x").headers["content-type"] == "text/html"


def test_rate_limit_says_how_long(served: Served) -> None:
    served.arm("rate_limit", seconds=7)
    answer = served.post("hej")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "7"
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("60", "0")
    assert datetime.fromisoformat(answer.headers["x-ratelimit-reset"]) > datetime.now(UTC)
    assert served.post("hej").status_code == 201


def test_rate_limit_by_date(served: Served) -> None:
    served.arm("rate_limit", seconds=30, retry_after="date")
    until = parsedate_to_datetime(served.post("hej").headers["retry-after"])
    assert 25 < (until - datetime.now(UTC)).total_seconds() <= 31


def test_revoked(served: Served) -> None:
    served.arm("revoked", count=2)
    assert [served.api.get(TICKETS).status_code for _ in range(3)] == [401, 401, 200]


def test_null_bodies_hide_what_is_stored(served: Served) -> None:
    served.arm("null_bodies", count=2, on="any")
    assert served.post("hej").json()["body"] is None
    detail = served.api.get(f"{TICKETS}/{EXAMPLE}").json()
    assert detail["body"] is None
    assert {message["body"] for message in detail["messages"]} == {None}
    assert served.customer_words() == ["hej"]


def test_trimmed_bodies_change_the_answer_alone(served: Served) -> None:
    served.arm("trimmed_bodies", count=2, on="any", length=7)
    assert served.post("  a  \r\nb\t\r\nlång rad\n\n").json()["body"] == "a\nb\nlån"
    assert served.api.get(f"{TICKETS}/{EXAMPLE}").json()["messages"][-1]["body"] == "a\nb\nlån"
    assert served.customer_words() == ["  a  \r\nb\t\r\nlång rad\n\n"]


def test_cut_body_ends_in_the_middle(served: Served) -> None:
    served.arm("cut_body")
    got, reset = raw_post(served, "hej")
    head, _, body = got.partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 201 ")
    assert (len(body), reset) == (promised // 2, True)
    assert served.customer_words() == ["hej"]
    assert journalled(served, ("cut_body", 1, 201))


def test_garbled_body_is_whole_and_no_json(served: Served) -> None:
    served.arm("garbled_body")
    answer = served.post("hej")
    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert served.customer_words() == ["hej"]


def test_drip_keeps_the_connection_busy(served: Served) -> None:
    served.arm("drip", seconds=0.005)
    begun = time.monotonic()
    answer = served.post("hej")
    assert answer.json()["body"] == "hej"
    assert time.monotonic() - begun >= 0.005 * len(answer.content)


def test_a_client_that_leaves_a_drip_frees_the_server(served: Served) -> None:
    served.arm("drip", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        served.api.post(MESSAGES, json={"message": "hej"}, timeout=0.3)
    assert served.customer_words() == ["hej"]
    assert journalled(served, ("drip", 1, 201))


def test_huge_body_is_as_long_as_said(served: Served) -> None:
    served.arm("huge_body", bytes=300_001)
    answer = served.post("hej")
    assert len(answer.content) == int(answer.headers["content-length"]) > 300_001
    assert answer.json()["body"] == "hej"


@pytest.mark.parametrize(("place", "stored"), [("before", []), ("after", ["hej"])])
def test_not_http(served: Served, place: str, stored: list[str]) -> None:
    served.arm("not_http", place=place)
    with pytest.raises(httpx.RemoteProtocolError):
        served.post("hej")
    assert served.customer_words() == stored


@pytest.mark.parametrize(
    ("on", "met"),
    [
        ("any", ["messages", "attachments", "read", "list", "create", "actions", "departments"]),
        ("messages", ["messages"]),
        ("attachments", ["attachments"]),
        ("tickets", ["read", "list", "create", "actions"]),
        ("read", ["read"]),
        ("list", ["list"]),
        ("create", ["create"]),
        ("actions", ["actions"]),
    ],
)
def test_a_fault_meets_what_it_is_armed_on(served: Served, on: str, met: list[str]) -> None:
    served.arm("status", status=503, on=on, count=100)
    ticket = {"departmentSlug": "support", "subject": "x", "message": "y"}
    statuses = {
        "messages": served.post("x").status_code,
        "attachments": served.api.post(ATTACHMENTS, files={"file": ("a", b"x")}).status_code,
        "read": served.api.get(f"{TICKETS}/{EXAMPLE}").status_code,
        "list": served.api.get(TICKETS).status_code,
        "create": served.api.post(TICKETS, json=ticket).status_code,
        "actions": served.api.post(f"{TICKETS}/{EXAMPLE}/actions/close").status_code,
        "departments": served.api.get("/api/v2/support/departments").status_code,
    }
    assert [name for name, status in statuses.items() if status == 503] == met


def test_faults_act_in_the_order_of_arming_one_for_each_request(served: Served) -> None:
    served.arm("status", status=500, on="messages")
    served.arm("status", status=502, on="any", count=2)
    statuses = [served.api.get(TICKETS).status_code, *(served.post("x").status_code for _ in range(3))]
    assert statuses == [502, 500, 502, 201]


def test_a_fault_armed_for_a_time_meets_every_request_and_ends_by_itself(served: Served) -> None:
    shown = served.arm("revoked", seconds=0.6)
    assert shown["count"] is None
    assert [served.post("x").status_code for _ in range(3)] == [401] * 3
    time.sleep(0.7)
    assert served.armed() == []
    assert served.post("x").status_code == 201


def test_faults_are_listed_and_disarmed(served: Served) -> None:
    first, second = served.arm("revoked", count=3), served.arm("status", status=500, on="list")
    assert served.armed() == [first, second]
    served.post("x")
    assert served.armed()[0]["count"] == 2
    left = served.anonymous.delete(f"/sandbox/faults/{first['id']}").json()["data"]
    assert [fault["id"] for fault in left] == [second["id"]]
    assert served.anonymous.delete(f"/sandbox/faults/{first['id']}").status_code == 404
    assert served.anonymous.delete("/sandbox/faults").json() == {"disarmed": 1}
    assert served.post("x").status_code == 201


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({}, "/fault"),
        ({"fault": "flood"}, "/fault"),
        ({"fault": 7}, "/fault"),
        ({"fault": "delay", "seconds": -1}, "/seconds"),
        ({"fault": "delay", "seconds": True}, "/seconds"),
        ({"fault": "delay", "seconds": "1"}, "/seconds"),
        ({"fault": "delay", "seconds": 86_401}, "/seconds"),
        ({"fault": "delay", "on": "nothing"}, "/on"),
        ({"fault": "delay", "count": 0}, "/count"),
        ({"fault": "delay", "count": 1.5}, "/count"),
        ({"fault": "delay", "status": 500}, "/status"),
        ({"fault": "status", "status": 199}, "/status"),
        ({"fault": "status", "form": "xml"}, "/form"),
        ({"fault": "status", "code": 5}, "/code"),
        ({"fault": "reset_after", "how": "kindly"}, "/how"),
        ({"fault": "rate_limit", "retry_after": "soon"}, "/retry_after"),
        ({"fault": "huge_body", "bytes": 0}, "/bytes"),
        ({"fault": "trimmed_bodies", "length": -1}, "/length"),
        ({"fault": "not_http", "place": "never"}, "/place"),
    ],
)
def test_a_fault_that_cannot_be_armed_is_named(untouched: Served, members: dict[str, object], pointer: str) -> None:
    answer = untouched.anonymous.post("/sandbox/faults", json=members)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert untouched.armed() == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_web_site_cannot_arm_or_disarm(served: Served, headers: dict[str, str]) -> None:
    armed = served.arm("revoked", on="list")
    assert served.anonymous.post("/sandbox/faults", json={"fault": "delay"}, headers=headers).status_code == 403
    assert served.anonymous.delete("/sandbox/faults", headers=headers).status_code == 403
    assert served.anonymous.delete(f"/sandbox/faults/{armed['id']}", headers=headers).status_code == 403
    staff = f"/sandbox/tickets/{EXAMPLE}/staff"
    assert served.anonymous.post(staff, json={"message": "x"}, headers=headers).status_code == 403
    assert served.armed() == [armed]


@pytest.mark.parametrize("how", STRIKES)
@pytest.mark.parametrize("place", STRIKE_PLACES)
def test_a_strike_is_applied_or_not_by_its_place(served: Served, place: str, how: str) -> None:
    served.arm("strike", place=place, how=how, status=503, ticket=EXAMPLE, on="messages", bytes=2_000_000, seconds=0.01)
    with httpx.Client(base_url=served.url, headers=dict(served.api.headers), trust_env=False, timeout=0.5) as client:
        status = 0
        with contextlib.suppress(httpx.HTTPError), client.stream("POST", MESSAGES, json={"message": "hej"}) as answer:
            status = answer.status_code
            answer.read()
    assert served.customer_words() == (["hej"] if place in ("applied", "answered") else [])
    whole = how in ("answer", "cut", "drip", "huge")
    assert status == (201 if place == "answered" else 503 if whole else 0)


def test_a_fault_for_one_ticket_leaves_the_others_alone(served: Served) -> None:
    served.arm("strike", how="answer", status=503, ticket=CLOSED, on="messages")
    assert served.post("hej").status_code == 201
    assert len(served.armed()) == 1
