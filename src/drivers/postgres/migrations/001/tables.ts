/** What is stored. Every statement of the driver is about these tables, and any client may read them. */
export const TABLES = /* sql */ `
CREATE TABLE log (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  format integer NOT NULL
);
COMMENT ON TABLE log IS 'One row. Whoever gives out positions holds it in SHARE UPDATE EXCLUSIVE mode until commit.';
COMMENT ON COLUMN log.format IS 'How many migrations have run.';

CREATE TABLE streams (
  stream text COLLATE "C" PRIMARY KEY,
  category text COLLATE "C" NOT NULL
);
CREATE INDEX streams_by_category ON streams (category, stream);
COMMENT ON TABLE streams IS 'One row for each stream, never changed: what is locked to append to it. May have no events yet.';

CREATE TABLE events (
  position bigint PRIMARY KEY,
  revision bigint NOT NULL,
  time bigint NOT NULL,
  recorded bigint NOT NULL,
  ordinal integer NOT NULL,
  schema_version integer NOT NULL,
  size integer NOT NULL,
  checksum integer NOT NULL,
  stream text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  commit text COLLATE "C" NOT NULL,
  id text COLLATE "C",
  type text COLLATE "C" NOT NULL,
  data json,
  bytes bytea,
  metadata json,
  tags text[] COLLATE "C"
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, revision);
CREATE INDEX events_by_category ON events (category, position);
COMMENT ON TABLE events IS 'The log. Rows are only added, at the end, and removed by truncation.';
COMMENT ON COLUMN events.position IS 'Place in the log: 1, 2, 3, ... without gaps, in the order of commit.';
COMMENT ON COLUMN events.revision IS 'Place in the stream: 0, 1, 2, ... without gaps.';
COMMENT ON COLUMN events.time IS 'When it happened, in ms since 1970.';
COMMENT ON COLUMN events.recorded IS 'When it was appended, in ms since 1970; never falls.';
COMMENT ON COLUMN events.ordinal IS 'Place in its commit, from 0.';
COMMENT ON COLUMN events.size IS 'Bytes of data and metadata.';
COMMENT ON COLUMN events.checksum IS 'CRC-32 of the content, sealed with position, revision and recorded.';
COMMENT ON COLUMN events.commit IS 'Id of the commit it came with.';
COMMENT ON COLUMN events.id IS 'NULL for the id that it has by default: commit, a slash, and ordinal.';
COMMENT ON COLUMN events.data IS 'The JSON as it was given, or NULL if there is none or it is in bytes.';

CREATE TABLE tags (
  tag text COLLATE "C",
  position bigint,
  PRIMARY KEY (tag, position)
);
COMMENT ON TABLE tags IS 'An index in the order of the log, for reading by tag.';

CREATE TABLE ids (
  id text COLLATE "C" PRIMARY KEY,
  digest bigint,
  position bigint,
  revisions bigint[]
);
COMMENT ON TABLE ids IS 'Every id that is taken, for ever unless it was forgotten: of commits, and those that events were given.';
COMMENT ON COLUMN ids.digest IS 'Of what the commit says; NULL for the id of an event.';
COMMENT ON COLUMN ids.position IS 'Of the last event of the commit; NULL while that is pending.';
COMMENT ON COLUMN ids.revisions IS 'The last revision of each stream of the commit, in its order.';

CREATE SEQUENCE pending_sequence;
CREATE TABLE pending (
  sequence bigint,
  ordinal integer,
  revision bigint NOT NULL,
  time bigint NOT NULL,
  recorded bigint NOT NULL,
  checksum bigint NOT NULL,
  schema_version integer NOT NULL,
  size integer NOT NULL,
  stream text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  commit text COLLATE "C" NOT NULL,
  id text COLLATE "C",
  type text COLLATE "C" NOT NULL,
  data json,
  bytes bytea,
  metadata json,
  tags text[] COLLATE "C",
  PRIMARY KEY (sequence, ordinal)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE UNIQUE INDEX pending_by_stream ON pending (stream, revision);
COMMENT ON TABLE pending IS 'Appended inside transactions of applications, and not yet given a position. Who sees rows here moves them into events first.';
COMMENT ON COLUMN pending.sequence IS 'Rises with the revisions of every stream: it is taken while the streams are locked.';

CREATE TABLE truncated (
  kind text,
  name text COLLATE "C",
  position bigint NOT NULL,
  revision bigint,
  recorded bigint,
  removed bigint,
  PRIMARY KEY (kind, name)
);
INSERT INTO truncated (kind, name, position, recorded, removed) VALUES ('log', '', 0, 0, 0);
COMMENT ON TABLE truncated IS 'The last event that was removed: of the log, of each category, of each stream.';
COMMENT ON COLUMN truncated.kind IS 'log, category or stream; missed for the log without what patterns have forgotten of their state.';
COMMENT ON COLUMN truncated.removed IS 'How many were removed from the log.';

CREATE TABLE holds (
  name text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL
);
COMMENT ON TABLE holds IS 'No event behind one of these positions is truncated.';

CREATE TABLE fenced (
  attempt uuid PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE fenced IS 'Attempts to append whose connection was lost: sent again under another name, they must do nothing any more.';

CREATE VIEW head AS
  SELECT
    greatest(truncated.position, last.position) AS position,
    greatest(truncated.recorded, last.recorded) AS recorded,
    EXISTS (SELECT FROM pending) AS pending
  FROM truncated
  LEFT JOIN (SELECT position, recorded FROM events ORDER BY position DESC LIMIT 1) AS last ON true
  WHERE truncated.kind = 'log';
COMMENT ON VIEW head IS 'Where the log ends, when its last event was recorded, and whether there is more to be given a position.';
`
