import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type SQLite from 'better-sqlite3'
import { systemClock } from '../../core/clock.js'
import { eventError } from '../../events/errors.js'
import { flushFully, makeDirectory, syncDirectory } from './disk.js'
import { isBusy } from './faults.js'
import { checkTables, FORMAT, formatOf, migrate } from './format.js'
import { checkWitness, witnessedHead } from './head-file.js'
import { LogTable } from './log-table.js'
import { checkWal } from './wal.js'

/** The constructor of better-sqlite3, which is loaded only when a log is opened. */
export type Sqlite = typeof SQLite

/** Pages that a connection keeps in memory, in KiB. */
const CACHE_KIB = 65_536
/** What is left of the write-ahead log when a long reader had made it grow, in bytes. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024

/** Name of the file in a directory. */
const FILE = 'events.db'

/** The file that a path means. */
export function fileOf(path: string): string {
  return path.endsWith('.db') ? path : join(path, FILE)
}

/**
 * Opens a log to write to it; makes it, or brings it to the present format, if it must.
 *
 * @throws errors of SQLite, also if the file is locked, and those of `formatOf`
 */
export function connectWriter(sqlite: Sqlite, file: string): SQLite.Database {
  const fresh = !existsSync(file)
  const witnessed = witnessedHead(file)
  if (fresh) {
    checkWitness(file, 0, witnessed)
    makeDirectory(dirname(file))
  } else checkWal(file)
  const db = new sqlite(file, { timeout: 0 })
  try {
    // All of one moment: another process may be making it.
    let format = db.transaction(() => formatOf(db, file))()
    if (format === 0) db.pragma('auto_vacuum = INCREMENTAL')
    db.pragma('journal_mode = WAL')
    // With NORMAL, the default of better-sqlite3 for this mode, the loss of power loses what was acknowledged.
    db.pragma('synchronous = FULL')
    flushFully(db)
    db.pragma(`cache_size = -${CACHE_KIB}`)
    db.pragma(`journal_size_limit = ${WAL_LIMIT_BYTES}`)
    // References are for the reader of the schema, and for `verify`; looking at each would cost more than it tells.
    db.pragma('foreign_keys = OFF')
    db.pragma('cell_size_check = ON')
    // The writer does it between groups.
    db.pragma('wal_autocheckpoint = 0')
    if (format < FORMAT) {
      db.exec('BEGIN IMMEDIATE')
      // Another process may have been faster.
      format = formatOf(db, file)
      if (format < FORMAT) migrate(db, format)
      db.exec('COMMIT')
    }
    checkSchema(sqlite, db, file)
    checkWitness(file, new LogTable(db, file).read().head, witnessed)
    if (fresh) syncDirectory(dirname(file))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Opens a log that {@link connectWriter} has opened before, to read. Never waits for a lock: it is for the thread of the
 * event loop.
 */
export function connectReader(sqlite: Sqlite, file: string): SQLite.Database {
  const db = new sqlite(file, { readonly: true, fileMustExist: true, timeout: 0 })
  try {
    db.pragma(`cache_size = -${CACHE_KIB}`)
    db.pragma('cell_size_check = ON')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function checkSchema(sqlite: Sqlite, db: SQLite.Database, file: string): void {
  const fresh = new sqlite(':memory:')
  try {
    checkTables(db, fresh, file)
  } finally {
    fresh.close()
  }
}

/**
 * Loads better-sqlite3.
 *
 * @throws `BANYAN_LOG_UNAVAILABLE` if it is there and does not work
 */
export async function loadSqlite(): Promise<Sqlite> {
  const { default: sqlite } = await import('better-sqlite3')
  try {
    new sqlite(':memory:').close()
  } catch (error) {
    throw eventError(
      'BANYAN_LOG_UNAVAILABLE',
      `better-sqlite3 does not load: ${String(error)}. It may have been built for another version of Node: npm rebuild better-sqlite3`,
      error,
    )
  }
  return sqlite
}

/** Runs what may find the file locked until it does not, or for so many ms. */
export function patiently<T>(run: () => T, wait: number): T {
  const until = systemClock.now() + wait
  for (let attempt = 0; ; attempt++) {
    try {
      return run()
    } catch (error) {
      if (!isBusy(error) || systemClock.now() >= until) throw error
      // Between 0.2 and 2 ms: a busy writer leaves gaps that long waits would miss.
      pause(0.2 + (attempt % 10) * 0.2)
    }
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps this thread, which must not be that of an event loop anyone waits for. */
function pause(ms: number): void {
  Atomics.wait(NEVER, 0, 0, ms)
}
