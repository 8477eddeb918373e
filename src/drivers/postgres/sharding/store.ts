import { coordinationError } from '../../../coordination/errors.js'
import {
  mustBeOf,
  rangesOf,
  saidByTrigger,
  shardBusy,
  shardMoved,
  shardStray,
  unmarked,
  type BucketEpoch,
  type BucketRange,
  type OwnedBuckets,
  type Prepared,
  type QueryOptions,
  type ShardCursor,
  type ShardIdentity,
  type ShardMoves,
  type ShardRows,
  type ShardSpec,
  type ShardStore,
  type TableShape,
  type WithinOptions,
} from '../../../coordination/sharding/data/store.js'
import type { Maybe } from '../../../core/maybe.js'
import { ApplicationDatabase } from '../application-database.js'
import { isOfConnection, sqlState } from '../faults.js'
import type { PostgresClient, PostgresPool, PostgresResult, PostgresTables } from '../read-models/client.js'
import { BUCKET, catalogOf } from './catalog.js'
import { columnsOf } from './columns.js'
import { countIn, forget, identityIn, takeCount } from './identity.js'
import { KIND } from './kind.js'
import { withLiterals } from './literals.js'
import { PostgresMoves } from './moves.js'
import { fillBuckets, prepareTables } from './prepare.js'
import { hasRows } from './tables.js'

/** What would end the transaction. */
const TRANSACTIONS =
  /^\s*(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b/i
/** Others are in the way: a lock, a deadlock, rows that have changed. */
const CONTENDED = /^(55P03|40P01|40001)$/
/** What is not of a statement: the server shuts down or starts, has no space or no connection left. */
const OF_SERVER = /^(57P|08|53|58|XX000)/
/** A server that only reads, such as a standby; in a transaction of ours that only reads it is the statement. */
const READ_ONLY = '25006'
const ONE_MOMENT = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

/**
 * Opens a database of PostgreSQL as a shard.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresShard(
  where: string | PostgresPool,
  spec: ShardSpec,
  { migrate }: { migrate: boolean },
): Promise<ShardStore<PostgresTables>> {
  return new PostgresShard(await ApplicationDatabase.open(where, KIND, migrate), spec)
}

class PostgresShard implements ShardStore<PostgresTables> {
  readonly id: string
  readonly engine = 'postgres'
  readonly moves: ShardMoves
  readonly #spec: ShardSpec
  readonly #database: ApplicationDatabase
  #owned: OwnedBuckets | undefined

  constructor(database: ApplicationDatabase, spec: ShardSpec) {
    this.id = spec.id
    this.#spec = spec
    this.#database = database
    this.moves = new PostgresMoves(spec, {
      write: (work) => this.#transact('BEGIN', work),
      read: (work) => this.#transact(ONE_MOMENT, work),
    })
  }

  async prepare(earlier: readonly string[] = []): Promise<Prepared> {
    const changed = await this.#transact('BEGIN', async (client) => {
      const identity = await forget(client, earlier)
      mustBeOf(this.#spec, 'a database', identity)
      const made = await prepareTables(client, this.#spec)
      if (!identity) await takeCount(client, this.#spec)
      return made
    })
    let filled = 0
    for (const name of Object.keys(this.#spec.tables))
      for (let some = -1; some !== 0; filled += Math.max(0, some))
        some = await this.#transact('BEGIN', async (client) =>
          fillBuckets(client, this.#spec, await catalogOf(client, this.#spec), name),
        )
    return { changed: changed || filled > 0, filled }
  }

  found(owner: string, buckets: readonly BucketRange[], earlier: readonly string[] = []): Promise<void> {
    return this.#transact('BEGIN', async (client) => {
      const identity = await forget(client, earlier)
      if (identity) {
        mustBeOf(this.#spec, 'a database', identity, owner)
        return
      }
      const outside = buckets
        .map(([from, to]) => `NOT (${BUCKET} >= ${from} AND ${BUCKET} < ${to})`)
        .join(' AND ')
      const isCounted = (await countIn(client)) === this.#spec.buckets
      for (const { name, sql } of (await catalogOf(client, this.#spec)).values()) {
        if (!isCounted && (await hasRows(client, sql))) throw unmarked(this.#spec)
        const { rows } = await client.query(
          `SELECT ${BUCKET} AS bucket FROM ${sql} WHERE ${BUCKET} IS NULL OR (${outside || 'true'}) LIMIT 1`,
        )
        if (rows[0]) throw shardStray(this.id, name, rows[0]['bucket'])
      }
      const { name, id, buckets: count } = this.#spec
      await client.query(
        'UPDATE banyan_shard SET name = $1, owner = $2, shard = $3, buckets = $4, version = version + 1',
        [name, owner, id, count],
      )
      for (const [from, to] of buckets)
        await client.query(
          "INSERT INTO banyan_shard_buckets (bucket, epoch, state) SELECT bucket, 1, 'owned' FROM generate_series($1::integer, $2::integer) AS bucket",
          [from, to - 1],
        )
    })
  }

  identity(): Promise<ShardIdentity | undefined> {
    return this.#transact(ONE_MOMENT, identityIn)
  }

  async within<Result>(
    bucket: number,
    mode: 'read' | 'write',
    work: (db: PostgresTables) => Maybe<Result>,
    { key, epoch, signal }: WithinOptions = {},
  ): Promise<Result> {
    signal?.throwIfAborted()
    return this.#transact(mode === 'read' ? ONE_MOMENT : 'BEGIN', async (client) => {
      const { rows } =
        mode === 'read'
          ? await client.query('SELECT epoch, state FROM banyan_shard_buckets WHERE bucket = $1', [bucket])
          : await client.query(
              `SELECT epoch, state, set_config('banyan.bucket', $2, true), set_config('banyan.key', $3, true)
               FROM banyan_shard_buckets WHERE bucket = $1 FOR SHARE`,
              [bucket, String(bucket), key ?? ''],
            )
      const found = rows[0]
      if (!found || (epoch !== undefined && Number(found['epoch']) !== epoch))
        throw shardMoved(this.id, bucket, epoch)
      if (found['state'] !== 'owned') throw shardBusy(this.id, `bucket ${bucket} is being switched`)
      signal?.throwIfAborted()
      return inTables(client, work)
    })
  }

  transact<Result>(work: (db: PostgresTables) => Maybe<Result>): Promise<Result> {
    return this.#transact('BEGIN', (client) => inTables(client, work))
  }

  async query(
    sql: string,
    parameters: readonly unknown[],
    { signal }: QueryOptions = {},
  ): Promise<ShardRows> {
    signal?.throwIfAborted()
    return this.#transact(ONE_MOMENT, async (client) => {
      const { owned, process } = await this.#seenIn(client)
      const settle = this.#cancelling(process, signal)
      try {
        mustStayInside(sql)
        const result = await client.query(sql, [...parameters])
        return { columns: columnsOf(result), rows: result.rows, owned }
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      } finally {
        await settle()
      }
    })
  }

  async cursor(
    sql: string,
    parameters: readonly unknown[],
    { signal }: QueryOptions = {},
  ): Promise<ShardCursor> {
    signal?.throwIfAborted()
    const statement = withLiterals(sql, parameters)
    let end = (): void => undefined
    const ended = new Promise<void>((resolve) => (end = resolve))
    const opened = new Promise<{
      client: PostgresClient
      process: number
      cursor: Omit<ShardCursor, 'read' | 'close'>
    }>((resolve, reject) => {
      this.#transact(ONE_MOMENT, async (client) => {
        const { owned, process } = await this.#seenIn(client)
        mustStayInside(sql)
        await client.query(`DECLARE banyan_rows NO SCROLL CURSOR FOR ${statement}`)
        const columns = columnsOf(await client.query('FETCH 0 FROM banyan_rows'))
        resolve({ client, process, cursor: { columns, owned } })
        await ended
      }).catch(reject)
    })
    const { client, process, cursor } = await opened
    const closing = new AbortController()
    const close = (): Promise<void> => {
      signal?.removeEventListener('abort', abort)
      // What is being fetched for nobody is not waited for.
      closing.abort()
      end()
      return Promise.resolve()
    }
    const abort = (): void => void close()
    signal?.addEventListener('abort', abort)
    return {
      ...cursor,
      read: async (limit) => {
        signal?.throwIfAborted()
        if (closing.signal.aborted) throw coordinationError('BANYAN_SHARD_CLOSED', 'the cursor is closed')
        const settle = this.#cancelling(process, closing.signal)
        try {
          const { rows } = await client.query(`FETCH ${Math.trunc(limit)} FROM banyan_rows`)
          return rows
        } catch (error) {
          signal?.throwIfAborted()
          throw this.#errorOf(error)
        } finally {
          await settle()
        }
      },
      close,
    }
  }

  owned(): Promise<OwnedBuckets> {
    return this.#transact(ONE_MOMENT, async (client) => (await this.#seenIn(client)).owned)
  }

  async shapes(): Promise<Readonly<Record<string, TableShape>>> {
    const catalog = await this.#transact(ONE_MOMENT, (client) => catalogOf(client, this.#spec))
    return Object.fromEntries(
      Array.from(catalog, ([name, { columns, primaryKey }]) => [name, { columns, primaryKey }]),
    )
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Works in a transaction; a refusal does not cost its connection. */
  async #transact<Result>(begin: string, work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    type Outcome = { readonly result: Result } | { readonly error: unknown }
    let outcome: Outcome
    try {
      outcome = await this.#database.connected<Outcome>(async (client) => {
        await client.query(begin)
        try {
          const result = await work(client)
          const { command } = await client.query('COMMIT').catch((error: unknown) => {
            throw begin === ONE_MOMENT ? error : this.#unknown(error)
          })
          // The server answers so when a statement had failed and nobody looked.
          if (command === 'ROLLBACK')
            throw new Error('the transaction was rolled back: a statement in it had failed')
          return { result }
        } catch (error) {
          if (isOfConnection(error)) throw error
          try {
            await client.query('ROLLBACK')
          } catch {
            // The connection is lost: what came first says why.
            throw error
          }
          return { error }
        }
      })
    } catch (error) {
      throw this.#errorOf(error)
    }
    if (!('error' in outcome)) return outcome.result
    const { error } = outcome
    throw begin !== ONE_MOMENT && sqlState(error) === READ_ONLY
      ? this.#database.errorOf(error)
      : this.#errorOf(error)
  }

  /** The error of a commit; with a connection that was lost, nobody has heard how it ended. */
  #unknown(error: unknown): unknown {
    if (!isOfConnection(error) && !/^(57P|08)/.test(sqlState(error) ?? '')) return error
    return coordinationError(
      'BANYAN_SHARD_UNAVAILABLE',
      `the shard ${JSON.stringify(this.id)} in PostgreSQL was lost while a transaction was committed, which may have been done: ${(error as Error).message}`,
      error,
    )
  }

  #errorOf(error: unknown): unknown {
    const state = sqlState(error) ?? ''
    if (CONTENDED.test(state)) return shardBusy(this.id, (error as Error).message, error)
    const said = state === '' ? undefined : saidByTrigger(this.id, error)
    if (said) return said
    return isOfConnection(error) || OF_SERVER.test(state) ? this.#database.errorOf(error) : error
  }

  /**
   * Ends what a process of the server is at when a signal aborts.
   *
   * @returns what takes it back, and waits for what was sent: it must not reach whatever the process does next
   */
  #cancelling(process: number, signal: AbortSignal | undefined): () => Promise<void> {
    if (!signal) return () => Promise.resolve()
    let isOver = false
    let sent: Promise<unknown> | undefined
    const cancel = (): void => {
      this.#database
        .connected(async (other) => {
          if (!isOver) await (sent = other.query('SELECT pg_cancel_backend($1)', [process]))
        })
        .catch(() => undefined)
    }
    signal.addEventListener('abort', cancel, { once: true })
    return async () => {
      isOver = true
      signal.removeEventListener('abort', cancel)
      await sent?.catch(() => undefined)
    }
  }

  /** What it owns, and the process of the server: behind a pooler the connection does not know which one that is. */
  async #seenIn(client: PostgresClient): Promise<{ owned: OwnedBuckets; process: number }> {
    const { rows } = await client.query('SELECT version, pg_backend_pid() AS process FROM banyan_shard')
    const process = rows[0]!['process'] as number
    return { owned: await this.#ownedAt(client, Number(rows[0]!['version'])), process }
  }

  async #ownedAt(client: PostgresClient, version: number): Promise<OwnedBuckets> {
    if (this.#owned?.version === version) return this.#owned
    const { rows: found } = await client.query(
      'SELECT bucket, epoch, state FROM banyan_shard_buckets ORDER BY bucket',
    )
    this.#owned = {
      version,
      ranges: rangesOf(found.map((row): BucketEpoch => [row['bucket'] as number, Number(row['epoch'])])),
      blocked: found.filter((row) => row['state'] !== 'owned').map((row) => row['bucket'] as number),
    }
    return this.#owned
  }
}

function mustStayInside(text: string): void {
  if (TRANSACTIONS.test(text))
    throw new Error(`a transaction of a shard is ended by whoever began it, not by ${text.trim()}`)
}

/** Gives a transaction to work, and waits for what it has not awaited. */
async function inTables<Result>(
  client: PostgresClient,
  work: (db: PostgresTables) => Maybe<Result>,
): Promise<Result> {
  const asked = new Set<Promise<unknown>>()
  let isOpen = true
  const tables: PostgresTables = {
    query: async <Row extends object>(text: string, values?: readonly unknown[]) => {
      if (!isOpen) throw new Error('the transaction has ended: db is of no use after its work')
      mustStayInside(text)
      const answer = client.query(text, values && [...values])
      asked.add(answer)
      try {
        return (await answer) as unknown as PostgresResult<Row>
      } finally {
        asked.delete(answer)
      }
    },
  }
  try {
    return await work(tables)
  } finally {
    while (asked.size > 0) await Promise.allSettled(asked)
    isOpen = false
  }
}
