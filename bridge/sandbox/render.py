"""Rows as the JSON objects of the API contract. ``origin`` is the scheme and authority of absolute links."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bridge.sandbox.seed import DEPARTMENTS
from bridge.sandbox.store import Row, Store


def attachment(row: Row, origin: str) -> dict[str, object]:
    """An attachment of a message."""
    return {
        "id": row["attachment_id"],
        "filename": row["filename"],
        "contentType": row["content_type"],
        "byteLength": row["byte_length"],
        "uploadedAt": row["uploaded_at"],
        "downloadUrl": f"{origin}/files/{row['attachment_id']}",
    }


def message(row: Row, attachments: list[Row], origin: str) -> dict[str, object]:
    """Section 1's ``201``."""
    return {
        "id": row["id"],
        "ticketId": row["ticket_id"],
        "sentAt": row["sent_at"],
        "body": row["body"],
        "sender": row["sender"],
        "senderName": row["sender_name"],
        "encrypted": bool(row["encrypted"]),
        "attachments": [attachment(found, origin) for found in attachments],
    }


def summary(row: Row) -> dict[str, object]:
    """One entry of section 3's ``data[]``."""
    return {
        "id": row["id"],
        "number": row["number"],
        "subject": row["subject"],
        "status": row["status"],
        "priority": row["priority"],
        "departmentSlug": row["department"],
        "departmentName": DEPARTMENTS.get(row["department"], row["department"]),
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "lastMessageAt": row["last_message_at"],
        "ccEmails": json.loads(row["cc"]),
        "requesterName": row["requester"],
        "messageCount": row["message_count"],
        "linkedServices": json.loads(row["services"]),
    }


def detail(store: Store, row: Row, origin: str) -> dict[str, object]:
    """Section 2's ``200``: the opening message in ``body``, what followed in ``messages[]``."""
    attachments: Mapping[str, list[Row]] = store.attachments(row["id"])
    return {
        **summary(row),
        "body": row["body"],
        "attachments": [],  # of the opening message, which takes none: a pinned upload joins the next reply
        "messages": [message(found, attachments.get(found["id"], []), origin) for found in store.messages(row["id"])],
    }


def upload(row: Row, origin: str) -> dict[str, object]:
    """Section 5's ``201``."""
    return {
        "attachmentId": row["upload_id"],
        "url": f"{origin}/files/{row['upload_id']}",
        "filename": row["filename"],
        "byteLength": row["byte_length"],
        "contentType": row["content_type"],
        "uploadedAt": row["uploaded_at"],
        "ticketId": row["ticket_id"],
    }
