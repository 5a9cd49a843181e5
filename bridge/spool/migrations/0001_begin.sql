CREATE TABLE mails (
  id INTEGER PRIMARY KEY,
  raw BLOB,                          -- sealed; NULL once erased
  size INTEGER NOT NULL,
  digest TEXT NOT NULL
);
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  mail INTEGER NOT NULL REFERENCES mails(id),
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  lane TEXT NOT NULL DEFAULT '',
  hint TEXT NOT NULL DEFAULT '',
  head INTEGER NOT NULL DEFAULT 0,   -- 1 for the one entry of its lane that may be claimed
  envelope TEXT NOT NULL,
  sender TEXT NOT NULL,
  message_id TEXT NOT NULL DEFAULT '',
  body_digest TEXT NOT NULL DEFAULT '',
  decision BLOB,                     -- sealed JSON
  attempts INTEGER NOT NULL DEFAULT 0,
  accepted_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  next_at REAL NOT NULL,
  erased INTEGER NOT NULL DEFAULT 0,
  override TEXT NOT NULL DEFAULT '',
  released INTEGER NOT NULL DEFAULT 0,
  paused_s REAL NOT NULL DEFAULT 0,
  token INTEGER NOT NULL DEFAULT 0,
  lease_until REAL NOT NULL DEFAULT 0,
  owner TEXT NOT NULL DEFAULT ''
);
CREATE INDEX entries_received_hint ON entries(hint, seq) WHERE state = 'received';
CREATE INDEX entries_heads ON entries(next_at, seq) WHERE head = 1;
CREATE UNIQUE INDEX entries_head_of ON entries(lane) WHERE head = 1;
CREATE INDEX entries_ticket ON entries(lane, seq);
CREATE INDEX entries_lane ON entries(lane, seq) WHERE state IN ('ready', 'sending', 'unknown');
CREATE INDEX entries_owned ON entries(owner) WHERE owner <> '';
CREATE INDEX entries_mail ON entries(mail);
CREATE INDEX entries_sender ON entries(sender, lane, accepted_at);
CREATE INDEX entries_to_erase ON entries(state, updated_at) WHERE erased = 0;
CREATE INDEX entries_state ON entries(state, seq);
CREATE TABLE attempts (
  entry INTEGER NOT NULL REFERENCES entries(seq),
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ticket TEXT NOT NULL,
  intent_at REAL NOT NULL,
  fingerprint TEXT NOT NULL,
  token INTEGER NOT NULL,
  settled_at REAL,
  outcome TEXT NOT NULL DEFAULT '',
  status INTEGER NOT NULL DEFAULT 0,
  code TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  request_id TEXT NOT NULL DEFAULT '',
  message_id TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (entry, number)
) WITHOUT ROWID;
CREATE INDEX attempts_confirmed ON attempts(ticket, message_id) WHERE message_id <> '';
CREATE INDEX attempts_reopen ON attempts(ticket, intent_at) WHERE kind = 'reopen';
CREATE TABLE audit (
  entry INTEGER NOT NULL REFERENCES entries(seq),
  at REAL NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  note TEXT NOT NULL
);
CREATE INDEX audit_entry ON audit(entry);
CREATE TABLE counters (state TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (state, reason)) WITHOUT ROWID;
CREATE TRIGGER count_new AFTER INSERT ON entries BEGIN
  INSERT INTO counters VALUES (NEW.state, NEW.reason, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER count_moved AFTER UPDATE OF state, reason ON entries
WHEN OLD.state <> NEW.state OR OLD.reason <> NEW.reason BEGIN
  UPDATE counters SET n = n - 1 WHERE state = OLD.state AND reason = OLD.reason;
  INSERT INTO counters VALUES (NEW.state, NEW.reason, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TABLE threads (message_id TEXT PRIMARY KEY, ticket TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE senders (ticket TEXT NOT NULL, sender TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (ticket, sender)) WITHOUT ROWID;
CREATE TABLE texts (ticket TEXT NOT NULL, position INTEGER NOT NULL, text BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (ticket, position));
CREATE TABLE numbers (number TEXT PRIMARY KEY, ticket TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dedupe (key TEXT PRIMARY KEY, entry TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (id TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;  -- a known value, to tell a wrong key
