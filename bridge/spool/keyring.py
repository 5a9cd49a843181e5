"""Which keys a spool was sealed with: a wrong or missing one is told at the start, not at the first mail."""

from __future__ import annotations

import sqlite3

from bridge.errors import ConfigurationError, SpoolBroken
from bridge.spool.cipher import Cipher

_KNOWN = b"ticket-bridge spool key"
SEALED = (("mails", "id", "raw"), ("entries", "seq", "decision"), ("texts", "rowid", "text"))
"""Table, row number and column of everything that is sealed."""


def check(db: sqlite3.Connection, cipher: Cipher) -> None:
    """Compare the configured keys with those used so far, and write down new ones. Raises ``ConfigurationError``."""
    stored = {row["id"]: row["sealed"] for row in db.execute("SELECT id, sealed FROM keys")}
    for name, sealed in stored.items():
        if name in cipher.names:
            _prove(cipher, name, sealed)
        elif uses(db, name):
            raise ConfigurationError(
                f"BRIDGE_SPOOL_KEY: the spool holds mail sealed with key {name!r}, which is not configured: "
                f"put it back, behind a new one if there is one ({name}:…), until `ticket-bridge spool compact` has run"
            )
        else:
            db.execute("DELETE FROM keys WHERE id = ?", (name,))
    for name in cipher.names:
        if name not in stored:
            db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (name, cipher.seal_with(name, _KNOWN)))


def _prove(cipher: Cipher, name: str, sealed: bytes) -> None:
    """The configured key opens what the key of this name once sealed."""
    try:
        if cipher.unseal(sealed) == _KNOWN:
            return
    except SpoolBroken:
        pass
    raise ConfigurationError(
        f"BRIDGE_SPOOL_KEY: key {name!r} is not the one that the spool's mail was sealed with: configure that one, "
        "and give a new key a letter of its own"
    )


def uses(db: sqlite3.Connection, name: str) -> bool:
    """Whether anything is still sealed with this key; looks at every row."""
    prefix = Cipher.prefix(name)
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE substr({column}, 1, 2) = ? LIMIT 1", (prefix,)).fetchone()
        for table, _, column in SEALED
    )


def reseal(db: sqlite3.Connection, cipher: Cipher, limit: int) -> int:
    """Seal what is not sealed with the first key anew, up to ``limit`` values of a table; how many there were."""
    done = 0
    for table, number, column in SEALED:
        found = db.execute(
            f"SELECT {number} AS number, {column} AS value FROM {table} "
            f"WHERE {column} IS NOT NULL AND substr({column}, 1, ?) <> ? LIMIT ?",
            (len(cipher.mark), cipher.mark, limit),
        ).fetchall()
        for row in found:
            again = cipher.seal(cipher.unseal(row["value"]))
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {number} = ?", (again, row["number"]))
        done += len(found)
    return done
