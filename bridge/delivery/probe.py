"""Does the key work? The cheapest questions that tell, none of which changes anything."""

from __future__ import annotations

from enum import StrEnum

from bridge.delivery.client import TicketApi
from bridge.errors import Problem

NOBODY = "tkt_00000000000000000000000000"
"""A ticket that no API has: writing to it proves nothing but that the key may write."""


class Rights(StrEnum):
    """What a key that works may do."""

    READ_WRITE = "read_write"
    WRITE_ONLY = "write_only"


async def rights(api: TicketApi) -> Rights:
    """List tickets; where that is forbidden, ask to write on a ticket that nobody has. Raises ``ApiError``."""
    try:
        await api.list_tickets()
    except Problem as error:
        if error.status != 403 or error.code == "account_inactive":
            raise
    else:
        return Rights.READ_WRITE
    try:
        await api.post_message(NOBODY, "probe", encrypted=False)
    except Problem as error:
        if error.status == 404 and error.is_problem:
            return Rights.WRITE_ONLY
        raise
    raise Problem(201, detail=f"it took a message for {NOBODY}, which cannot exist")
