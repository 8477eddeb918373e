/** Format of the tables of a shard. */
export const FORMAT = 1

/**
 * What a shard keeps beside the tables of its application: what it is, the highest token, which buckets it owns, which rows have
 * changed of those that are on their way, and how far copies have come.
 */
export const SHARD_SCHEMA = `CREATE TABLE banyan_shard (
  one boolean NOT NULL PRIMARY KEY CHECK (one),
  name text,
  owner text,
  shard text,
  buckets integer,
  version bigint NOT NULL
);
INSERT INTO banyan_shard VALUES (true, NULL, NULL, NULL, NULL, 0);

CREATE TABLE banyan_shard_token (
  token bigint NOT NULL
);
INSERT INTO banyan_shard_token VALUES (0);

CREATE TABLE banyan_shard_buckets (
  bucket integer NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('owned', 'blocked')),
  move text
) WITH (fillfactor = 80);

CREATE TABLE banyan_shard_changes (
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bucket integer NOT NULL,
  tbl text NOT NULL,
  key text NOT NULL
);
CREATE INDEX banyan_shard_changes_bucket ON banyan_shard_changes (bucket, seq);

CREATE TABLE banyan_shard_copies (
  tbl text NOT NULL,
  bucket integer NOT NULL,
  after text,
  last boolean NOT NULL,
  rows bigint NOT NULL,
  PRIMARY KEY (tbl, bucket)
);

CREATE TABLE banyan_shard_format (
  format integer NOT NULL
);
INSERT INTO banyan_shard_format VALUES (${FORMAT});
`
