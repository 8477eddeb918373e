import { BanyanError } from '../../core/errors.js'
import { andThen, type Maybe } from '../../core/maybe.js'

/** What is needed of the application's database: those of better-sqlite3, `node:sqlite` and `bun:sqlite` have it. */
interface Database {
  prepare(sql: string): { run(...values: unknown[]): unknown; all(...values: unknown[]): unknown }
  /** Of better-sqlite3 and `bun:sqlite`. */
  readonly inTransaction?: boolean
  /** Of newer versions of `node:sqlite`. */
  readonly isTransaction?: boolean
}

/** Runs a statement in a transaction, and gives its rows. */
export type Run = (sql: string, values: readonly unknown[]) => Maybe<Record<string, unknown>[]>

/** Statements of a connection are prepared once. */
const STATEMENTS = new WeakMap<Database, Map<string, ReturnType<Database['prepare']>>>()

/** Whether statements answer at once. */
export function isDatabase(given: unknown): given is Database {
  return typeof (given as Partial<Database> | null | undefined)?.prepare === 'function'
}

/**
 * How to run statements in a transaction of an application.
 *
 * @param given - a database with a transaction open, or a function `(sql, parameters) => result`
 * @param method - which takes it, for messages
 * @throws `BANYAN_INVALID_OPTIONS` for what is no transaction
 */
export function runIn(given: unknown, method: string): Run {
  if (typeof given === 'function') {
    const run = given as (sql: string, values: unknown[]) => Maybe<unknown>
    return (sql, values) => andThen(run(sql, [...values]), rowsOf)
  }
  if (!isDatabase(given))
    throw refused(
      `${method} needs a database with a transaction open: one of better-sqlite3 or node:sqlite, or a function (sql, parameters) => result`,
    )
  if (given.inTransaction === false || given.isTransaction === false)
    throw refused(
      `${method} was given a database that has no transaction open: begin one, as what it writes belongs together with what you write`,
    )
  return (sql, values) => {
    const statements = STATEMENTS.get(given) ?? new Map<string, ReturnType<Database['prepare']>>()
    STATEMENTS.set(given, statements)
    let statement = statements.get(sql)
    if (!statement) statements.set(sql, (statement = given.prepare(sql)))
    if (/^SELECT|RETURNING/.test(sql)) return rowsOf(statement.all(...values))
    statement.run(...values)
    return []
  }
}

/** Clients answer with their rows, or with an object that has them. */
function rowsOf(result: unknown): Record<string, unknown>[] {
  if (Array.isArray(result)) return result as Record<string, unknown>[]
  const { rows } = (result ?? {}) as { rows?: unknown }
  return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : []
}

function refused(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
