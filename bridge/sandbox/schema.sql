-- What a checker may read; docs/sandbox.md describes every column.
CREATE TABLE tickets (
  seq             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  number          TEXT NOT NULL UNIQUE,
  subject         TEXT NOT NULL,
  body            TEXT NOT NULL,
  status          TEXT NOT NULL,
  priority        TEXT NOT NULL,
  department      TEXT NOT NULL,
  requester       TEXT NOT NULL,
  cc              TEXT NOT NULL DEFAULT '[]',
  services        TEXT NOT NULL DEFAULT '[]',
  message_count   INTEGER NOT NULL DEFAULT 0,
  created_at      TEXT NOT NULL,
  updated_at      TEXT NOT NULL,
  last_message_at TEXT NOT NULL,
  request_id      TEXT
);
CREATE TABLE messages (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  ticket_id   TEXT NOT NULL REFERENCES tickets (id),
  sender      TEXT NOT NULL,
  sender_name TEXT,
  body        TEXT NOT NULL,
  encrypted   INTEGER NOT NULL,
  sent_at     TEXT NOT NULL,
  request_id  TEXT
);
CREATE INDEX messages_of_ticket ON messages (ticket_id, seq);
CREATE TABLE attachments (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  upload_id     TEXT NOT NULL UNIQUE,
  attachment_id TEXT UNIQUE,
  ticket_id     TEXT REFERENCES tickets (id),
  message_id    TEXT REFERENCES messages (id),
  filename      TEXT NOT NULL,
  content_type  TEXT NOT NULL,
  byte_length   INTEGER NOT NULL,
  sha256        TEXT NOT NULL,
  content       BLOB NOT NULL,
  uploaded_at   TEXT NOT NULL,
  request_id    TEXT
);
CREATE INDEX attachments_of_message ON attachments (message_id);
CREATE INDEX attachments_waiting ON attachments (ticket_id) WHERE message_id IS NULL;
CREATE TABLE requests (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  received_at TEXT NOT NULL,
  method      TEXT NOT NULL,
  target      TEXT NOT NULL,
  operation   TEXT NOT NULL,
  caller      TEXT,
  user_agent  TEXT NOT NULL,
  ticket_id   TEXT,
  body        TEXT,
  body_sha256 TEXT NOT NULL,
  fault       TEXT,
  applied     INTEGER NOT NULL DEFAULT 0,
  stored_id   TEXT,
  status      INTEGER,
  code        TEXT,
  answered_at TEXT
);
PRAGMA application_id = 1953198946;
PRAGMA user_version = 1;
