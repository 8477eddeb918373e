import type { Duration } from '../../core/duration.js'

/** An event log in one SQLite file; several processes of one machine may share it. */
export interface SqliteLogSpec {
  driver: 'sqlite'
  /** A directory, where the file is `events.db`, or a file whose name ends in `.db`. Made if it is not there. */
  path: string
  /** How long to wait for another process that keeps the file locked; default `'10s'`. */
  lockWait?: Duration
}
