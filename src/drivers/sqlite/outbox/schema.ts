/** Format of the tables of the outbox. */
export const FORMAT = 1

const COLUMNS = `id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
  topic TEXT NOT NULL,
  key TEXT,
  type TEXT NOT NULL,
  data TEXT,
  bytes BLOB,
  metadata TEXT,
  tags TEXT,
  schema_version INTEGER,
  time INTEGER,
  deliver_at INTEGER,
  published INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
  size INTEGER NOT NULL DEFAULT 0`

/** The tables of an outbox. Numbers are never given out twice, as what is parked comes back under its own. */
export const OUTBOX_SCHEMA = `CREATE TABLE banyan_outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  ${COLUMNS}
);

CREATE TABLE banyan_outbox_parked (
  number INTEGER PRIMARY KEY,
  ${COLUMNS},
  reason TEXT,
  parked_at INTEGER NOT NULL
);
CREATE INDEX banyan_outbox_parked_lane ON banyan_outbox_parked (topic, key, number);

CREATE TABLE banyan_outbox_state (
  format INTEGER NOT NULL,
  relayed INTEGER NOT NULL
);
INSERT INTO banyan_outbox_state VALUES (${FORMAT}, 0);
`
