/** Format of the tables of a shard. */
export const FORMAT = 1

/**
 * What a shard keeps beside the tables of its application: what it is, which buckets it owns, which rows have changed of those
 * that are on their way, and how far copies have come. `banyan_shard_now` tells triggers in whose transaction they are.
 */
export const SHARD_SCHEMA = `CREATE TABLE banyan_shard (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  name TEXT,
  owner TEXT,
  shard TEXT,
  buckets INTEGER,
  version INTEGER NOT NULL,
  token INTEGER NOT NULL
);
INSERT INTO banyan_shard VALUES (1, NULL, NULL, NULL, NULL, 0, 0);

CREATE TABLE banyan_shard_now (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  bucket INTEGER,
  key TEXT,
  moving INTEGER NOT NULL
);
INSERT INTO banyan_shard_now VALUES (1, NULL, NULL, 0);

CREATE TABLE banyan_shard_buckets (
  bucket INTEGER NOT NULL PRIMARY KEY,
  epoch INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('owned', 'blocked')),
  move TEXT
);

CREATE TABLE banyan_shard_changes (
  seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  bucket INTEGER NOT NULL,
  tbl TEXT NOT NULL,
  key TEXT NOT NULL
);
CREATE INDEX banyan_shard_changes_bucket ON banyan_shard_changes (bucket, seq);

CREATE TABLE banyan_shard_copies (
  tbl TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  after TEXT,
  last INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  PRIMARY KEY (tbl, bucket)
) WITHOUT ROWID;

CREATE TABLE banyan_shard_format (
  format INTEGER NOT NULL
);
INSERT INTO banyan_shard_format VALUES (${FORMAT});
`
