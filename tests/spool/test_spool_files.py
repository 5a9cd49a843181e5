"""What is about the SQLite file itself: words that were erased are gone from the disk, errors that end it all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from bridge.errors import SpoolBroken, SpoolBusy, SpoolFull
from bridge.reasons import Reason
from bridge.spool import open_spool, schema
from bridge.spool.api import Audit, Filter, State
from bridge.spool.files import lock
from bridge.spool.writer import Writer, is_fatal, translate
from tests.spool.conftest import Factory, Opener, opener_at
from tests.spool.samples import Clock, decision, lane, mail

WORDS = b"the customer's own words " * 300


def on_disk(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.glob("spool.db*"))


def test_erased_words_are_gone_from_the_disk(sqlite: Factory, tmp_path: Path, clock: Clock) -> None:
    async def main() -> None:
        spool = await sqlite(tmp_path, clock)()
        await spool.accept(mail(raw=WORDS))
        await spool.accept(mail(raw=b"these stay " * 300))
        (claim, _) = await spool.claim_received(2, 60)
        made = decision(text="the customer's own words")
        await spool.decided(claim, made, state=State.DISCARDED, lane=lane(1), body_digest="")
        assert b"own words" in on_disk(tmp_path)
        assert await spool.erase(ended_before=clock.now + 1, held_before=0) == 1
        for _ in range(100):
            if b"own words" not in on_disk(tmp_path):
                break
            await asyncio.sleep(0.05)
        assert b"own words" not in on_disk(tmp_path)
        assert b"these stay" in on_disk(tmp_path)
        (entry, _) = await spool.list(Filter())
        assert (entry.state, entry.size, entry.erased) == (State.DISCARDED, len(WORDS), True)
        await spool.close()

    asyncio.run(main())


def test_a_sealed_spool_shows_no_word(sqlite_sealed: Factory, tmp_path: Path, clock: Clock) -> None:
    async def main() -> None:
        spool = await sqlite_sealed(tmp_path, clock)()
        (entry_id,) = await spool.accept(mail(raw=WORDS))
        (claim,) = await spool.claim_received(1, 60)
        made = decision(text="the customer's own words")
        await spool.decided(claim, made, state=State.HELD, lane=lane(1), body_digest="")
        await spool.remember_texts(lane(1), ["the customer's own words"])
        assert b"own words" not in on_disk(tmp_path)
        assert await spool.raw(entry_id) == WORDS
        await spool.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sqlite", "sqlite_sealed"])
def test_a_disk_with_too_little_room_accepts_nothing(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, clock: Clock
) -> None:
    async def main() -> None:
        open_: Opener = request.getfixturevalue(kind)(tmp_path, clock)
        spool = await open_(min_free_bytes=1 << 62)
        assert not spool.usage().accepting
        with pytest.raises(SpoolFull):
            await spool.accept(mail())
        assert await spool.list(Filter()) == []
        await spool.close()
        spool = await open_(min_free_bytes=0)
        assert len(await spool.accept(mail())) == 1
        await spool.close()

    asyncio.run(main())


def test_an_older_schema_is_for_the_one_who_serves(sqlite: Factory, tmp_path: Path, clock: Clock) -> None:
    with sqlite3.connect(tmp_path / "spool.db") as db:
        for statement in schema.statements(schema.scripts()[0]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    db.close()

    async def main() -> None:
        open_ = sqlite(tmp_path, clock)
        if len(schema.scripts()) > 1:
            with pytest.raises(SpoolBroken, match="spool migrate"):
                await open_(exclusive=False, create=False)
        spool = await open_()
        await spool.accept(mail())
        await spool.close()

    asyncio.run(main())


def test_files_that_are_no_spool_or_not_ours(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE t (x)")
    db.close()

    async def refused(url: str, kind: type[Exception], told: str) -> None:
        with pytest.raises(kind, match=told):
            await opener_at(url, clock)()

    async def main() -> None:
        await refused(f"sqlite:///{tmp_path}/text", SpoolBroken, "SQLITE_NOTADB")
        await refused(f"sqlite:///{tmp_path}/other", SpoolBroken, "is not a spool of this bridge")
        await refused(f"sqlite:///{tmp_path}/text/spool.db", SpoolBroken, "cannot be used: Not a directory")
        with pytest.raises(SpoolBroken, match="there is no spool"):
            await opener_at(f"sqlite:///{tmp_path}/none.db", clock)(create=False, exclusive=False)
        held = lock(tmp_path / "mine.db")
        await refused(f"sqlite:///{tmp_path}/mine.db", SpoolBusy, f"process {os.getpid()}")
        os.close(held)

    asyncio.run(main())


def test_what_an_error_of_sqlite_means() -> None:
    def made(code: int) -> sqlite3.Error:
        error = sqlite3.OperationalError("secret")
        error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_X"
        return error

    for code, kind, fatal in (
        (sqlite3.SQLITE_FULL, SpoolFull, False),
        (sqlite3.SQLITE_BUSY, SpoolBusy, False),
        (sqlite3.SQLITE_LOCKED, SpoolBusy, False),
        (sqlite3.SQLITE_IOERR_FSYNC, SpoolBroken, True),
        (sqlite3.SQLITE_CORRUPT, SpoolBroken, True),
        (sqlite3.SQLITE_READONLY, SpoolBroken, False),
    ):
        assert (type(translate(made(code))), is_fatal(made(code))) == (kind, fatal)
        assert "secret" not in str(translate(made(code)))


class _Fails:
    """A connection whose commit fails as told."""

    def __init__(self, code: int) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._code = code
        self.fails = True

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, *values: object) -> object:
        if sql == "COMMIT" and self.fails:
            error = sqlite3.OperationalError("disk")
            error.sqlite_errorcode, error.sqlite_errorname = self._code, "SQLITE_DISK"
            raise error
        return self._db.execute(sql, *values)  # type: ignore[arg-type]  # handed on

    def close(self) -> None:
        self._db.close()


@pytest.mark.parametrize(
    ("code", "kind", "ends"),
    [(sqlite3.SQLITE_FULL, SpoolFull, False), (sqlite3.SQLITE_IOERR_FSYNC, SpoolBroken, True)],
)
def test_a_commit_that_fails_fails_its_whole_group(code: int, kind: type[Exception], ends: bool) -> None:
    told: list[str] = []

    async def main() -> None:
        connection = _Fails(code)
        writer = Writer(lambda: connection, lambda _: None)  # type: ignore[arg-type,return-value]  # as much as is used
        writer.on_fatal, writer.on_full = lambda: told.append("fatal"), lambda: told.append("full")
        writer.start()
        jobs = (writer.run(lambda db: db.execute("SELECT 1").fetchone()) for _ in range(5))
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(result) for result in results] == [kind] * 5
        connection.fails = False
        if ends:
            with pytest.raises(SpoolBroken):
                await writer.run(lambda _: 1)
        else:
            assert await writer.run(lambda _: 1) == 1
        await asyncio.to_thread(writer.close)
        with pytest.raises(SpoolBroken, match="closed"):
            await writer.run(lambda _: 1)

    asyncio.run(main())
    assert set(told) == {"fatal" if ends else "full"}


def test_a_broken_spool_says_so_and_takes_nothing(sqlite: Factory, tmp_path: Path, clock: Clock) -> None:
    ended: list[bool] = []

    async def main() -> None:
        spool = await sqlite(tmp_path, clock)(on_fatal=lambda: ended.append(True))
        error = sqlite3.OperationalError("disk")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        spool._writer.fail(error)  # type: ignore[attr-defined]  # what the checkpointer does
        assert not spool.usage().accepting
        with pytest.raises(SpoolFull):
            await spool.accept(mail())
        with pytest.raises(SpoolBroken):
            await spool.note("x", Audit(0.0, "a", "b"))
        await spool.close()
        with pytest.raises(SpoolBroken, match="closed"):
            await spool.list(Filter(reason=Reason.REPLY))

    asyncio.run(main())
    assert ended == [True]


def test_an_url_that_is_none() -> None:
    with pytest.raises(SpoolBroken, match="sqlite:///"):
        asyncio.run(open_spool("file:x", owner="b", high_water_bytes=1, min_free_bytes=0))
