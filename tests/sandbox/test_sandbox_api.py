"""The six sections of the API contract, over real sockets, judged by the answers and by the database."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.sandbox.store import Store
from tests.sandbox.serving import ATTACHMENTS, CLOSED, EXAMPLE, MESSAGES, NUMBER, TICKETS, WRITE_ONLY, Served, serving

MESSAGE_MEMBERS = {"id", "ticketId", "sentAt", "body", "sender", "senderName", "encrypted", "attachments"}
SUMMARY_MEMBERS = {
    "id", "number", "subject", "status", "priority", "departmentSlug", "departmentName", "createdAt", "updatedAt",
    "lastMessageAt", "ccEmails", "requesterName", "messageCount", "linkedServices",
}  # fmt: skip
DETAIL_MEMBERS = SUMMARY_MEMBERS | {"body", "attachments", "messages"}
PROBLEM_MEMBERS = {
    "type", "title", "status", "detail", "code", "instance", "requestId", "timestamp", "extensions",
}  # fmt: skip
ULID = "[0-7][0-9a-hjkmnp-tv-z]{25}"


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code), answer.text
    expected = PROBLEM_MEMBERS | ({"errors"} if code == "invalid_request" else set())
    assert set(document) == expected
    assert re.fullmatch(f"req_{ULID}", document["requestId"])
    assert document["requestId"] == answer.headers["x-request-id"]
    assert document["instance"] == answer.request.url.path
    assert datetime.fromisoformat(document["timestamp"]).tzinfo is UTC
    return document


def pointers(answer: httpx.Response) -> set[str]:
    return {error["pointer"] for error in problem(answer, 400, "invalid_request")["errors"]}


def ticket(served: Served, reference: str = EXAMPLE) -> dict[str, Any]:
    answer = served.api.get(f"{TICKETS}/{reference}")
    assert answer.status_code == 200
    detail: dict[str, Any] = answer.json()
    return detail


def test_a_reply_is_answered_with_all_members_and_stored_as_sent(served: Served) -> None:
    text = "Hej!\r\n\r\n  Åäö 🌷 <b>\t\u202e\x00 slut  \n"
    answer = served.post(text, encrypted=True)
    assert answer.status_code == 201
    stored = answer.json()
    assert set(stored) == MESSAGE_MEMBERS
    assert re.fullmatch(f"tmsg_{ULID}", stored["id"])
    assert stored["ticketId"] == EXAMPLE
    assert (stored["body"], stored["sender"], stored["encrypted"]) == (text, "customer", True)
    assert stored["senderName"] == "Maja Lindqvist"
    assert stored["attachments"] == []
    sent = datetime.fromisoformat(stored["sentAt"])
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)
    assert served.rows("SELECT id, body, encrypted FROM messages ORDER BY seq DESC LIMIT 1") == [
        (stored["id"], text, 1)
    ]


def test_encrypted_is_false_when_omitted(served: Served) -> None:
    assert served.post("hej").json()["encrypted"] is False
    assert served.rows("SELECT encrypted FROM messages ORDER BY seq DESC LIMIT 1") == [(0,)]


def test_a_reply_moves_the_ticket(served: Served) -> None:
    before = ticket(served)
    served.post("hej")
    after = ticket(served)
    assert after["status"] == "customer_reply"
    assert after["messageCount"] == before["messageCount"] + 1 == len(after["messages"])
    assert after["messages"][-1]["body"] == "hej"
    assert after["lastMessageAt"] > before["lastMessageAt"]
    assert after["updatedAt"] > before["updatedAt"]


def test_a_repeated_post_posts_twice(served: Served) -> None:
    assert served.post("hej").json()["id"] != served.post("hej").json()["id"]
    assert served.customer_words() == ["hej", "hej"]


@pytest.mark.parametrize("reference", [EXAMPLE, NUMBER])
def test_every_path_takes_the_number_during_migration(served: Served, reference: str) -> None:
    path = f"{TICKETS}/{reference}"
    assert served.api.post(f"{path}/messages", json={"message": "hej"}).json()["ticketId"] == EXAMPLE
    assert served.api.get(path).json()["id"] == EXAMPLE
    assert served.api.post(f"{path}/actions/close").json()["status"] == "closed"
    assert served.api.post(f"{path}/actions/reopen").json()["status"] == "open"


@pytest.mark.parametrize(
    "reference",
    [
        "149944",
        "0149943",
        "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4",
        EXAMPLE.upper(),
        EXAMPLE + "x",
        "tkt_",
        "%C3%A5",
        "149943%20",
    ],
)
def test_an_unknown_ticket_is_not_found(untouched: Served, reference: str) -> None:
    path = f"{TICKETS}/{reference}"
    problem(untouched.api.get(path), 404, "ticket_not_found")
    problem(untouched.api.post(f"{path}/messages", json={"message": "x"}), 404, "ticket_not_found")
    problem(untouched.api.post(f"{path}/actions/reopen"), 404, "ticket_not_found")


def test_a_closed_ticket_takes_no_reply_until_it_is_reopened(served: Served) -> None:
    path = f"{TICKETS}/{CLOSED}"
    count = ticket(served, CLOSED)["messageCount"]
    problem(served.api.post(f"{path}/messages", json={"message": "x"}), 409, "ticket_closed")
    assert ticket(served, CLOSED)["messageCount"] == count
    reopened = served.api.post(f"{path}/actions/reopen")
    assert (reopened.status_code, set(reopened.json())) == (200, DETAIL_MEMBERS)
    assert served.api.post(f"{path}/messages", json={"message": "x"}).status_code == 201


def test_reopening_an_open_ticket_changes_nothing(served: Served) -> None:
    before = ticket(served)
    assert served.api.post(f"{TICKETS}/{EXAMPLE}/actions/reopen").json() == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"[]", ""),
        (b"null", ""),
        (b"[" * 100_000, ""),
        (b'{"message": NaN}', ""),
        (b"{}", "/message"),
        (b'{"message": null}', "/message"),
        (b'{"message": 7}', "/message"),
        (b'{"message": " \\n"}', "/message"),
        (b'{"message": "\\ud800"}', "/message"),
        (b'{"message": "x", "encrypted": "true"}', "/encrypted"),
        (b'{"message": "x", "encrypted": 1}', "/encrypted"),
    ],
)
def test_a_reply_that_fails_validation_is_named_and_not_stored(untouched: Served, body: bytes, pointer: str) -> None:
    assert pointers(untouched.api.post(MESSAGES, content=body)) == {pointer}
    assert untouched.customer_words() == []


def test_all_that_is_wrong_is_said_at_once(untouched: Served) -> None:
    assert pointers(untouched.api.post(MESSAGES, json={"encrypted": 0})) == {"/message", "/encrypted"}


def test_a_body_beyond_a_mebibyte_is_refused(served: Served) -> None:
    answer = served.post("x" * 1_048_577)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert served.customer_words() == []
    assert served.rows("SELECT status, code FROM requests") == [(413, "payload_too_large")]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nope", "Basic sk-test-full", "sk-test-full"])
def test_without_a_known_key_nothing_is_done(untouched: Served, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = untouched.anonymous.post(MESSAGES, json={"message": "x"}, headers=headers)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert untouched.customer_words() == []


def test_a_write_only_key_writes_and_does_not_read(served: Served) -> None:
    headers = {"Authorization": f"bearer {WRITE_ONLY}"}
    assert served.anonymous.post(MESSAGES, json={"message": "x"}, headers=headers).status_code == 201
    for path in (TICKETS, f"{TICKETS}/{EXAMPLE}", "/api/v2/support/departments"):
        document = problem(served.anonymous.get(path, headers=headers), 403, "forbidden")
        assert document["extensions"] == {"requiredScope": "read:support"}


def test_a_ticket_has_the_members_of_the_contract_and_no_requester_address(untouched: Served) -> None:
    detail = ticket(untouched)
    assert set(detail) == DETAIL_MEMBERS
    assert (detail["id"], detail["number"], detail["status"]) == (EXAMPLE, NUMBER, "answered")
    for message in detail["messages"]:
        assert set(message) == MESSAGE_MEMBERS
    assert [message["sender"] for message in detail["messages"]] == ["automation", "staff"]
    assert "requesterEmail" not in json.dumps(detail)


def test_walking_the_list_shows_every_ticket_once(untouched: Served) -> None:
    for limit in (1, 2, 5, 100):
        seen: list[str] = []
        query: dict[str, str | int] = {"limit": limit}
        while True:
            page = untouched.api.get(TICKETS, params=query).json()
            assert all(set(entry) == SUMMARY_MEMBERS for entry in page["data"])
            assert 1 <= len(page["data"]) <= limit
            seen += [entry["id"] for entry in page["data"]]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
        assert sorted(seen) == sorted(name for (name,) in untouched.rows("SELECT id FROM tickets"))


def test_the_list_is_filtered(untouched: Served) -> None:
    closed = untouched.api.get(TICKETS, params={"status": "closed"}).json()
    assert [entry["id"] for entry in closed["data"]] == [CLOSED]
    domains = untouched.api.get(TICKETS, params={"departmentSlug": "domains"}).json()
    assert {entry["departmentSlug"] for entry in domains["data"]} == {"domains"}
    both = untouched.api.get(TICKETS, params={"departmentSlug": "domains", "status": "closed"}).json()
    assert both == {"data": [], "nextCursor": None}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"), ("limit=101", "/limit"), ("limit=-1", "/limit"), ("limit=x", "/limit"),
        ("limit=", "/limit"), ("cursor=", "/cursor"), ("cursor=1;drop", "/cursor"), ("status=gone", "/status"),
        ("departmentSlug=nope", "/departmentSlug"),
    ],
)  # fmt: skip
def test_a_bad_query_is_named(untouched: Served, query: str, pointer: str) -> None:
    assert pointers(untouched.api.get(f"{TICKETS}?{query}")) == {pointer}


def test_a_pinned_upload_becomes_an_attachment_of_the_next_reply(served: Served) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    sent = served.api.post(ATTACHMENTS, files={"file": ("../bild å.png", png)}, data={"ticketId": EXAMPLE})
    assert sent.status_code == 201
    upload = sent.json()
    assert set(upload) == {"attachmentId", "url", "filename", "byteLength", "contentType", "uploadedAt", "ticketId"}
    assert re.fullmatch(f"satt_{ULID}", upload["attachmentId"])
    assert (upload["filename"], upload["contentType"]) == ("bild å.png", "image/png")
    assert (upload["byteLength"], upload["ticketId"]) == (len(png), EXAMPLE)
    [attachment] = served.post("se bilden").json()["attachments"]
    assert re.fullmatch(f"tatt_{ULID}", attachment["id"])
    assert served.anonymous.get(attachment["downloadUrl"]).content == png
    assert served.post("inget mer").json()["attachments"] == []
    assert ticket(served)["messages"][-2]["attachments"] == [attachment]


def test_an_upload_that_is_pinned_to_nothing_stays_alone(served: Served) -> None:
    assert served.api.post(ATTACHMENTS, files={"file": ("a.txt", b"x")}).json()["ticketId"] is None
    assert served.post("hej").json()["attachments"] == []
    assert served.rows("SELECT filename, content_type, message_id FROM attachments") == [("a.txt", "text/plain", None)]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.txt", b"", "file_empty"),
        ("setup.EXE", b"x", "file_type_not_allowed"),
        ("innocent.txt", b"MZ\x90", "file_type_not_allowed"),
        ("big.bin", b"x" * 20_971_521, "file_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_a_refused_file_does_not_stop_the_words(served: Served, name: str, content: bytes, code: str) -> None:
    answer = served.api.post(ATTACHMENTS, files={"file": (name, content)}, data={"ticketId": EXAMPLE})
    assert [error["code"] for error in problem(answer, 400, "invalid_request")["errors"]] == [code]
    assert served.post("hej").json()["attachments"] == []


def test_uploads_that_are_no_forms_or_name_no_ticket_are_refused(served: Served) -> None:
    assert pointers(served.api.post(ATTACHMENTS, json={})) == {""}
    assert pointers(served.api.post(ATTACHMENTS, files={"other": ("a.txt", b"x")})) == {"/file"}
    assert pointers(served.api.post(ATTACHMENTS, data={"file": "text"}, files={"x": ("a", b"x")})) == {"/file"}
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert pointers(served.api.post(ATTACHMENTS, content=b"--y\r\n", headers=broken)) <= {"", "/file"}
    assert pointers(served.api.post(ATTACHMENTS, content=b"--x", headers={"Content-Type": "multipart/form-data"})) == {
        ""
    }
    file = {"file": ("a.txt", b"x")}
    assert pointers(served.api.post(ATTACHMENTS, files=file, data={"ticketId": NUMBER})) == {"/ticketId"}
    unknown = {"ticketId": "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"}
    problem(served.api.post(ATTACHMENTS, files=file, data=unknown), 404, "ticket_not_found")
    assert served.rows("SELECT * FROM attachments") == []


def test_a_ticket_is_created_with_the_next_number(served: Served) -> None:
    asked = {
        "departmentSlug": "domains", "subject": "Ny domän", "message": "Hej\n", "priority": "urgent",
        "ccEmails": ["a@example.se"], "context": {"serviceType": "domain", "serviceId": "example.se"},
    }  # fmt: skip
    highest = max(int(number) for (number,) in served.rows("SELECT number FROM tickets"))
    answer = served.api.post(TICKETS, json=asked)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == DETAIL_MEMBERS
    assert (made["number"], made["status"], made["body"]) == (str(highest + 1), "open", "Hej\n")
    assert (made["priority"], made["ccEmails"], made["messages"]) == ("urgent", ["a@example.se"], [])
    assert made["linkedServices"] == [{"serviceType": "domain", "serviceId": "example.se"}]
    assert ticket(served, made["number"]) == made


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"departmentSlug": "guess"}, "/departmentSlug"),
        ({"departmentSlug": None}, "/departmentSlug"),
        ({"subject": "x" * 256}, "/subject"),
        ({"message": ""}, "/message"),
        ({"priority": "huge"}, "/priority"),
        ({"ccEmails": "a@example.se"}, "/ccEmails"),
        ({"ccEmails": ["a@example.se", "b"]}, "/ccEmails/1"),
        ({"context": []}, "/context"),
        ({"context": {"serviceId": "x"}}, "/context/serviceType"),
        ({"context": {"serviceType": "boat", "serviceId": "x"}}, "/context/serviceType"),
        ({"context": {"serviceType": "vps"}}, "/context/serviceId"),
    ],
)
def test_a_ticket_that_fails_validation_is_not_created(
    untouched: Served, change: dict[str, object], pointer: str
) -> None:
    good = {"departmentSlug": "support", "subject": "x", "message": "y"}
    assert pointers(untouched.api.post(TICKETS, json=good | change)) == {pointer}
    assert len(untouched.rows("SELECT id FROM tickets")) == 5


def test_the_departments_are_those_that_tickets_name(untouched: Served) -> None:
    slugs = {entry["slug"] for entry in untouched.api.get("/api/v2/support/departments").json()["data"]}
    assert {slug for (slug,) in untouched.rows("SELECT department FROM tickets")} <= slugs


def test_what_the_contract_does_not_have_is_a_problem_too(untouched: Served) -> None:
    problem(untouched.api.get("/api/v2/support/nope"), 404, "not_found")
    problem(untouched.api.get(f"{TICKETS}/"), 404, "not_found")
    problem(untouched.api.delete(TICKETS), 405, "method_not_allowed")


def test_the_rate_limit_counts_per_key_and_says_when_it_ends(tmp_path: Path) -> None:
    with serving(tmp_path / "limited.db", rate_limit=2) as served:
        first, second, third = (served.post(text) for text in ("a", "b", "c"))
        assert [first.status_code, second.status_code] == [201, 201]
        assert [first.headers["x-ratelimit-remaining"], second.headers["x-ratelimit-remaining"]] == ["1", "0"]
        problem(third, 429, "rate_limited")
        assert third.headers["x-ratelimit-limit"] == "2"
        assert third.headers["x-ratelimit-remaining"] == "0"
        wait = int(third.headers["retry-after"])
        assert 1 <= wait <= 60
        reset = datetime.fromisoformat(third.headers["x-ratelimit-reset"])
        assert abs((reset - datetime.now(UTC)).total_seconds() - wait) < 3
        headers = {"Authorization": f"Bearer {WRITE_ONLY}"}
        assert served.anonymous.post(MESSAGES, json={"message": "d"}, headers=headers).status_code == 201
        assert served.customer_words() == ["a", "b", "d"]


def test_the_journal_holds_every_request_and_never_a_key(served: Served) -> None:
    stored = served.post("hej", encrypted=True)
    served.anonymous.get(TICKETS)
    fields = "id, method, target, operation, caller, user_agent, ticket_id, applied, stored_id, status, code"
    first, second = served.rows(f"SELECT {fields} FROM requests ORDER BY seq")
    message = stored.json()["id"]
    request_id = stored.headers["x-request-id"]
    assert first == (request_id, "POST", MESSAGES, "messages", "key 1", "tests", EXAMPLE, 1, message, 201, None)
    assert second[1:5] == ("GET", TICKETS, "list", None)
    assert second[7:] == (0, None, 401, "unauthorized")
    assert served.rows("SELECT request_id FROM messages WHERE id=?", message) == [(request_id,)]
    assert b"sk-test" not in served.database.read_bytes() + Path(f"{served.database}-wal").read_bytes()


def test_many_at_once_are_all_stored_once(served: Served) -> None:
    def work(number: int) -> None:
        with httpx.Client(base_url=served.url, headers=served.api.headers, trust_env=False) as client:
            for index in range(20):
                assert client.post(MESSAGES, json={"message": f"{number}-{index}"}).status_code == 201

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    words = served.customer_words()
    assert sorted(words) == sorted(f"{number}-{index}" for number in range(4) for index in range(20))
    for number in range(4):
        own = [word for word in words if word.startswith(f"{number}-")]
        assert own == [f"{number}-{index}" for index in range(20)]
    ids = [name for (name,) in served.rows("SELECT id FROM messages ORDER BY seq")]
    assert ids == sorted(ids)


def test_a_mistake_of_the_sandbox_is_a_problem_without_details(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(Store, "reply", fail)
    answer = served.post("hej")
    assert "secret" not in answer.text
    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (500, 500, "internal_error")
    assert "ZeroDivisionError" in caplog.text


def test_staff_answers_and_a_closed_ticket_stays_closed(served: Served) -> None:
    answer = served.anonymous.post(f"/sandbox/tickets/{NUMBER}/staff", json={"message": "Hej", "senderName": "Åsa"})
    assert answer.status_code == 201
    assert set(answer.json()) == MESSAGE_MEMBERS
    assert (answer.json()["sender"], answer.json()["senderName"]) == ("staff", "Åsa")
    assert ticket(served)["status"] == "answered"
    assert served.anonymous.post(f"/sandbox/tickets/{CLOSED}/staff", json={"message": "Hej"}).status_code == 201
    assert ticket(served, CLOSED)["status"] == "closed"
    for body in ({}, {"message": "x", "senderName": ""}, {"message": "x", "senderName": "y" * 101}):
        assert served.anonymous.post(f"/sandbox/tickets/{NUMBER}/staff", json=body).status_code == 400
    assert served.anonymous.post("/sandbox/tickets/1/staff", json={"message": "x"}).status_code == 404
    assert served.anonymous.post(f"/sandbox/tickets/{NUMBER}/staff", content=b"x" * 1_048_577).status_code == 413
