"""Opening a spool on PostgreSQL: what is wrong is said clearly, with the exit code that it calls for."""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path

import asyncpg
import pytest
import trustme

from bridge.errors import ConfigurationError, SpoolBroken, SpoolBusy
from bridge.spool import migrate_postgres, open_spool
from bridge.spool.api import Filter
from bridge.spool.ledger import Ledger
from bridge.spool.postgres import schema, server
from tests.postgres.server import Database, free_port, new_schema
from tests.spool.samples import mail


async def opened(url: str) -> Ledger:
    return await open_spool(url, owner="a", high_water_bytes=1 << 30, min_free_bytes=0)


def fails(url: str, kind: type[Exception], match: str) -> None:
    async def main() -> None:
        with pytest.raises(kind, match=match):
            await opened(url)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("postgresql://bridge@127.0.0.1:{port}/nowhere", "refuses the user, the password or the database"),
        ("postgresql://nobody@127.0.0.1:{port}/bridge", "refuses the user"),
        ("postgresql://bridge:secret@127.0.0.1:{port}/bridge?search_path=A%3B", "one name in lower case"),
        ("postgresql://bridge@127.0.0.1:{port}/bridge?sslmode=require", "does not speak TLS"),
        ("postgresql://bridge@127.0.0.1:{port}/bridge?sslmode=nonsense", "not an address"),
        ("postgresql://bridge@127.0.0.1:{port}/bridge?sslmode=verify-full&sslrootcert=/none", "TLS|not an address"),
        ("postgresql://bridge@127.0.0.1:port/bridge", "not an address|not a URL"),
    ],
)
def test_a_wrong_address_is_a_configuration_error(postgres_server: Database, url: str, match: str) -> None:
    fails(url.format(port=postgres_server.port), ConfigurationError, match)


def test_a_server_that_is_away_is_temporary() -> None:
    fails(f"postgresql://bridge@127.0.0.1:{free_port()}/bridge", SpoolBusy, "cannot be reached")


def test_no_error_shows_the_password(postgres_server: Database) -> None:
    for url in (
        f"postgresql://nobody:geheim@127.0.0.1:{postgres_server.port}/bridge",
        f"postgresql://bridge:geheim@127.0.0.1:{postgres_server.port}/bridge?search_path=none",
        f"postgresql://bridge:geheim@127.0.0.1:{free_port()}/bridge",
    ):
        with pytest.raises((ConfigurationError, SpoolBroken, SpoolBusy)) as caught:
            asyncio.run(opened(url))
        assert "geheim" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_missing_schema_names_the_command(postgres_server: Database) -> None:
    fails(new_schema(postgres_server), SpoolBroken, "spool migrate")


def test_missing_rights_are_named(postgres_server: Database) -> None:
    url = new_schema(postgres_server)
    guest = url.replace("bridge@", "guest@")

    async def main() -> None:
        connection = await asyncpg.connect(postgres_server.url)
        await connection.execute("DROP ROLE IF EXISTS guest")
        await connection.execute("CREATE ROLE guest LOGIN")
        try:
            with pytest.raises(SpoolBroken, match="may not make the schema"):
                await migrate_postgres(guest)
            await migrate_postgres(url)
            with pytest.raises(SpoolBroken, match="may not"):
                await opened(guest)
            await connection.execute(f"GRANT USAGE ON SCHEMA {server.address(url).schema} TO guest")
            with pytest.raises(SpoolBroken, match="may not do this"):
                await opened(guest)
        finally:
            await connection.execute("DROP OWNED BY guest")
            await connection.execute("DROP ROLE guest")
            await connection.close()

    asyncio.run(main())


def test_migrating_twice_changes_nothing_and_two_at_once_make_one(postgres_server: Database) -> None:
    async def main() -> None:
        url = new_schema(postgres_server)
        newest = len(schema.migrations())
        both = await asyncio.gather(migrate_postgres(url), migrate_postgres(url))
        assert sorted(both) == [(0, newest), (newest, newest)]
        assert await migrate_postgres(url) == (newest, newest)

    asyncio.run(main())


def test_an_older_bridge_runs_on_beside_the_next_schema_and_not_beside_the_one_after(postgres_server: Database) -> None:
    async def main() -> None:
        url = new_schema(postgres_server)
        at, known = server.address(url), schema.migrations()
        await migrate_postgres(url)
        running = await opened(url)
        first = await running.accept(mail())
        beside = schema.parse(
            f"-- oldest: {len(known)}\nALTER TABLE entries ADD COLUMN later text NOT NULL DEFAULT '';"
        )
        assert await schema.migrate(at, [*known, beside]) == (len(known), len(known) + 1)
        second = await running.accept(mail())
        again = await opened(url)
        assert [entry.id for entry in await again.list(Filter())] == [*first, *second]
        await again.close()
        await running.close()
        too_new = schema.parse(f"-- oldest: {len(known) + 1}\nALTER TABLE entries DROP COLUMN later;")
        await schema.migrate(at, [*known, beside, too_new])
        with pytest.raises(SpoolBroken, match="newer bridge"):
            await opened(url)
        connection = await server.connect(at)
        with pytest.raises(SpoolBroken, match="older schema"):
            await schema.check(connection, at, len(known) + 3)
        await connection.close()

    asyncio.run(main())


def test_a_migration_that_fails_changes_nothing(postgres_server: Database) -> None:
    async def main() -> None:
        url = new_schema(postgres_server)
        known = schema.migrations()
        broken = schema.parse("-- oldest: 1\nCREATE TABLE half (id int); SELECT nonsense;")
        with pytest.raises(SpoolBroken):
            await schema.migrate(server.address(url), [*known, broken])
        with pytest.raises(SpoolBroken, match="holds no spool"):
            await opened(url)

    asyncio.run(main())


async def tls(client: ssl.SSLContext, port: int) -> asyncio.Server:
    """What speaks TLS before the server, as a server with ``ssl = on`` does: the wheel's is built without."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = struct.unpack("!ii", await reader.readexactly(8))
        assert asked == (8, 80877103), "no SSLRequest"
        writer.write(b"S")
        try:
            await writer.start_tls(client)
        except (OSError, ssl.SSLError):
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_tls_to_the_server(tmp_path: Path, postgres_server: Database) -> None:
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def main() -> None:
        proxy = await tls(context, postgres_server.port)
        port = proxy.sockets[0].getsockname()[1]
        url = new_schema(postgres_server).replace(str(postgres_server.port), str(port)) + "&sslmode=verify-full"
        await migrate_postgres(f"{url}&sslrootcert={tmp_path}/ca.pem")
        spool = await opened(f"{url}&sslrootcert={tmp_path}/ca.pem")
        assert len(await spool.accept(mail())) == 1
        await spool.close()
        with pytest.raises(ConfigurationError, match="TLS to 127"):
            await opened(f"{url}&sslrootcert={tmp_path}/other.pem")
        proxy.close()

    asyncio.run(main())
