import type { Database } from 'better-sqlite3'
import { isDeepStrictEqual } from 'node:util'
import { eventError } from '../../events/errors.js'
import { logRow, sealRow } from './rows.js'
import { newReplicaState, writeReplica } from './replica-table.js'
import { REPLICA_SCHEMA, SCHEMA } from './schema.js'

/** "Bnyn": what tells a log from any other SQLite file (`PRAGMA application_id`). */
const APPLICATION_ID = 0x426e796e

/**
 * Steps from each format to the next; the first makes format 1 of an empty file. A step that has been released is never
 * changed. `PRAGMA user_version` says how many were made.
 */
const MIGRATIONS: readonly ((db: Database) => void)[] = [
  (db) => {
    db.exec(SCHEMA)
    const empty = { head: 0, recorded: 0, indexed: 0, events: 0, commits: 0, truncated: 0, missed: 0 }
    db.prepare(
      `INSERT INTO log (one, head, recorded, indexed, events, commits, truncated, missed, checksum)
       VALUES (1, @head, @recorded, @indexed, @events, @commits, @truncated, @missed, @checksum)`,
    ).run(sealRow(logRow, empty))
  },
  (db) => {
    db.exec(REPLICA_SCHEMA)
    writeReplica(db, newReplicaState())
    // Streams of patterns are truncated by themselves only, and forget.
    db.exec(`INSERT INTO truncations
      SELECT id, row_number() OVER (ORDER BY id), substr(name, 1, 1) = '$' FROM streams WHERE first > 0`)
  },
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
  for (const step of MIGRATIONS.slice(from)) step(db)
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma(`user_version = ${FORMAT}`)
}

/**
 * Compares the tables of a file with what they are in the present format.
 *
 * @param fresh - an empty database, which is given them
 * @throws `BANYAN_LOG_CORRUPT`
 */
export function checkTables(db: Database, fresh: Database, file: string): void {
  migrate(fresh, 0)
  const [found, wanted] = [db, fresh].map((one) =>
    one.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all(),
  )
  if (isDeepStrictEqual(found, wanted)) return
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `${file}: its tables are not those of a log; the file is damaged, or another program has changed it. Restore a backup`,
  )
}
