import type { OptionTable } from '../../../core/options.js'

/** Keys in one SQLite file, for processes of one machine. */
export interface SqliteCoordinatorSpec {
  driver: 'sqlite'
  /** A directory, where the file is `coordination.db`, or a file whose name ends in `.db`. Made if it is not there. */
  path: string
}

/** The shortest and the longest lease, in ms. */
export const SQLITE_LEASES = { minTtl: 100, maxTtl: 24 * 3600 * 1000 } as const

/** What a {@link SqliteCoordinatorSpec} may say. */
export const SQLITE_COORDINATOR_OPTIONS: OptionTable<SqliteCoordinatorSpec> = {
  driver: { kind: 'choice', values: ['sqlite'], doc: 'this driver' },
  path: { kind: 'string', doc: 'a directory, or a file whose name ends in .db; made if it is not there' },
}
