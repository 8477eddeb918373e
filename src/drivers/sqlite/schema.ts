/** The tables of format 1. */
export const SCHEMA = `
-- One row: where the log ends, and what it has.
CREATE TABLE log (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  head INTEGER NOT NULL,                -- position of the last event that was appended
  recorded INTEGER NOT NULL,            -- when that was
  indexed INTEGER NOT NULL,             -- up to this position events are in the indexes below
  events INTEGER NOT NULL,              -- how many are there
  commits INTEGER NOT NULL,             -- how many there were
  truncated INTEGER NOT NULL,           -- at and before this position some events may have been removed
  missed INTEGER NOT NULL,              -- the same, without what patterns have forgotten of their state
  checksum INTEGER NOT NULL             -- of the row; so in the tables of names
) STRICT;

-- Names. The last columns are as of log.indexed.
CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  last INTEGER NOT NULL,                -- position of its last event
  truncated INTEGER NOT NULL,           -- position of the last of its events that was removed
  checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE tags (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  last INTEGER NOT NULL,                -- position of the last event that has it
  checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  category INTEGER NOT NULL REFERENCES categories,
  last INTEGER NOT NULL,                -- its last revision
  first INTEGER NOT NULL,               -- its first revision that was not removed
  truncated INTEGER NOT NULL,           -- position of the last of its events that was removed
  checksum INTEGER NOT NULL
) STRICT;

-- The log itself.
CREATE TABLE events (
  position INTEGER PRIMARY KEY,         -- 1, 2, 3, ...
  stream INTEGER NOT NULL REFERENCES streams,
  revision INTEGER NOT NULL,            -- number in the stream, from 0
  category INTEGER NOT NULL REFERENCES categories,
  category_previous INTEGER NOT NULL,   -- position of the event before it in its category, or 0
  commit_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,             -- number in the commit, from 0
  digest INTEGER,                       -- of the commit, with its first event
  type TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  time INTEGER NOT NULL,                -- when it happened, ms since 1970
  recorded INTEGER NOT NULL,            -- when it was appended, ms since 1970
  checksum INTEGER NOT NULL,
  id TEXT,                              -- none: commit_id/ordinal
  tags TEXT,                            -- JSON array; none: no tags
  tags_previous TEXT,                   -- JSON array: for each tag the position of the event before it, or 0
  metadata TEXT,                        -- JSON object; none: empty
  data ANY                              -- JSON as TEXT, or a BLOB, or none
) STRICT;

-- Indexes of the events up to log.indexed. They are filled many events at a time, in order of their keys, which costs
-- a fraction of what it would with each event.
CREATE TABLE stream_index (
  stream INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (stream, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE category_index (
  category INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (category, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag_index (
  tag INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

-- Ids that are taken, for ever: of commits, and those that events were given.
CREATE TABLE id_index (
  id TEXT PRIMARY KEY,
  position INTEGER NOT NULL             -- of the first event of the commit, or of the event
) STRICT, WITHOUT ROWID;

-- What was answered to commits of which some events were removed.
CREATE TABLE truncated_commits (
  id TEXT PRIMARY KEY,
  digest INTEGER NOT NULL,
  position INTEGER NOT NULL,            -- of its last event
  revisions TEXT NOT NULL               -- JSON array: the last revision of each of its streams
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL             -- what comes after it is not removed
) STRICT, WITHOUT ROWID;
`

/** What format 2 adds: logs that are copies of each other. */
export const REPLICA_SCHEMA = `
-- One row: what the log is.
CREATE TABLE replica (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  state TEXT NOT NULL,                  -- JSON: id, role, epochs
  checksum INTEGER NOT NULL             -- CRC-32 of it
) STRICT;

-- Streams of which events were removed, in the order in which that was done last.
CREATE TABLE truncations (
  stream INTEGER PRIMARY KEY REFERENCES streams,
  number INTEGER NOT NULL UNIQUE,
  forget INTEGER NOT NULL               -- 1: ids were forgotten along with the events
) STRICT;
`
