"""Relays that never give a mail up: the load of every scenario.

Each relay is a thread with a connection of its own and some tickets of its own. It sends a ticket's mails one after
another, and the same mail again (same bytes, same Message-ID) until the bridge acknowledges it, as a relay's queue
does. So the order in which a ticket's mails should be posted is known, and a mail that was stored although its ``250``
got lost must still be posted once.
"""

from __future__ import annotations

import itertools
import smtplib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

AGAIN_S = 0.1


@dataclass(slots=True)
class Sent:
    """One mail, and what the bridge said to it."""

    ticket: str
    number: int
    entries: list[str] = field(default_factory=list)
    """The entry ids of its acknowledgements: more than one only when this side lost an answer."""
    deferred: int = 0
    refused: str = ""
    """A permanent refusal: there must be none."""
    took_s: float = 0.0
    """From the end of DATA to its ``250``."""

    @property
    def body(self) -> str:
        """The words, unlike any other mail's."""
        return f"Brev {self.number} till {self.ticket}"


def message(mail: Sent, size: int) -> bytes:
    """The mail's bytes: an answer above quoted history. No two mails share a sender, because 21 of one sender within 10
    minutes are rightly held."""
    head = (
        f"From: Kund <kund{mail.number}@{mail.ticket[4:14]}.example>\r\nTo: support+{mail.ticket}@example.com\r\n"
        f"Subject: Re: torture\r\nMessage-ID: <{mail.number}.{mail.ticket}@torture.example>\r\n\r\n"
        f"{mail.body}\r\n\r\nOn Mon, 23 Nov 2026 at 09:12, Support <support@example.com> wrote:\r\n"
    )
    history = "> The nightly backup of your server did not run.\r\n"
    return (head + history * max(1, (size - len(head)) // len(history))).encode()


@dataclass(slots=True)
class Load:
    """All relays of one scenario."""

    port: Callable[[], int]
    """Where the bridge listens now; it may change with every restart."""
    tickets: Sequence[str]
    each: int | None = None
    """Mails for each ticket; None for no end before ``stop``."""
    relays: int = 4
    size: int = 2_000
    pause_s: float = 0.0
    """Between two mails of one relay."""
    mails: list[Sent] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Load:
        """Begin; ``join`` waits for the end."""
        for turn in range(self.relays):
            self._threads.append(threading.Thread(target=self._relay, args=(turn,), daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Send no further mail; what is under way is still acknowledged, or was never accepted."""
        self._stop.set()

    def join(self, within_s: float) -> bool:
        """Whether all relays came to their end."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self.running

    @property
    def running(self) -> bool:
        """Whether a relay still has mail."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def acknowledged(self) -> list[Sent]:
        """Mails that the bridge has taken responsibility for."""
        return [mail for mail in self.mails if mail.entries]

    def _relay(self, turn: int) -> None:
        client: smtplib.SMTP | None = None
        for number in range(self.each) if self.each is not None else itertools.count():
            for ticket in self.tickets[turn :: self.relays]:
                if self._stop.is_set():
                    _closed(client)
                    return
                self.mails.append(mail := Sent(ticket, number))
                client = self._until_acknowledged(client, mail)
                time.sleep(self.pause_s)
        _closed(client)

    def _until_acknowledged(self, client: smtplib.SMTP | None, mail: Sent) -> smtplib.SMTP | None:
        while not (self._stop.is_set() or mail.entries or mail.refused):
            try:
                client = client or smtplib.SMTP("127.0.0.1", self.port(), "relay.example.com", timeout=60)
                self._send(client, mail)
            except (OSError, smtplib.SMTPException):
                client = _closed(client)
                time.sleep(AGAIN_S)
        return client

    def _send(self, client: smtplib.SMTP, mail: Sent) -> None:
        client.ehlo_or_helo_if_needed()
        for code, answer in (client.mail("relay@example.com"), client.rcpt(f"support+{mail.ticket}@example.com")):
            if code >= 500:
                mail.refused = f"{code} {answer.decode('utf-8', 'replace')}"
            if code >= 400:
                mail.deferred += 1
                client.rset()
                time.sleep(AGAIN_S)
                return
        began = time.monotonic()
        code, answer = client.data(message(mail, self.size))
        if code == 250:
            mail.took_s = time.monotonic() - began
            mail.entries.append(answer.split()[1].decode())
        elif code >= 500:
            mail.refused = f"{code} {answer.decode('utf-8', 'replace')}"
        else:
            mail.deferred += 1
            time.sleep(AGAIN_S)


def _closed(client: smtplib.SMTP | None) -> None:
    """Gone without a word: for a client to be made anew."""
    if client is not None:
        client.close()
