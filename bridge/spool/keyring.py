"""Which keys a spool was sealed with: a wrong or missing one is told at the start, not at the first mail."""

from __future__ import annotations

from bridge.errors import ConfigurationError, SpoolBroken
from bridge.spool.cipher import Cipher
from bridge.spool.steps import Steps, ask, first, value

_KNOWN = b"ticket-bridge spool key"
SEALED = (("mails", "id", "raw"), ("entries", "seq", "decision"), ("texts", "rowid", "text"))
"""Table, row number and column of everything that is sealed."""


def check(cipher: Cipher) -> Steps[None]:
    """Compare the configured keys with those used so far, and write down new ones. Raises ``ConfigurationError``."""
    stored, unused = yield from check_only(cipher)
    for name in unused:
        yield from ask("DELETE FROM keys WHERE id = ?", name)
    for name in cipher.names:
        if name not in stored:
            sealed = cipher.seal_with(name, _KNOWN)
            yield from ask("INSERT INTO keys (id, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING", name, sealed)


def check_only(cipher: Cipher) -> Steps[tuple[frozenset[str], frozenset[str]]]:
    """The keys that were written down, and those of them that nothing needs any more. ``ConfigurationError``."""
    stored = {row["id"]: row["sealed"] for row in (yield from ask("SELECT id, sealed FROM keys"))}
    unused = set[str]()
    for name, sealed in stored.items():
        if name in cipher.names:
            _prove(cipher, name, sealed)
        elif (yield from uses(name)):
            raise ConfigurationError(
                f"BRIDGE_SPOOL_KEY: the spool holds mail sealed with key {name!r}, which is not configured: "
                f"put it back, behind a new one if there is one ({name}:…), until `ticket-bridge spool compact` has run"
            )
        else:
            unused.add(name)
    return frozenset(stored), frozenset(unused)


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


def uses(name: str) -> Steps[bool]:
    """Whether anything is still sealed with this key; looks at every row."""
    prefix = Cipher.prefix(name)
    for table, _, column in SEALED:
        if (yield from first(f"SELECT 1 FROM {table} WHERE substr({column}, 1, 2) = ? LIMIT 1", prefix)):
            return True
    return False


def to_reseal(cipher: Cipher) -> Steps[int]:
    """How many values are not sealed with the first key; looks at every row."""
    found = 0
    for table, _, column in SEALED:
        sql = f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, ?) <> ?"
        found += yield from value(sql, len(cipher.mark), cipher.mark)
    return found


def reseal(cipher: Cipher, place: tuple[str, str, str], after: int, limit: int) -> Steps[tuple[int, int]]:
    """Seal with the first key what is not, up to ``limit`` values of one of ``SEALED`` behind row ``after``.

    How many there were, and the last one's row.
    """
    table, number, column = place
    found = yield from ask(
        f"SELECT e.{number} AS number, e.{column} AS value FROM {table} e WHERE e.{number} > ? "
        f"AND e.{column} IS NOT NULL AND substr(e.{column}, 1, ?) <> ? ORDER BY e.{number} LIMIT ?",
        *(after, len(cipher.mark), cipher.mark, limit),
        lock="wait",
    )
    for row in found:
        after = row["number"]
        again = cipher.seal(cipher.unseal(row["value"]))
        yield from ask(f"UPDATE {table} SET {column} = ? WHERE {number} = ?", again, after)
    return len(found), after
