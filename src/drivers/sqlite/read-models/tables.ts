import type { Database, Statement } from 'better-sqlite3'

/** What SQLite keeps. Numbers come back as numbers, bytes as `Buffer`. */
export type SqliteValue = number | bigint | string | Uint8Array | null

/**
 * SQL on the tables of a read model, in a transaction of the projection or in the moment of a query. Every call answers at
 * once; statements are prepared once and kept, by their text.
 */
export interface SqliteTables {
  /** Runs a statement. */
  run(sql: string, ...values: SqliteValue[]): { changes: number }
  /** The first row. */
  get<Row = Record<string, unknown>>(sql: string, ...values: SqliteValue[]): Row | undefined
  all<Row = Record<string, unknown>>(sql: string, ...values: SqliteValue[]): Row[]
  /** Runs several statements without values, as `setup` does. */
  exec(sql: string): void
}

/** Statements that are kept, at most. */
const MOST_STATEMENTS = 1000
/** What would end the transaction, or reach out of it. */
const TRANSACTIONS = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM)\b/i

/** A connection with its prepared statements. */
export class Connection {
  readonly database: Database
  readonly #statements = new Map<string, Statement>()

  constructor(database: Database) {
    this.database = database
  }

  prepared(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known) return known
    mustStayInside(sql)
    if (this.#statements.size >= MOST_STATEMENTS) this.#statements.clear()
    const statement = this.database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** The tables as long as a transaction lasts. */
export class TransactionTables implements SqliteTables {
  #connection: Connection | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  run(sql: string, ...values: SqliteValue[]): { changes: number } {
    return this.#open.prepared(sql).run(...values)
  }

  get<Row>(sql: string, ...values: SqliteValue[]): Row | undefined {
    return this.#open.prepared(sql).get(...values) as Row | undefined
  }

  all<Row>(sql: string, ...values: SqliteValue[]): Row[] {
    return this.#open.prepared(sql).all(...values) as Row[]
  }

  exec(sql: string): void {
    mustStayInside(sql)
    this.#open.database.exec(sql)
  }

  end(): void {
    this.#connection = undefined
  }

  get #open(): Connection {
    if (this.#connection) return this.#connection
    throw new Error('the transaction has ended: db is of no use after its handler')
  }
}

function mustStayInside(sql: string): void {
  if (TRANSACTIONS.test(sql))
    throw new Error(`a handler works inside the transaction of its projection and must not say ${sql.trim()}`)
}
