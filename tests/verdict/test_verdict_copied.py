"""Number policy ``known`` end to end: who is in the ticket's ``ccEmails`` is known on it, once authenticated."""

from __future__ import annotations

from collections.abc import Callable

from tests.main_job.conftest import api, make_bridge
from tests.main_job.running import Api, Bridge, eventually

__all__ = ["api", "make_bridge"]


def test_whom_the_ticket_copies_is_known_on_it(make_bridge: Callable[..., Bridge], api: Api) -> None:
    tickets = api.client.get("/api/v2/support/tickets", params={"limit": 100}).json()["data"]
    ticket = next(one["id"] for one in tickets if one["ccEmails"] == ["ekonomi@example.se"])
    number = next(one["number"] for one in tickets if one["id"] == ticket)
    bridge = make_bridge(BRIDGE_AUTHSERV_ID="mx.example.com")
    for name, result in (("ekonomi", "pass"), ("nyfiken", "pass"), ("Ekonomi", "fail")):
        head = (
            f"Authentication-Results: mx.example.com; dmarc={result} header.from=example.se\r\n"
            f"From: <{name}@example.se>\r\nSubject: Sv: [#{number}] x\r\nMessage-ID: <{name}.{result}@example.se>\r\n"
        )
        bridge.send(f"{head}\r\nFrom {name}\r\n".encode(), "support@example.com", sender=f"{name}@example.se")
    assert eventually(lambda: api.bodies(ticket)) == ["From ekonomi"]
    held = eventually(lambda: [one for one in bridge.queue() if one["state"] == "held"][1:] and bridge.queue())
    assert sorted((one["reason"], one["sender"]) for one in held if one["state"] == "held") == [
        ("sender_not_authenticated", "ekonomi@example.se"),
        ("sender_not_known", "nyfiken@example.se"),
    ]
