import type { Database } from 'better-sqlite3'
import { isDeepStrictEqual } from 'node:util'
import { coordinationError } from '../../../coordination/errors.js'
import type { Sqlite } from '../connect.js'

/** "BnyC": what tells it from any other SQLite file (`PRAGMA application_id`). */
const APPLICATION_ID = 0x426e7943

/**
 * Columns that are looked at without the value come before it: SQLite reads a row from its start.
 *
 * The last revision is that of the last change, as long as there is one: so what changes with every change is no row of its
 * own. `store.revision` is where revisions began after the last time that the file was taken over.
 */
const SCHEMA = `
  CREATE TABLE store (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- counts how often the file was taken over: by a new start of the machine, or as a copy
    epoch     INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    -- no revision above it was given out; on disk before any of those below it was
    ceiling   INTEGER NOT NULL,
    -- changes up to here are not kept any more
    compacted INTEGER NOT NULL,
    -- what the changes that are kept take, counted when some are removed
    bytes     INTEGER NOT NULL,
    -- the last change that a loss of power must not undo
    lasting   INTEGER NOT NULL,
    leases    INTEGER NOT NULL,
    boot      TEXT NOT NULL,
    file      TEXT NOT NULL
  ) STRICT;
  CREATE TABLE leases (
    id    INTEGER PRIMARY KEY,
    ttl   INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX leases_by_end ON leases (until);
  CREATE TABLE keys (
    key      TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    lease    INTEGER,
    value    TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keys_by_lease ON keys (lease) WHERE lease IS NOT NULL;
  CREATE TABLE changes (
    revision INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    lasting  INTEGER NOT NULL,
    key      TEXT NOT NULL,
    created  INTEGER,
    lease    INTEGER,
    value    TEXT,
    PRIMARY KEY (revision, ordinal)
  ) STRICT, WITHOUT ROWID;
`

/**
 * Steps from each format to the next; the first makes format 1 of an empty file. A step that has been released is never
 * changed. `PRAGMA user_version` says how many were made.
 */
const MIGRATIONS: readonly ((db: Database) => void)[] = [
  (db) => {
    db.exec(SCHEMA)
    // Of no machine yet: whoever makes it takes it over at once.
    db.exec(`INSERT INTO store VALUES (1, 0, 0, 0, 0, 0, 0, 0, '', '')`)
  },
]

const FORMAT = MIGRATIONS.length

/** Makes the tables of an empty file, or brings those of an older format up to date. The caller has a transaction begun. */
export function prepareTables(sqlite: Sqlite, db: Database, file: string): void {
  const format = formatOf(db, file)
  if (format < FORMAT) migrate(db, format)
  else checkTables(sqlite, db, file)
}

/**
 * Looks at whose file it is.
 *
 * @returns its format; 0 if the file is empty
 * @throws `BANYAN_COORDINATOR_FORMAT`
 */
export function formatOf(db: Database, file: string): number {
  const application = db.pragma('application_id', { simple: true }) as number
  const format = db.pragma('user_version', { simple: true }) as number
  if (application === 0 && format === 0) {
    const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number
    if (tables === 0) return 0
  }
  if (application !== APPLICATION_ID)
    throw coordinationError(
      'BANYAN_COORDINATOR_FORMAT',
      `${file} is a SQLite database, but not of a coordinator; nothing was changed. Name another path`,
    )
  if (format > FORMAT)
    throw coordinationError(
      'BANYAN_COORDINATOR_FORMAT',
      `${file} has format ${format}, and this version of banyan knows formats up to ${FORMAT}: ` +
        'a newer one has written to it. Use that version; nothing was changed',
    )
  return format
}

function migrate(db: Database, from: number): void {
  for (const step of MIGRATIONS.slice(from)) step(db)
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma(`user_version = ${FORMAT}`)
}

function checkTables(sqlite: Sqlite, db: Database, file: string): void {
  const fresh = new sqlite(':memory:')
  try {
    migrate(fresh, 0)
    const [found, wanted] = [db, fresh].map((one) =>
      one.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all(),
    )
    if (isDeepStrictEqual(found, wanted)) return
  } finally {
    fresh.close()
  }
  throw coordinationError(
    'BANYAN_COORDINATOR_CORRUPT',
    `${file}: its tables are not those of a coordinator; the file is damaged, or another program has changed it`,
  )
}
