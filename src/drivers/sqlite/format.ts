import type { Database } from 'better-sqlite3'
import { eventError } from '../../events/errors.js'

/** "Bnyn": what tells a log from any other SQLite file (`PRAGMA application_id`). */
const APPLICATION_ID = 0x426e796e

/**
 * Steps from each format to the next; the first makes format 1 of an empty file. A step that has been released is never
 * changed. `PRAGMA user_version` says how many were made.
 */
const MIGRATIONS: readonly string[] = [
  `
  -- One row: where the log ends, and what it has.
  CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    head INTEGER NOT NULL,                -- position of the last event that was appended
    recorded INTEGER NOT NULL,            -- when that was
    indexed INTEGER NOT NULL,             -- up to this position events are in the indexes below
    events INTEGER NOT NULL,              -- how many are there
    commits INTEGER NOT NULL,             -- how many there were
    truncated INTEGER NOT NULL            -- at and before this position some events may have been removed
  ) STRICT;
  INSERT INTO log VALUES (1, 0, 0, 0, 0, 0, 0);

  CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    truncated INTEGER NOT NULL DEFAULT 0  -- position of the last of its events that was removed
  ) STRICT;

  CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    category INTEGER NOT NULL REFERENCES categories,
    first_revision INTEGER NOT NULL DEFAULT 0, -- all before were removed
    truncated INTEGER NOT NULL DEFAULT 0       -- position of the last of its events that was removed
  ) STRICT;

  -- The log itself.
  CREATE TABLE events (
    position INTEGER PRIMARY KEY,         -- 1, 2, 3, ...
    stream INTEGER NOT NULL REFERENCES streams,
    revision INTEGER NOT NULL,            -- number in the stream, from 0
    category INTEGER NOT NULL REFERENCES categories,
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
    metadata TEXT,                        -- JSON object; none: empty
    data ANY                              -- JSON as TEXT, or a BLOB, or none
  ) STRICT;

  -- Indexes of the events up to log.indexed. They are filled many events at a time: in order of their keys, which
  -- costs a fraction of what it would with each event.
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
    tag TEXT NOT NULL,
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
  `,
]

/** The format of logs that are made now. */
export const FORMAT = MIGRATIONS.length

/**
 * Looks at whose file it is.
 *
 * @returns its format; 0 if the file is empty
 * @throws `BANYAN_LOG_CORRUPT` if it is no log, `BANYAN_LOG_FORMAT` if a newer version made it
 */
export function formatOf(db: Database, file: string): number {
  const application = db.pragma('application_id', { simple: true }) as number
  const format = db.pragma('user_version', { simple: true }) as number
  if (application === 0 && format === 0) {
    const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number
    if (tables === 0) return 0
  }
  if (application !== APPLICATION_ID)
    throw eventError(
      'BANYAN_LOG_CORRUPT',
      `${file} is a SQLite database, but not an event log; nothing was changed. Name another path`,
    )
  if (format > FORMAT)
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `${file} has format ${format}, and this version of banyan knows formats up to ${FORMAT}: ` +
        'a newer one has written to it. Use that version; nothing was changed',
    )
  return format
}

/** Brings a file to the present format, in one transaction: all of it, or nothing. The caller has it begun. */
export function migrate(db: Database, from: number): void {
  for (const step of MIGRATIONS.slice(from)) db.exec(step)
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma(`user_version = ${FORMAT}`)
}
