"""The judge from outside: what the relays were told, against what the API holds and what the queue says of the rest.

It reads the sandbox's database and the output of ``queue list --json``; it trusts neither the bridge's log nor
its counters.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torture.load import Sent

_WAITING = frozenset({"received", "ready", "sending", "unknown"})


@dataclass(frozen=True, slots=True)
class Balance:
    """accepted = delivered + waiting + held + recorded + lost."""

    accepted: int
    delivered: int
    waiting: int
    held: int
    recorded: int
    lost: int
    twice: int
    """Mails that stand on a ticket more than once."""
    astray: int
    """Mails on a ticket that they were not for."""
    disordered: int
    """Mails that stand behind a later one of their ticket."""
    refused: int
    """Mails that the bridge refused for good."""

    @property
    def kept(self) -> bool:
        """Whether the promises were kept."""
        return not (self.lost or self.twice or self.astray or self.disordered or self.refused)

    @property
    def all_delivered(self) -> bool:
        """Whether they were kept, and every mail is on its ticket."""
        return self.kept and self.delivered == self.accepted

    def __str__(self) -> str:
        """As it stands in the table."""
        return (
            f"{self.accepted} accepted = {self.delivered} delivered + {self.waiting} waiting + {self.held} held "
            f"+ {self.recorded} recorded + {self.lost} lost; {self.twice} twice, {self.astray} astray, "
            f"{self.disordered} out of order, {self.refused} refused"
        )


def posted(database: Path) -> list[tuple[str, str]]:
    """(ticket, body) of every reply that the API stored, in the order of storing."""
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(
            "SELECT ticket_id, body FROM messages WHERE sender = 'customer' AND request_id IS NOT NULL ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()


def judge(mails: Iterable[Sent], database: Path, states: Mapping[str, str]) -> Balance:
    """``states``: entry id → state, for all entries of the bridge's queue."""
    mails = list(mails)
    on_api = posted(database)
    times = Counter(body for _, body in on_api)
    where = dict.fromkeys(on_api)
    fates = Counter(_fate(mail, times, states) for mail in mails if mail.entries)
    return Balance(
        accepted=sum(fates.values()),
        **{fate: fates[fate] for fate in ("delivered", "waiting", "held", "recorded", "lost")},
        twice=sum(times[mail.body] > 1 for mail in mails),
        astray=sum(bool(times[mail.body]) and (mail.ticket, mail.body) not in where for mail in mails),
        disordered=_disordered(mails, on_api),
        refused=sum(bool(mail.refused) for mail in mails),
    )


def _fate(mail: Sent, times: Mapping[str, int], states: Mapping[str, str]) -> str:
    if times[mail.body]:
        return "delivered"
    said = {states.get(entry, "") for entry in mail.entries}
    if said & _WAITING:
        return "waiting"
    if "held" in said:
        return "held"
    return "recorded" if "recorded" in said else "lost"


def _disordered(mails: Iterable[Sent], on_api: Iterable[tuple[str, str]]) -> int:
    number = {mail.body: mail.number for mail in mails}
    furthest: defaultdict[str, int] = defaultdict(lambda: -1)
    wrong = 0
    for ticket, body in on_api:
        at = number.get(body, -1)
        if at < 0:
            continue
        wrong += at < furthest[ticket]
        furthest[ticket] = max(furthest[ticket], at)
    return wrong
