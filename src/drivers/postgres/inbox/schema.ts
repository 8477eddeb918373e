/** Format of the tables of the inbox. */
export const FORMAT = 1

/** The tables of an inbox. */
export const INBOX_SCHEMA = `CREATE TABLE banyan_inbox (
  scope text NOT NULL,
  id text NOT NULL,
  fingerprint text,
  result json,
  received bigint NOT NULL,
  PRIMARY KEY (scope, id)
) WITH (fillfactor = 80);
CREATE INDEX banyan_inbox_received ON banyan_inbox (received);

CREATE TABLE banyan_inbox_state (
  format integer NOT NULL
);
INSERT INTO banyan_inbox_state VALUES (${FORMAT});
`
