import type { Database, Statement } from 'better-sqlite3'
import {
  MovedError,
  type CheckpointRow,
  type ParkedQuery,
  type ParkedRow,
  type StoreTransaction,
  type View,
} from '../../../events/projections/store.js'
import { TransactionTables, type Connection, type SqliteTables } from './tables.js'

type Statements = ReturnType<typeof statementsOf>

const STATEMENTS = new WeakMap<Connection, Statements>()

/** What a transaction of the store can do on a connection where one is open. */
export class SqliteTransaction implements StoreTransaction<SqliteTables> {
  readonly db: TransactionTables
  readonly #connection: Connection
  readonly #sql: Statements

  constructor(connection: Connection) {
    this.#connection = connection
    this.db = new TransactionTables(connection)
    let statements = STATEMENTS.get(connection)
    if (!statements) STATEMENTS.set(connection, (statements = statementsOf(connection.database)))
    this.#sql = statements
  }

  end(): void {
    this.db.end()
  }

  rows(name?: string): CheckpointRow[] {
    return (name === undefined ? this.#sql.all.all() : this.#sql.named.all(name)).map(rowOf)
  }

  parked(name: string, version: number, { after = '', key, limit }: ParkedQuery): ParkedRow[] {
    return this.#sql.parked.all(name, version, after, key ?? null, Math.min(limit, Number.MAX_SAFE_INTEGER))
  }

  describe(tables: readonly string[]): (string | undefined)[] {
    return tables.map((table) => {
      const columns = this.#sql.columns.all(table)
      if (columns.length === 0) return undefined
      return columns
        .map(
          ({ name, type, notnull, pk }) =>
            `${name} ${type}${notnull ? ' NOT NULL' : ''}${pk ? ` KEY ${pk}` : ''}`,
        )
        .join(', ')
    })
  }

  /** The whole file is locked for who writes. */
  lock(name: string, version: number): CheckpointRow | undefined {
    const row = this.#sql.one.get(name, version)
    return row && rowOf(row)
  }

  put(row: CheckpointRow, previous: number | undefined): void {
    const { name, version, revision, position, active, state, owner, updated, details, checksum } = row
    const values = [
      revision,
      position,
      active ? 1 : 0,
      state,
      owner,
      updated,
      details,
      checksum,
      name,
      version,
    ]
    const { changes } =
      previous === undefined ? this.#sql.insert.run(...values) : this.#sql.update.run(...values, previous)
    if (changes !== 1) throw new MovedError()
  }

  remove(name: string, version: number, previous: number): void {
    if (this.#sql.delete.run(name, version, previous).changes !== 1) throw new MovedError()
    this.#sql.unparkAll.run(name, version)
  }

  park({ name, version, position, key, stream, type, attempts, reason, time }: ParkedRow): void {
    this.#sql.park.run(name, version, position, key, stream, type, attempts, reason, time)
  }

  unpark(name: string, version: number, position: string): void {
    this.#sql.unpark.run(name, version, position)
  }

  tables(prefix: string): string[] {
    return this.#sql.tables.all(prefix, prefix).map(({ name }) => name)
  }

  publish(views: readonly View[], retired: readonly string[]): void {
    const { database } = this.#connection
    for (const name of [...retired, ...views.map((view) => view.name)])
      database.exec(`DROP VIEW IF EXISTS "${name}"`)
    for (const { name, table } of views) database.exec(`CREATE VIEW "${name}" AS SELECT * FROM "${table}"`)
  }

  drop(tables: readonly string[]): void {
    for (const table of tables) this.#connection.database.exec(`DROP TABLE IF EXISTS "${table}"`)
  }
}

function rowOf(row: ProjectionRow): CheckpointRow {
  return { ...row, active: row.active === 1 }
}

/** The statements of one connection. */
function statementsOf(database: Database) {
  const prepare = <Parameters extends unknown[], Row>(sql: string): Statement<Parameters, Row> =>
    database.prepare(sql)
  return {
    all: prepare<[], ProjectionRow>('SELECT * FROM banyan_projection ORDER BY name, version'),
    named: prepare<[string], ProjectionRow>(
      'SELECT * FROM banyan_projection WHERE name = ? ORDER BY version',
    ),
    one: prepare<[string, number], ProjectionRow>(
      'SELECT * FROM banyan_projection WHERE name = ? AND version = ?',
    ),
    insert: prepare<unknown[], never>(
      `INSERT INTO banyan_projection (revision, position, active, state, owner, updated, details, checksum, name, version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    update: prepare<unknown[], never>(
      `UPDATE OR IGNORE banyan_projection
       SET revision = ?, position = ?, active = ?, state = ?, owner = ?, updated = ?, details = ?, checksum = ?
       WHERE name = ? AND version = ? AND revision = ?`,
    ),
    delete: prepare<[string, number, number], never>(
      'DELETE FROM banyan_projection WHERE name = ? AND version = ? AND revision = ?',
    ),
    parked: prepare<[string, number, string, string | null, number], ParkedRow>(
      `SELECT * FROM banyan_parked WHERE name = ? AND version = ? AND position > ? AND key = coalesce(?, key)
       ORDER BY position LIMIT ?`,
    ),
    park: prepare<unknown[], never>(
      `INSERT OR REPLACE INTO banyan_parked (name, version, position, key, stream, type, attempts, reason, time)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    unpark: prepare<[string, number, string], never>(
      'DELETE FROM banyan_parked WHERE name = ? AND version = ? AND position = ?',
    ),
    unparkAll: prepare<[string, number], never>('DELETE FROM banyan_parked WHERE name = ? AND version = ?'),
    tables: prepare<[string, string], { name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?)) = ?",
    ),
    columns: prepare<[string], { name: string; type: string; notnull: number; pk: number }>(
      'SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY cid',
    ),
  }
}

type ProjectionRow = Omit<CheckpointRow, 'active'> & { readonly active: number }
