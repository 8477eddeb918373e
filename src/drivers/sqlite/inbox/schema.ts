/** Format of the tables of the inbox. */
export const FORMAT = 1

/** The tables of an inbox. */
export const INBOX_SCHEMA = `CREATE TABLE banyan_inbox (
  scope TEXT NOT NULL,
  id TEXT NOT NULL,
  fingerprint TEXT,
  result TEXT,
  received INTEGER NOT NULL,
  PRIMARY KEY (scope, id)
) WITHOUT ROWID;
CREATE INDEX banyan_inbox_received ON banyan_inbox (received);

CREATE TABLE banyan_inbox_state (
  format INTEGER NOT NULL
);
INSERT INTO banyan_inbox_state VALUES (${FORMAT});
`
