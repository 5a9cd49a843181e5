"""Is everything in a spool there, readable, and what was stored? Steps for any engine, a page of entries at a time.

A fault is told by the entry's id and what is wrong, never by a word of the mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import SpoolBroken
from bridge.spool import codec, rows
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Row, Steps, ask, first

PAGE = 100


@dataclass(frozen=True, slots=True)
class Totals:
    """What there is to look at."""

    entries: int
    mails: int
    """Whose bodies are still there."""
    bytes: int


def totals() -> Steps[Totals]:
    """How much there is."""
    sql = """SELECT (SELECT count(*) FROM entries) AS entries, count(*) AS mails, coalesce(sum(size), 0) AS bytes
        FROM mails WHERE raw IS NOT NULL"""
    row = yield from first(sql)
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Totals(row["entries"], row["mails"], int(row["bytes"]))


def counters() -> Steps[Sequence[str]]:
    """Counters that do not count, and lanes of which nothing can be claimed."""
    sql = """SELECT state, reason, sum(found) AS found, sum(kept) AS kept FROM (
        SELECT state, reason, count(*) AS found, 0 AS kept FROM entries GROUP BY state, reason
        UNION ALL SELECT state, reason, 0 AS found, n AS kept FROM counters) AS each_one
        GROUP BY state, reason HAVING sum(found) <> sum(kept)"""
    faults = [
        f"counter {row['state']}/{row['reason']}: {row['kept']}, but there are {row['found']} entries"
        for row in (yield from ask(sql))
    ]
    sql = """SELECT lane FROM entries WHERE state IN ('ready', 'sending', 'unknown')
        GROUP BY lane HAVING sum(head) <> 1"""
    faults += [f"lane {row['lane']}: nothing in it can be claimed" for row in (yield from ask(sql))]
    return faults


def page(cipher: Cipher, after: int) -> Steps[tuple[Sequence[str], int, int]]:
    """Faults of the entries behind ``after``; how many were looked at, and the last one."""
    faults: list[str] = []
    found = yield from ask("SELECT e.* FROM entries e WHERE e.seq > ? ORDER BY e.seq LIMIT ?", after, PAGE)
    for row in found:
        after = row["seq"]
        faults += yield from _body(cipher, row)
        try:
            codec.load_envelope(row["envelope"])
            rows.decision(row, cipher)
        except SpoolBroken as error:
            faults.append(f"{row['id']}: {error}")
    return faults, len(found), after


def _body(cipher: Cipher, row: Row) -> Steps[Sequence[str]]:
    found = yield from first("SELECT raw, size, digest FROM mails WHERE id = ?", row["mail"])
    if found is None:
        return [f"{row['id']}: its mail is not there"]
    if found["raw"] is None:
        return [] if row["erased"] else [f"{row['id']}: its body is not there, although nothing erased it"]
    try:
        raw = cipher.unseal(found["raw"])
    except SpoolBroken as error:
        return [f"{row['id']}: {error}"]
    if len(raw) != found["size"] or hashlib.sha256(raw).hexdigest() != found["digest"]:
        return [f"{row['id']}: the raw mail is not what was stored"]
    return []


def texts(cipher: Cipher) -> Steps[Sequence[str]]:
    """Kept texts that do not open."""
    faults = []
    for row in (yield from ask("SELECT ticket, text FROM texts")):
        try:
            cipher.unseal(row["text"]).decode("utf-8")
        except (SpoolBroken, UnicodeDecodeError) as error:
            faults.append(f"text of {row['ticket']}: {error}")
    return faults
