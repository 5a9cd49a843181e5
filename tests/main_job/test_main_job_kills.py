"""``kill -9`` at any moment, then a restart: everything acknowledged is on the ticket, once and in order."""

from __future__ import annotations

import random
import signal
import smtplib
import threading
import time

import pytest

from tests.main_job.running import TICKET, Api, Bridge, eventually
from tests.main_job.test_main_job import message


def kill_rounds(bridge: Bridge, api: Api, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: list[str] = []
    for turn in range(rounds):
        sender = threading.Thread(target=_send, args=(bridge.port, turn, acknowledged))
        sender.start()
        time.sleep(chance.uniform(0.0, 0.5))
        bridge.process.stop(signal.SIGKILL)
        sender.join(30)
        bridge.start()
    eventually(lambda: set(acknowledged) <= set(api.bodies()), 90)
    posted = api.bodies()
    assert set(acknowledged) <= set(posted)
    assert len(posted) == len(set(posted)), "posted twice"
    assert [body for body in posted if body in set(acknowledged)] == acknowledged


def _send(port: int, turn: int, acknowledged: list[str]) -> None:
    """Send until the bridge dies; what was answered with 250 counts."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            for number in range(100):
                mail = message(body := f"Omgång {turn}, brev {number}")
                # Senders differ: more than 20 mails of one sender to one ticket are held, rightly.
                mail.replace_header("From", f"kund{turn}-{number}@example.net")
                client.sendmail("c@example.net", [f"support+{TICKET}@example.com"], mail.as_bytes())
                acknowledged.append(body)
    except (OSError, smtplib.SMTPException):
        return


@pytest.mark.timeout(120)
def test_five_kills(bridge: Bridge, api: Api) -> None:
    kill_rounds(bridge, api, rounds=5, seed=5)


@pytest.mark.system
@pytest.mark.timeout(600)
def test_fifty_kills(bridge: Bridge, api: Api) -> None:
    kill_rounds(bridge, api, rounds=50, seed=50)
