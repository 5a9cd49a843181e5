"""Rows to the interface's types, and the few statements that both reading and writing need."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from bridge.errors import SpoolBroken, UnknownEntry
from bridge.model import Decision
from bridge.reasons import Reason
from bridge.spool import codec
from bridge.spool.api import Attempt, Entry, Kind, State
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Row, Steps, ask, first, marks

ENTRY = "SELECT e.*, m.size, m.digest FROM entries e JOIN mails m ON m.id = e.mail "


def entry(row: Row) -> Entry:
    """One row of ``ENTRY``."""
    return Entry(
        id=row["id"],
        seq=row["seq"],
        state=State(row["state"]),
        reason=Reason(row["reason"]),
        lane=row["lane"],
        envelope=codec.load_envelope(row["envelope"]),
        sender=row["sender"],
        message_id=row["message_id"],
        size=row["size"],
        digest=row["digest"],
        attempts=row["attempts"],
        accepted_at=row["accepted_at"],
        updated_at=row["updated_at"],
        next_at=row["next_at"],
        erased=bool(row["erased"]),
        override=row["override"],
        released=bool(row["released"]),
        paused_s=row["paused_s"],
    )


def decision(row: Row, cipher: Cipher) -> Decision | None:
    """What was decided about the entry of a row. Raises ``SpoolBroken`` when it cannot be read."""
    return None if row["decision"] is None else codec.load_decision(cipher.unseal(row["decision"]))


def attempt(row: Row) -> Attempt:
    """One row of ``attempts``."""
    return Attempt(
        number=row["number"],
        kind=Kind(row["kind"]),
        intent_at=row["intent_at"],
        fingerprint=row["fingerprint"],
        token=row["token"],
        settled_at=row["settled_at"],
        outcome=row["outcome"],
        status=row["status"],
        code=row["code"],
        detail=row["detail"],
        request_id=row["request_id"],
        message_id=row["message_id"],
        ticket=row["ticket"],
    )


def attempts(seqs: Sequence[int]) -> Steps[Mapping[int, tuple[Attempt, ...]]]:
    """All attempts of these entries, oldest first."""
    found: dict[int, tuple[Attempt, ...]] = dict.fromkeys(seqs, ())
    sql = f"SELECT * FROM attempts WHERE entry IN ({marks(seqs)}) ORDER BY entry, number"
    for row in (yield from ask(sql, *seqs)) if seqs else ():
        found[row["entry"]] += (attempt(row),)
    return found


def find(entry_id: str, lock: Literal["", "wait"] = "") -> Steps[Row]:
    """The entry with this id, or with the only id that begins so (8 characters or more)."""
    row = yield from first(ENTRY + "WHERE e.id = ?", entry_id, lock=lock)
    if row is not None:
        return row
    if len(entry_id) < 8:
        raise UnknownEntry(f"no entry has the id {entry_id!r} (a beginning needs 8 characters)")
    found = yield from ask(ENTRY + "WHERE e.id >= ? AND e.id < ? LIMIT 2", entry_id, entry_id + "~", lock=lock)
    if len(found) != 1:
        what = "more than one entry begins" if found else "no entry begins"
        raise UnknownEntry(f"{what} with {entry_id!r}")
    return found[0]


def raw(cipher: Cipher, entry_id: str) -> Steps[bytes]:
    """The raw mail of an entry, checked against its digest."""
    sql = "SELECT m.raw, m.digest FROM entries e JOIN mails m ON m.id = e.mail WHERE e.id = ? AND e.erased = 0"
    found = yield from first(sql, entry_id)
    if found is None or found["raw"] is None:
        raise UnknownEntry(f"{entry_id}: there is no such entry, or its body was erased")
    data = cipher.unseal(found["raw"])
    if hashlib.sha256(data).hexdigest() != found["digest"]:
        raise SpoolBroken(f"{entry_id}: the raw mail is not what was stored, the disk changed it: restore a backup")
    return data
