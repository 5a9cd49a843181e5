"""The sandbox's one database: tickets, messages, attachments and the journal of requests.

Everything runs on the event loop's thread, a statement at a time: each takes well under a millisecond, because nothing
waits for the disk (``synchronous=OFF``: a killed process loses nothing, a power cut may). WAL lets another process
read the file meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from bridge.errors import ConfigurationError
from bridge.sandbox.ids import IdSource, is_public_ticket_id, is_ticket_number, iso
from bridge.sandbox.problems import Refusal, ticket_not_found
from bridge.sandbox.seed import TICKETS, SeedTicket
from bridge.sandbox.validation import NewTicket, Page

_SCHEMA_VERSION = 1
_APPLICATION_ID = 1953198946  # "tkbb": tells our file from any other SQLite file

Row = sqlite3.Row


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was accepted (API contract, section 5)."""

    filename: str
    content_type: str
    sha256: str
    content: bytes


class Store:
    """Tickets and what belongs to them. Public methods are whole transactions."""

    def __init__(self, database: str | None = None) -> None:
        """Open or create the file ``database``; None keeps all in memory. Raises ``ConfigurationError``."""
        self.ids = IdSource()
        try:
            self.connection = sqlite3.connect(database or ":memory:", isolation_level=None)
            self.connection.row_factory = sqlite3.Row
            self._prepare(database)
        except sqlite3.Error as error:
            raise ConfigurationError(f"the sandbox's database {database} cannot be used: {error}") from error

    def _prepare(self, database: str | None) -> None:
        run = self.connection.execute
        run("PRAGMA busy_timeout=5000")
        application, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        empty = run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not empty and (application, version) != (_APPLICATION_ID, _SCHEMA_VERSION):
            self.connection.close()
            raise ConfigurationError(f"{database} is not a database of this sandbox (or of another version of it)")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=OFF")
        run("PRAGMA foreign_keys=ON")
        if empty:
            schema = files("bridge.sandbox").joinpath("schema.sql").read_text("utf-8")
            self.connection.executescript(f"BEGIN;{schema}COMMIT;")
            for ticket in TICKETS:
                self._plant(ticket)

    def close(self) -> None:
        """Close the file; it is whole."""
        self.connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _insert(self, table: str, values: dict[str, object]) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names are our own

    def _plant(self, seed: SeedTicket) -> None:
        created = time.time() - 60 * seed.age_min
        newest = time.time() - 60 * min([seed.age_min, *(message.age_min for message in seed.messages)])
        services = [{"serviceType": kind, "serviceId": name} for kind, name in seed.services]
        with self._transaction():
            self._insert(
                "tickets",
                {
                    "id": seed.id, "number": seed.number, "subject": seed.subject, "body": seed.body,
                    "status": seed.status, "priority": seed.priority, "department": seed.department,
                    "requester": seed.requester, "cc": json.dumps(seed.cc), "services": json.dumps(services),
                    "message_count": len(seed.messages), "created_at": iso(created), "updated_at": iso(newest),
                    "last_message_at": iso(newest),
                },
            )  # fmt: skip
            for message in seed.messages:
                self._insert_message(
                    seed.id, message.sender, message.name, message.body, message.encrypted,
                    iso(time.time() - 60 * message.age_min), None,
                )  # fmt: skip

    def _insert_message(
        self, ticket_id: str, sender: str, name: str, body: str, encrypted: bool, now: str, request_id: str | None
    ) -> str:
        message_id = self.ids.new("tmsg")
        self._insert(
            "messages",
            {
                "id": message_id, "ticket_id": ticket_id, "sender": sender, "sender_name": name, "body": body,
                "encrypted": int(encrypted), "sent_at": now, "request_id": request_id,
            },
        )  # fmt: skip
        return message_id

    def ticket(self, reference: str) -> Row:
        """The ticket by public id or number. Raises ``404 ticket_not_found``."""
        if is_public_ticket_id(reference):
            column = "id"
        elif is_ticket_number(reference):
            column = "number"
        else:
            raise ticket_not_found()
        row = self.connection.execute(f"SELECT * FROM tickets WHERE {column}=?", (reference,)).fetchone()  # noqa: S608 - our own names
        if not isinstance(row, Row):
            raise ticket_not_found()
        return row

    def tickets(self, page: Page) -> tuple[list[Row], bool]:
        """One page of tickets, newest first, and whether more follow."""
        wanted: list[tuple[str, object]] = []
        if page.before is not None:
            wanted.append(("seq<?", page.before))
        if page.status is not None:
            wanted.append(("status=?", page.status))
        if page.department is not None:
            wanted.append(("department=?", page.department))
        where = " AND ".join(["1", *(condition for condition, _ in wanted)])
        rows = self.connection.execute(
            f"SELECT * FROM tickets WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - our own names
            (*(value for _, value in wanted), page.limit + 1),
        ).fetchall()
        return rows[: page.limit], len(rows) > page.limit

    def by_activity(self, status: str | None, limit: int) -> list[Row]:
        """The tickets with the newest messages first, for the page."""
        query = "SELECT * FROM tickets WHERE ?1 IS NULL OR status=?1 ORDER BY last_message_at DESC, seq DESC LIMIT ?2"
        return self.connection.execute(query, (status, limit)).fetchall()

    def count_by_status(self) -> dict[str, int]:
        """How many tickets have each status."""
        return dict(self.connection.execute("SELECT status, count(*) FROM tickets GROUP BY status").fetchall())

    def messages(self, ticket_id: str) -> list[Row]:
        """The conversation in the order in which it was stored."""
        return self.connection.execute("SELECT * FROM messages WHERE ticket_id=? ORDER BY seq", (ticket_id,)).fetchall()

    def message(self, message_id: str) -> Row:
        """One message that is there."""
        row: Row = self.connection.execute("SELECT * FROM messages WHERE id=?", (message_id,)).fetchone()
        return row

    def attachments(self, ticket_id: str) -> dict[str, list[Row]]:
        """The ticket's attachments by message id; uploads that still wait for a message stand under ``""``."""
        found: dict[str, list[Row]] = {}
        query = (
            "SELECT upload_id, attachment_id, message_id, filename, content_type, byte_length, uploaded_at "
            "FROM attachments WHERE ticket_id=? ORDER BY seq"
        )
        for row in self.connection.execute(query, (ticket_id,)):
            found.setdefault(row["message_id"] or "", []).append(row)
        return found

    def content(self, file_id: str) -> Row | None:
        """A stored file by its ``tatt_`` or ``satt_`` id, with its bytes."""
        query = "SELECT filename, content FROM attachments WHERE attachment_id=?1 OR upload_id=?1"
        row: Row | None = self.connection.execute(query, (file_id,)).fetchone()
        return row

    def reply(self, ticket: Row, body: str, encrypted: bool, request_id: str) -> str:
        """Store a customer's reply; the uploads pinned to the ticket become its attachments. Returns its id.

        Raises ``409 ticket_closed``.
        """
        if ticket["status"] == "closed":
            raise Refusal(409, "ticket_closed", "The ticket is closed; reopen it before replying.")
        now = iso(time.time())
        with self._transaction():
            message_id = self._insert_message(
                ticket["id"], "customer", ticket["requester"], body, encrypted, now, request_id
            )
            waiting = "SELECT upload_id FROM attachments WHERE ticket_id=? AND message_id IS NULL ORDER BY seq"
            for (upload_id,) in self.connection.execute(waiting, (ticket["id"],)).fetchall():
                self.connection.execute(
                    "UPDATE attachments SET attachment_id=?, message_id=? WHERE upload_id=?",
                    (self.ids.new("tatt"), message_id, upload_id),
                )
            self._touch(ticket["id"], "customer_reply", now)
        return message_id

    def staff_reply(self, ticket: Row, body: str, name: str) -> str:
        """Store an answer of the staff; a closed ticket stays closed. Returns its id."""
        now = iso(time.time())
        with self._transaction():
            message_id = self._insert_message(ticket["id"], "staff", name, body, False, now, None)
            self._touch(ticket["id"], "closed" if ticket["status"] == "closed" else "answered", now)
        return message_id

    def _touch(self, ticket_id: str, status: str, now: str) -> None:
        self.connection.execute(
            "UPDATE tickets SET status=?, message_count=message_count+1, last_message_at=?, updated_at=? WHERE id=?",
            (status, now, now, ticket_id),
        )

    def set_status(self, ticket: Row, status: str) -> Row:
        """Close or reopen; returns the ticket as it is then. A ticket that is so already is left as it is."""
        if (ticket["status"] == "closed") != (status == "closed"):
            with self._transaction():
                self.connection.execute(
                    "UPDATE tickets SET status=?, updated_at=? WHERE id=?", (status, iso(time.time()), ticket["id"])
                )
        return self.ticket(ticket["id"])

    def create(self, new: NewTicket, requester: str, request_id: str) -> Row:
        """Open a ticket (API contract, section 6); its number follows the highest one."""
        ticket_id, now = self.ids.new("tkt"), iso(time.time())
        with self._transaction():
            number = self.connection.execute("SELECT max(CAST(number AS INTEGER))+1 FROM tickets").fetchone()[0]
            self._insert(
                "tickets",
                {
                    "id": ticket_id, "number": str(number), "subject": new.subject, "body": new.message,
                    "status": "open", "priority": new.priority, "department": new.department,
                    "requester": requester, "cc": json.dumps(new.cc), "services": json.dumps(new.services),
                    "created_at": now, "updated_at": now, "last_message_at": now, "request_id": request_id,
                },
            )  # fmt: skip
        return self.ticket(ticket_id)

    def upload(self, upload: Upload, ticket_id: str | None, request_id: str) -> Row:
        """Keep an uploaded file, pinned to a ticket or not; returns its row without the content."""
        upload_id = self.ids.new("satt")
        with self._transaction():
            self._insert(
                "attachments",
                {
                    "upload_id": upload_id, "ticket_id": ticket_id, "filename": upload.filename,
                    "content_type": upload.content_type, "byte_length": len(upload.content),
                    "sha256": upload.sha256, "content": upload.content, "uploaded_at": iso(time.time()),
                    "request_id": request_id,
                },
            )  # fmt: skip
        query = "SELECT upload_id, ticket_id, filename, content_type, byte_length, uploaded_at FROM attachments"
        row: Row = self.connection.execute(f"{query} WHERE upload_id=?", (upload_id,)).fetchone()
        return row
