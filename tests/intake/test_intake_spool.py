"""The intake in front of the real spool: what is acknowledged is on disk."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import structlog

from bridge.intake import Intake, IntakeConfig, parse_listen
from bridge.spool import Spool, open_spool
from bridge.spool.api import Filter, NewMail
from tests.intake.conftest import ADDRESS, CONFIG, TICKET, body

MAIL = "Subject: Re: x\r\nMessage-ID: <1@example.net>\r\n\r\nHej\r\n.\r\nslut\r\n"


class Reception:
    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def accept(self, mail: NewMail) -> tuple[str, ...]:
        return await self._spool.accept(mail)

    def accepting(self) -> bool:
        return self._spool.usage().accepting


def send(port: int) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        return client.sendmail("kund@example.net", [ADDRESS, "help@example.com", "nobody@example.com"], MAIL)


def test_acknowledged_mail_is_in_the_spool(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/spool.db"

    async def run() -> None:
        spool = await open_spool(url, owner="test", high_water_bytes=10**9, min_free_bytes=0)
        intake = Intake(IntakeConfig(**CONFIG), Reception(spool), structlog.get_logger())
        await intake.start([parse_listen("127.0.0.1:0")])
        refused = await asyncio.to_thread(send, intake.addresses[0][1])
        assert refused == {"nobody@example.com": (550, b"5.1.1 No such mailbox")}
        await intake.drain(1)
        await spool.close()
        spool = await open_spool(url, owner="test", high_water_bytes=10**9, min_free_bytes=0)
        first, second = await spool.list(Filter())
        assert (first.envelope.recipient, first.envelope.siblings) == (ADDRESS, ("help@example.com",))
        assert (second.envelope.recipient, second.envelope.siblings) == ("help@example.com", (ADDRESS,))
        assert TICKET in first.envelope.recipient
        for entry in (first, second):
            assert body(await spool.raw(entry.id)) == MAIL.encode()
        await spool.close()

    asyncio.run(run())
