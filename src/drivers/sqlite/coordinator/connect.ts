import type { Database } from 'better-sqlite3'
import { dirname } from 'node:path'
import { coordinationError } from '../../../coordination/errors.js'
import type { Sqlite } from '../connect.js'
import { flushFully, makeDirectory, syncDirectory } from '../disk.js'
import { readHeads } from './head-file.js'
import { checkLocal } from './place.js'
import { takeOver } from './revisions.js'
import { formatOf, prepareTables } from './schema.js'

/** Pages that a connection keeps in memory, in KiB. */
const CACHE_KIB = 16_384
/** What is left of the write-ahead log when a long reader had made it grow, in bytes. */
const WAL_LIMIT_BYTES = 16 * 1024 * 1024

/** How a file is told from others, and a start of the machine from others. */
export interface Identities {
  readonly boot: string
  readonly identityOf: (file: string) => string
}

/** A file that is open, for one epoch. */
export interface Connection {
  readonly db: Database
  readonly epoch: number
}

/**
 * Opens a file; makes it, brings it to the present format, or takes it over for this start of the machine, if it must.
 *
 * @throws errors of SQLite, also if the file is locked, and those of `prepareTables`, `checkLocal` and `takeOver`
 */
export function connect(sqlite: Sqlite, file: string, { boot, identityOf }: Identities): Connection {
  makeDirectory(dirname(file))
  checkLocal(file)
  // Before the file: it is never ahead of it.
  const witness = readHeads(file)
  const db = new sqlite(file, { timeout: 0 })
  try {
    // All of one moment: another process may be making it. Nothing is changed if it is none of ours.
    db.transaction(() => formatOf(db, file))()
    if (db.pragma('journal_mode = WAL', { simple: true }) !== 'wal')
      throw coordinationError(
        'BANYAN_COORDINATOR_UNAVAILABLE',
        `${file} is on a file system without shared memory, which processes need to use it together`,
      )
    // What is done here is on disk before others see it. From then on only some of it is: see `Durability`.
    db.pragma('synchronous = FULL')
    flushFully(db)
    db.pragma(`cache_size = -${CACHE_KIB}`)
    db.pragma(`journal_size_limit = ${WAL_LIMIT_BYTES}`)
    db.pragma('cell_size_check = ON')
    // A thread does it.
    db.pragma('wal_autocheckpoint = 0')
    db.exec('BEGIN IMMEDIATE')
    prepareTables(sqlite, db, file)
    const epoch = takeOver(db, file, { boot, file: identityOf(file), witness })
    db.exec('COMMIT')
    db.pragma('synchronous = NORMAL')
    // The names of the file and of its write-ahead log, which may be new.
    syncDirectory(dirname(file))
    return { db, epoch }
  } catch (error) {
    db.close()
    throw error
  }
}
