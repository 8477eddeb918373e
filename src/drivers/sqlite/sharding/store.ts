import type { Database, Statement } from 'better-sqlite3'
import { coordinationError } from '../../../coordination/errors.js'
import {
  mustBeOf,
  rangesOf,
  saidByTrigger,
  shardBusy,
  changedSince,
  shardMoved,
  shardStray,
  unmarked,
  type BucketEpoch,
  type BucketRange,
  type Column,
  type OwnedBuckets,
  type Prepared,
  type QueryOptions,
  type Row,
  type ShardCursor,
  type ShardIdentity,
  type ShardMoves,
  type ShardRows,
  type ShardSpec,
  type ShardStore,
  type TableShape,
  type WithinOptions,
} from '../../../coordination/sharding/data/store.js'
import type { Clock } from '../../../core/clock.js'
import { isPromise, type Maybe } from '../../../core/maybe.js'
import { ApplicationDatabase } from '../application-database.js'
import { isSqliteError } from '../faults.js'
import { OwnTransactions } from '../own-transactions.js'
import type { SqliteHandle } from '../read-models/store.js'
import {
  TransactionTables,
  type Connection,
  type SqliteTables,
  type SqliteValue,
} from '../read-models/tables.js'
import { BUCKET, catalogOf, quoted, type Catalog } from './catalog.js'
import { countIn, forget, identityIn, takeCount } from './identity.js'
import { KIND } from './kind.js'
import { SqliteMoves } from './moves.js'
import { fillBuckets, hasStaged, isStagedAs, prepareTables } from './prepare.js'
import { Readers } from './readers.js'
import { hasRows } from './tables.js'

/** What is not of a statement, but of the file. */
const OF_FILE = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|PERM|NOMEM|PROTOCOL|CORRUPT|NOTADB)/

/**
 * Opens a SQLite file as a shard.
 *
 * @param where - a file that is there, or a database that is open, whose file is opened again
 */
export async function openSqliteShard(
  where: string | SqliteHandle,
  spec: ShardSpec,
  context: { clock: Clock; migrate: boolean },
): Promise<ShardStore<SqliteTables>> {
  return new SqliteShard(await ApplicationDatabase.open(where, KIND, { ...context, create: false }), spec)
}

class SqliteShard implements ShardStore<SqliteTables> {
  readonly id: string
  readonly engine = 'sqlite'
  readonly moves: ShardMoves
  readonly #spec: ShardSpec
  readonly #file: ApplicationDatabase
  readonly #transactions: OwnTransactions
  readonly #readers: Readers
  readonly #catalogs = new WeakMap<Database, { readonly version: number; readonly catalog: Catalog }>()
  #owned: OwnedBuckets | undefined

  constructor(file: ApplicationDatabase, spec: ShardSpec) {
    this.id = spec.id
    this.#spec = spec
    this.#file = file
    this.#transactions = new OwnTransactions(file)
    // Without it a row that REPLACE takes away for another one would go unseen by the triggers.
    file.database.pragma('recursive_triggers = ON')
    this.#readers = new Readers(file.clock, () => {
      const database = file.again()
      database.pragma('query_only = ON')
      return database
    })
    this.moves = new SqliteMoves(spec, {
      write: (work, wait) => this.#write((_, database) => work(database), wait),
      read: (work) => this.#read(({ database }) => work(database)),
      catalog: (database) => this.#catalog(database),
    })
  }

  async prepare(earlier: readonly string[] = []): Promise<Prepared> {
    const changed = await this.#write((_, database) => {
      const identity = forget(database, earlier)
      mustBeOf(this.#spec, this.#file.file, identity)
      const made = prepareTables(database, this.#spec)
      if (!identity) takeCount(database, this.#spec)
      return made
    })
    let filled = 0
    for (const name of Object.keys(this.#spec.tables))
      for (let some = -1; some !== 0; filled += some)
        some = await this.#write((_, database) => {
          database.exec('UPDATE banyan_shard_now SET moving = 1')
          const count = fillBuckets(database, this.#spec, catalogOf(database, this.#spec).get(name)!)
          database.exec('UPDATE banyan_shard_now SET moving = 0')
          return count
        })
    return { changed: changed || filled > 0, filled }
  }

  found(owner: string, buckets: readonly BucketRange[], earlier: readonly string[] = []): Promise<void> {
    return this.#write((_, database) => {
      const identity = forget(database, earlier)
      if (identity) {
        mustBeOf(this.#spec, this.#file.file, identity, owner)
        return
      }
      const isCounted = countIn(database) === this.#spec.buckets
      for (const table of catalogOf(database, this.#spec).keys()) {
        if (!isCounted && hasRows(database, table)) throw unmarked(this.#spec)
        this.#mustBeAmong(database, table, buckets)
      }
      const { name, id, buckets: count } = this.#spec
      database
        .prepare('UPDATE banyan_shard SET name = ?, owner = ?, shard = ?, buckets = ?, version = version + 1')
        .run(name, owner, id, count)
      const own = database.prepare("INSERT INTO banyan_shard_buckets VALUES (?, 1, 'owned', NULL)")
      for (const [from, to] of buckets) for (let bucket = from; bucket < to; bucket++) own.run(bucket)
    })
  }

  identity(): Promise<ShardIdentity | undefined> {
    return this.#read(({ database }) => identityIn(database))
  }

  async within<Result>(
    bucket: number,
    mode: 'read' | 'write',
    work: (db: SqliteTables) => Maybe<Result>,
    { key, epoch, signal }: WithinOptions = {},
  ): Promise<Result> {
    signal?.throwIfAborted()
    if (mode === 'read')
      return this.#read((connection) => {
        this.#mustOwn(connection.database, bucket, epoch)
        return inTables(connection, work)
      })
    return this.#write((db, database) => {
      signal?.throwIfAborted()
      this.#mustOwn(database, bucket, epoch)
      const now = database.prepare('UPDATE banyan_shard_now SET bucket = ?, key = ?')
      now.run(bucket, key ?? null)
      const done = (result: Result): Result => {
        now.run(null, null)
        return result
      }
      const result = work(db)
      return isPromise(result) ? result.then(done) : done(result)
    })
  }

  transact<Result>(work: (db: SqliteTables) => Maybe<Result>): Promise<Result> {
    return this.#write((db) => work(db))
  }

  async query(
    sql: string,
    parameters: readonly unknown[],
    { signal }: QueryOptions = {},
  ): Promise<ShardRows> {
    signal?.throwIfAborted()
    return this.#read((connection) => {
      const statement = connection.prepared(sql)
      const owned = this.#ownedIn(connection.database)
      const rows = statement.all(...(parameters as SqliteValue[])) as Row[]
      return { columns: columnsOfAnswer(statement), rows, owned }
    })
  }

  async cursor(
    sql: string,
    parameters: readonly unknown[],
    { signal }: QueryOptions = {},
  ): Promise<ShardCursor> {
    signal?.throwIfAborted()
    const connection = await this.#takeReader()
    let rows: IterableIterator<Row> | undefined
    const end = (): void => {
      signal?.removeEventListener('abort', end)
      if (!rows) return
      rows.return?.()
      rows = undefined
      this.#readers.giveBack(connection)
    }
    try {
      const owned = this.#ownedIn(connection.database)
      // Not the statement that is kept: another cursor of this connection may come to it.
      const statement = connection.database.prepare(sql)
      rows = statement.iterate(...parameters) as IterableIterator<Row>
      signal?.addEventListener('abort', end)
      return {
        columns: columnsOfAnswer(statement),
        owned,
        read: async (limit) => this.#some(rows, limit, signal),
        close: () => {
          end()
          return Promise.resolve()
        },
      }
    } catch (error) {
      this.#readers.giveBack(connection)
      throw this.#errorOf(error)
    }
  }

  owned(): Promise<OwnedBuckets> {
    return this.#read(({ database }) => this.#ownedIn(database))
  }

  shapes(): Promise<Readonly<Record<string, TableShape>>> {
    return this.#read(({ database }) =>
      Object.fromEntries(
        Array.from(this.#catalog(database), ([name, { columns, primaryKey }]) => [
          name,
          { columns, primaryKey },
        ]),
      ),
    )
  }

  async close(): Promise<void> {
    this.#readers.close()
    await this.#transactions.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #some(
    rows: IterableIterator<Row> | undefined,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    signal?.throwIfAborted()
    if (!rows) throw coordinationError('BANYAN_SHARD_CLOSED', 'the cursor is closed')
    const some: Row[] = []
    try {
      while (some.length < limit) {
        const next = rows.next()
        if (next.done) break
        some.push(next.value)
      }
    } catch (error) {
      throw this.#errorOf(error)
    }
    return Promise.resolve(some)
  }

  async #read<Result>(work: (connection: Connection) => Maybe<Result>): Promise<Result> {
    const connection = await this.#takeReader()
    try {
      const result = work(connection)
      return isPromise(result) ? await result : result
    } catch (error) {
      // Only this connection does not write: the file is as it should be.
      if (isSqliteError(error) && error.code === 'SQLITE_READONLY')
        throw new Error(`a query only reads: ${error.message}`, { cause: error })
      throw this.#errorOf(error)
    } finally {
      this.#readers.giveBack(connection)
    }
  }

  async #takeReader(): Promise<Connection> {
    if (!this.#file.database.open)
      throw coordinationError('BANYAN_SHARD_CLOSED', `the shard ${this.id} is closed`)
    try {
      return await this.#readers.take()
    } catch (error) {
      throw this.#errorOf(error)
    }
  }

  /** @param wait - how long to wait for those who write, in ms; default as long as those of this process take, and others for 5 s */
  async #write<Result>(
    work: (db: SqliteTables, database: Database) => Maybe<Result>,
    wait?: number,
  ): Promise<Result> {
    // Errors of a statement are for who made it; others are of the file.
    let failed: { readonly error: unknown } | undefined
    const noted = (error: unknown): never => {
      failed = { error }
      throw error
    }
    try {
      return await this.#transactions.run(
        (db, database) => {
          try {
            const result = work(db, database)
            return isPromise(result) ? result.catch(noted) : result
          } catch (error) {
            return noted(error)
          }
        },
        wait === undefined
          ? undefined
          : {
              wait,
              late: (cause) => shardBusy(this.id, `those who write have not ended within ${wait} ms`, cause),
            },
      )
    } catch (error) {
      throw this.#errorOf(failed ? failed.error : error)
    }
  }

  #errorOf(error: unknown): unknown {
    if (!isSqliteError(error)) return error
    return saidByTrigger(this.id, error) ?? (OF_FILE.test(error.code) ? this.#file.errorOf(error) : error)
  }

  #mustBeAmong(database: Database, table: string, buckets: readonly BucketRange[]): void {
    const outside = buckets
      .map(([from, to]) => `NOT (${BUCKET} >= ${from} AND ${BUCKET} < ${to})`)
      .join(' AND ')
    const stray = database
      .prepare(
        `SELECT ${BUCKET} FROM ${quoted(table)} WHERE ${BUCKET} IS NULL OR (${outside || 'TRUE'}) LIMIT 1`,
      )
      .pluck()
      .get() as number | null | undefined
    if (stray === undefined) return
    throw shardStray(this.id, table, stray)
  }

  #mustOwn(database: Database, bucket: number, epoch: number | undefined): void {
    const found = database
      .prepare<[number], { epoch: number; state: string }>(
        'SELECT epoch, state FROM banyan_shard_buckets WHERE bucket = ?',
      )
      .get(bucket)
    if (!found || (epoch !== undefined && found.epoch !== epoch)) throw shardMoved(this.id, bucket, epoch)
    if (found.state !== 'owned') throw shardBusy(this.id, `bucket ${bucket} is being switched`)
  }

  #ownedIn(database: Database): OwnedBuckets {
    const version = database.prepare('SELECT version FROM banyan_shard').pluck().get() as number
    if (this.#owned?.version === version) return this.#owned
    const found = database
      .prepare('SELECT bucket, epoch FROM banyan_shard_buckets ORDER BY bucket')
      .raw()
      .all()
    const blocked = database
      .prepare("SELECT bucket FROM banyan_shard_buckets WHERE state = 'blocked' ORDER BY bucket")
      .pluck()
      .all() as number[]
    this.#owned = { version, ranges: rangesOf(found as BucketEpoch[]), blocked }
    return this.#owned
  }

  /** The tables, as they can move. */
  #catalog(database: Database): Catalog {
    const version = database.pragma('schema_version', { simple: true }) as number
    const known = this.#catalogs.get(database)
    if (known?.version === version) return known.catalog
    const catalog = catalogOf(database, this.#spec)
    for (const table of catalog.values())
      if (!isStagedAs(database, table))
        throw changedSince(this.id, table.name, hasStaged(database, table.name))
    this.#catalogs.set(database, { version, catalog })
    return catalog
  }
}

/** Values of SQLite say themselves what they are. */
function columnsOfAnswer(statement: Statement): Column[] {
  return statement.columns().map(({ name }) => ({ name, kind: 'any' }))
}

async function inTables<Result>(
  connection: Connection,
  work: (db: SqliteTables) => Maybe<Result>,
): Promise<Result> {
  const tables = new TransactionTables(connection)
  try {
    return await work(tables)
  } finally {
    tables.end()
  }
}
