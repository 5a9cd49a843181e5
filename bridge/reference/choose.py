"""Address, thread or subject: which one names the ticket, and when they cannot all be right (design §8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model import Reference


@dataclass(frozen=True, slots=True)
class Choice:
    """The reference to use, or a conflict that a person must decide."""

    reference: Reference | None
    conflict: bool = False


def choose(
    address: Reference | None,
    thread: tuple[str, ...],
    subject: tuple[Reference, ...],
    *,
    tagged: tuple[str, ...] = (),
    numbers: Mapping[str, str],
) -> Choice:
    """Address beats thread beats subject; thread and subject that disagree are a conflict.

    ``thread`` are the tickets of known Message-IDs, ``tagged`` those that stand in Message-IDs of ours (a full id,
    which cannot be guessed). ``numbers`` maps numbers to public ids; a number that it does not know differs from every
    id: it is held, or looked up and asked again, rather than guessed.
    """
    if address is not None:
        return Choice(address)

    def public(ticket: str) -> str:
        return numbers.get(ticket, ticket)

    named = {public(ticket) for ticket in (*thread, *tagged)} | {public(item.ticket) for item in subject}
    if len(named) > 1:
        return Choice(None, conflict=True)
    if not named:
        return Choice(None)
    if tagged:
        return Choice(Reference(tagged[0], "thread", unguessable=True))
    certain = next((item for item in subject if item.unguessable), None)
    if certain is not None:
        return Choice(certain)
    return Choice(Reference(thread[0], "thread", unguessable=False) if thread else subject[0])
