"""What a store is asked, one statement at a time: every move and look-up is told once, for every engine.

A function of ``moves``, ``lanes``, ``lookups``, ``rows`` or ``keyring`` is a generator: it yields statements and is
sent their rows. A store carries the steps out inside one transaction, in its own way: SQLite in the writer's thread,
PostgreSQL with awaits. Statements are written in what both engines understand; values are marked ``?``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar


class Row(Protocol):
    """One row: its columns by name or by number."""

    def __getitem__(self, key: Any, /) -> Any:
        """The value of a column."""

    def keys(self) -> Iterable[str]:
        """The columns' names."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One statement."""

    sql: str
    values: tuple[object, ...]
    lock: Literal["", "wait", "skip"] = ""
    """Lock the rows of ``e`` against other processes: wait for those who hold them, or skip what is held."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Be the only one at these lanes until the transaction ends; a step of its own, before their rows are looked at.

    Where one process writes at a time there is nothing to do.
    """

    lanes: tuple[str, ...]


T = TypeVar("T")
Step: TypeAlias = Ask | Lock
Steps: TypeAlias = Generator[Step, Sequence[Row], T]


def ask(sql: str, *values: object, lock: Literal["", "wait", "skip"] = "") -> Steps[Sequence[Row]]:
    """The rows of one statement."""
    return (yield Ask(sql, values, lock))


def first(sql: str, *values: object, lock: Literal["", "wait", "skip"] = "") -> Steps[Row | None]:
    """The first row of one statement, or None."""
    rows = yield Ask(sql, values, lock)
    return rows[0] if rows else None


def value(sql: str, *values: object) -> Steps[Any]:
    """The first column of the first row, or None."""
    row = yield from first(sql, *values)
    return None if row is None else row[0]


def alone(*lanes: str) -> Steps[None]:
    """Be the only one at these lanes."""
    yield Lock(tuple(sorted({lane for lane in lanes if lane})))


def marks(values: Sequence[object]) -> str:
    """``?, ?, …``, one for each value; what equals nothing when there are none."""
    return ", ".join("?" * len(values)) or "NULL"
