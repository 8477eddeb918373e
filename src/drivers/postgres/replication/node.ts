import type { Client, ClientConfig, PoolClient } from 'pg'
import { sleep, type Clock } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import {
  NodeFault,
  type Ancestor,
  type Look,
  type ReplicaNode,
  type Seen,
  type Written,
} from '../../../coordination/replication/node.js'
import { sqlState, toldBy } from '../faults.js'
import type { PostgresClient, PostgresPool, PostgresResult, PostgresTables } from '../read-models/client.js'
import { checkPlace, placeOf } from '../settings.js'
import { positionOf, reachable, timelineOf } from './position.js'
import * as queries from './queries.js'
import { Statements } from './statements.js'

/** How to use a server; times in ms. */
export interface ReplicaSettings {
  readonly clock: Clock
  readonly connections: number
  readonly answerWithin: number
}

/** How long a server may take to do what an operator asks for, in ms. */
const OPERATION_MS = 60_000
/** Between two looks whether it is done, in ms. */
const LOOK_AGAIN_MS = 20

/**
 * What does not tell whether a commit was done: the connection is over; or what was sent along with it, and comes behind it, was
 * cancelled, found no memory, or was not prepared any more.
 */
const OVER = /^(26|53|57|08|58|XX)/
const ABORTED = '25P02'
/** Names of statements that a session does not have, or has already. */
const UNPREPARED = new Set(['26000', '42P05'])
const TOO_MANY_CONNECTIONS = '53300'
const NO_FILE = '58P01'

/** A client of `pg` has the socket of its connection. */
interface Breakable {
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/** What a pool of `pg` tells of its connections. */
type Counted = PostgresPool & { readonly idleCount?: number; readonly options?: { readonly max?: number } }

type Row = Record<string, string | null>
type SeenRow = Record<'cluster' | 'reads' | 'file' | 'position', string> & {
  readonly follows: boolean
  readonly received_timeline: number | null
}

/**
 * A server of a cluster with streaming replication.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresReplica(
  where: string | PostgresPool,
  settings: ReplicaSettings,
): Promise<ReplicaNode<PostgresTables>> {
  const { default: pg } = await import('pg')
  const { connections, answerWithin } = settings
  if (typeof where === 'string') checkPlace('openReplicas', where, undefined, 'public')
  const config: ClientConfig | undefined =
    typeof where === 'string'
      ? { connectionString: where, application_name: 'banyan replicas', keepAlive: true }
      : (where as PostgresPool & { options?: ClientConfig }).options
  if (!config)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'openReplicas: nodes are URLs of PostgreSQL, or Pools of pg',
    )
  const connect = async (answers: number): Promise<Client> => {
    const client = new pg.Client({
      ...config,
      connectionTimeoutMillis: answerWithin,
      ...(answers > 0 && { query_timeout: answers }),
    })
    // Its next statement fails.
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
  }
  if (typeof where !== 'string') return new PostgresReplica(placeIn(config), where, connect, settings)
  const pool = new pg.Pool({ ...config, max: connections, connectionTimeoutMillis: answerWithin })
  pool.on('error', () => undefined)
  const clients = new Set<PoolClient>()
  pool.on('connect', (client) => {
    clients.add(client)
    client.once('end', () => clients.delete(client))
  })
  return new PostgresReplica(placeOf(where), pool, connect, settings, clients)
}

function placeIn({ connectionString, host = 'localhost', port = 5432, database }: ClientConfig): string {
  if (connectionString !== undefined && URL.canParse(connectionString)) return placeOf(connectionString)
  return `${host}:${port}/${typeof database === 'string' ? database : ''}`
}

/** What surrounds the transactions of a session, once it is known whether it keeps prepared statements. */
const frames = new WeakMap<PostgresClient, typeof queries.PLAIN>()

class PostgresReplica implements ReplicaNode<PostgresTables> {
  readonly place: string
  readonly #pool: PostgresPool
  /** The connections of the pool, if it is to be closed. */
  readonly #own: ReadonlySet<PoolClient> | undefined
  readonly #connect: (answers: number) => Promise<Client>
  readonly #settings: ReplicaSettings
  /** What it is looked at with: a pool whose connections are all in use says nothing of the server. */
  #looker: Promise<{ client: Client; monitors: boolean }> | undefined
  /** Connections with transactions under way. */
  readonly #inUse = new Set<PostgresClient>()
  /** What wait for a connection, to be told that they wait in vain. */
  readonly #waiting = new Set<(error: Error) => void>()
  #closed = false

  constructor(
    place: string,
    pool: PostgresPool,
    connect: (answers: number) => Promise<Client>,
    settings: ReplicaSettings,
    own?: ReadonlySet<PoolClient>,
  ) {
    this.place = place
    this.#pool = pool
    this.#connect = connect
    this.#settings = settings
    this.#own = own
  }

  look(): Promise<Look> {
    return this.#withLooker(async (client, monitors) => {
      const { rows } = await client.query<Row & SeenRow & { streams: boolean; paused: boolean | null }>(
        queries.LOOK,
      )
      const row = rows[0]!
      const { cluster, reads, file, position, follows, received_timeline: receiving } = row
      const seen = {
        cluster,
        position: reachable(positionOf(position)),
        readOnly: reads === 'on',
        incarnation: row['incarnation']!,
      }
      if (!follows) {
        const recovered = row['replayed'] === null ? {} : { recovered: positionOf(row['replayed']!) }
        return { ...seen, ...recovered, role: 'leader', timeline: timelineOf(file) }
      }
      const follower = {
        ...seen,
        role: 'follower' as const,
        streaming: row.streams,
        paused: row.paused === true,
        ...(row['received'] !== null && { received: positionOf(row['received']!) }),
      }
      if (!monitors)
        return {
          ...follower,
          timeline: Number(row['reached_timeline']),
          limited:
            'its role may not see which timeline it follows, so it takes no reads after a token: GRANT pg_monitor',
        }
      const timeline = receiving ?? (await unconnected(client))
      return { ...follower, timeline }
    })
  }

  ancestors(timeline: number): Promise<readonly Ancestor[] | undefined> {
    return this.#withLooker(async (client) => {
      const { rows } = await client.query<{ how: string | null }>(queries.HOW_TO_READ)
      const how = rows[0]?.how
      if (typeof how !== 'string') return undefined
      try {
        const answer = await client.query<{ history: string | null }>(how, [timeline])
        return ancestorsIn(answer.rows[0]?.history ?? '')
      } catch (error) {
        // The server is not that far yet.
        if (sqlState(error) === NO_FILE) return undefined
        throw error
      }
    })
  }

  read<Result>(admit: (seen: Seen) => void, work: (db: PostgresTables) => Promise<Result>): Promise<Result> {
    return this.#transact(queries.BEGIN_READ, admit, work, async (client, result) => {
      await client.query('COMMIT')
      return result
    })
  }

  write<Result>(
    admit: (seen: Seen) => void,
    work: (db: PostgresTables) => Promise<Result>,
    permit: () => void,
  ): Promise<Written<Result>> {
    return this.#transact(queries.BEGIN_WRITE, admit, work, async (client, result) => {
      permit()
      const { mode, inserted, flushed } = await this.#commit(client)
      // What has not waited for the disk may not be there yet.
      return { result, position: reachable(positionOf(mode === 'off' ? inserted : flushed)) }
    })
  }

  async fence(): Promise<void> {
    await this.#operate(async (client, until) => {
      await client.query('ALTER SYSTEM SET default_transaction_read_only = on')
      await client.query('SELECT pg_reload_conf()')
      // The server takes it in by and by: a session that began before a new one knows of it may write.
      const since = await this.#repeat(until, async () => {
        const fresh = await this.#connect(this.#settings.answerWithin)
        try {
          const { rows } = await fresh.query<{ reads: string; at: string }>(
            "SELECT current_setting('default_transaction_read_only') AS reads, clock_timestamp()::text AS at",
          )
          return rows[0]?.reads === 'on' ? rows[0].at : undefined
        } finally {
          await this.#end(fresh)
        }
      })
      await this.#repeat(until, async () => {
        const { rows } = await client.query<{ ended: number }>(queries.END_SESSIONS, [since])
        return rows[0]?.ended === 0 ? true : undefined
      })
    })
  }

  flush(): Promise<bigint> {
    return this.#operate(async (client) => {
      // What was written behind the last commit would be a while on its way.
      await client.query('SELECT pg_switch_wal()')
      const { rows } = await client.query<{ position: string }>(
        'SELECT pg_current_wal_insert_lsn()::text AS position',
      )
      return reachable(positionOf(rows[0]!.position))
    })
  }

  async unfence(): Promise<void> {
    await this.#operate(async (client) => {
      await client.query('ALTER SYSTEM RESET default_transaction_read_only')
      await client.query('SELECT pg_reload_conf()')
    })
  }

  async promote(permit: () => Promise<void>): Promise<void> {
    await this.#operate(async (client) => {
      await permit()
      const { rows } = await client.query<{ led: boolean }>('SELECT pg_promote(true, $1) AS led', [
        Math.floor(OPERATION_MS / 1000),
      ])
      if (rows[0]?.led !== true)
        throw new Error(`the server at ${this.place} has not taken over in ${OPERATION_MS / 1000} s`)
    })
  }

  abandon(): void {
    for (const client of this.#inUse) cut(client as Breakable)
    for (const give of [...this.#waiting]) give(new NodeFault('unsent', 'it does not answer'))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const looker = await this.#looker?.catch(() => undefined)
    await Promise.all([looker && this.#end(looker.client), this.#own && this.#endPool(this.#own)])
  }

  async #endPool(clients: ReadonlySet<PoolClient>): Promise<void> {
    const farewells = Array.from(clients, (client) => new Promise((resolve) => client.once('end', resolve)))
    await this.#orCut(Promise.all([this.#pool.end(), ...farewells]), () => clients)
  }

  /** Ends a connection in order. */
  async #end(client: Client): Promise<void> {
    await this.#orCut(client.end(), () => [client])
  }

  /** A server that does not answer takes no leave, either. */
  async #orCut(ending: Promise<unknown>, clients: () => Iterable<Breakable>): Promise<void> {
    const { clock, answerWithin } = this.#settings
    const late = clock.schedule(clock.now() + answerWithin, () => {
      for (const client of clients()) cut(client)
    })
    try {
      await ending
    } catch {
      // It has ended otherwise.
    } finally {
      late.cancel()
    }
  }

  /** Looks at one time only what one connection can tell; one that has failed is replaced by the next that is needed. */
  async #withLooker<Result>(ask: (client: Client, monitors: boolean) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new NodeFault('unsent', 'it is closed')
    const looker = (this.#looker ??= this.#openLooker())
    try {
      const { client, monitors } = await looker
      return await ask(client, monitors)
    } catch (error) {
      if (this.#looker === looker) this.#looker = undefined
      looker.then(
        ({ client }) => void this.#end(client),
        () => undefined,
      )
      throw this.#fault('unsent', error)
    }
  }

  async #openLooker(): Promise<{ client: Client; monitors: boolean }> {
    const client = await this.#connect(this.#settings.answerWithin)
    const { rows } = await client.query<{ monitors: boolean }>(queries.RIGHTS)
    return { client, monitors: rows[0]?.monitors === true }
  }

  async #transact<Result, Outcome>(
    begin: string,
    admit: (seen: Seen) => void,
    work: (db: PostgresTables) => Promise<Result>,
    finish: (client: PostgresClient, result: Result) => Promise<Outcome>,
  ): Promise<Outcome> {
    const client = await this.#take()
    client.on('error', lost)
    this.#inUse.add(client)
    const db = new Statements(client)
    let isOver = false
    let begun = false
    try {
      const seen = await this.#begin(client, begin)
      begun = true
      admit(seen)
      const result = await work(db)
      db.end()
      return await finish(client, result)
    } catch (error) {
      db.end()
      if (error instanceof NodeFault) {
        isOver = true
        throw error
      }
      try {
        await client.query('ROLLBACK')
      } catch {
        isOver = true
        throw this.#fault(begun ? 'undone' : 'unsent', error)
      }
      throw error
    } finally {
      client.off('error', lost)
      this.#inUse.delete(client)
      client.release(isOver)
    }
  }

  async #take(): Promise<PostgresClient> {
    if (this.#closed) throw new NodeFault('unsent', 'it is closed')
    const { clock, answerWithin } = this.#settings
    const { idleCount, totalCount, options } = this.#pool as Counted
    const max = options?.max ?? Infinity
    // A pool of the application may wait for ever.
    const isFull = idleCount === 0 && totalCount >= max
    const taking = this.#pool.connect()
    let give: ((error: Error) => void) | undefined
    const given = new Promise<never>((_, reject) => (give = reject))
    this.#waiting.add(give!)
    const late =
      idleCount !== 0
        ? undefined
        : clock.schedule(clock.now() + answerWithin, () =>
            give!(new Error('no connection could be had in time')),
          )
    try {
      return await Promise.race([taking, given])
    } catch (error) {
      // One that comes nevertheless is for others.
      taking.then(
        (client) => client.release(),
        () => undefined,
      )
      if (error instanceof NodeFault) throw error
      const isBusy = isFull || sqlState(error) === TOO_MANY_CONNECTIONS
      throw isBusy
        ? new NodeFault(
            'busy',
            isFull
              ? `all ${max} connections to ${this.place} are in use, and none came free in ${answerWithin} ms`
              : toldBy(error, this.place).text,
            error,
          )
        : this.#fault('unsent', error)
    } finally {
      this.#waiting.delete(give!)
      late?.cancel()
    }
  }

  async #begin(client: PostgresClient, begin: string): Promise<Seen> {
    let row: SeenRow
    try {
      row = lastRowOf(await this.#ask(client, begin))
      const { follows, cluster, reads, file } = row
      const timeline = follows
        ? (row.received_timeline ?? (await this.#unconnected(client)))
        : timelineOf(file)
      const position = reachable(positionOf(row.position))
      return { role: follows ? 'follower' : 'leader', cluster, timeline, position, readOnly: reads === 'on' }
    } catch (error) {
      throw this.#fault('unsent', error)
    }
  }

  async #ask(client: PostgresClient, begin: string): Promise<unknown> {
    const frame = frames.get(client)
    if (frame === queries.PLAIN) return client.query(`${begin}; ${frame.seen}`)
    try {
      const first = frame ? begin : `${begin}; ${queries.PREPARE}`
      const answer = await client.query(`${first}; ${queries.PREPARED.seen}`)
      frames.set(client, queries.PREPARED)
      return answer
    } catch (error) {
      // Behind a pooler each transaction may be in another session; and some discard what is in theirs.
      if (!UNPREPARED.has(sqlState(error) ?? '')) throw error
      await client.query('ROLLBACK')
      frames.set(client, queries.PLAIN)
      return client.query(`${begin}; ${queries.PLAIN.seen}`)
    }
  }

  /** Only where nothing is received is more to be asked. */
  async #unconnected(client: PostgresClient): Promise<number | undefined> {
    const looker = await this.#looker?.catch(() => undefined)
    return looker?.monitors ? unconnected(client) : undefined
  }

  async #commit(client: PostgresClient): Promise<Record<'mode' | 'inserted' | 'flushed', string>> {
    try {
      const { commit } = frames.get(client) ?? queries.PLAIN
      const results = (await client.query(commit)) as unknown as PostgresResult<Row>[]
      return { ...results[0]!.rows[0], ...results[2]!.rows[0] } as Record<
        'mode' | 'inserted' | 'flushed',
        string
      >
    } catch (error) {
      const state = sqlState(error)
      if (state === ABORTED)
        throw new Error('the transaction was rolled back: a statement in it had failed', { cause: error })
      // Deferred constraints and the like are refused by a server that is there.
      if (state !== undefined && !OVER.test(state)) throw error
      throw this.#fault('unknown', error)
    }
  }

  /** Does what an operator has asked for, on a connection of its own. */
  async #operate<Result>(work: (client: Client, until: number) => Promise<Result>): Promise<Result> {
    const client = await this.#connect(OPERATION_MS + this.#settings.answerWithin).catch((error: unknown) => {
      throw this.#fault('unsent', error)
    })
    try {
      return await work(client, this.#settings.clock.now() + OPERATION_MS)
    } finally {
      await this.#end(client)
    }
  }

  async #repeat<Result>(until: number, ask: () => Promise<Result | undefined>): Promise<Result> {
    const { clock } = this.#settings
    for (;;) {
      const result = await ask()
      if (result !== undefined) return result
      if (clock.now() > until) throw new Error(`the server at ${this.place} goes on to let sessions write`)
      await sleep(clock, LOOK_AGAIN_MS)
    }
  }

  #fault(outcome: NodeFault['outcome'], error: unknown): NodeFault {
    return error instanceof NodeFault ? error : new NodeFault(outcome, toldBy(error, this.place).text, error)
  }
}

/** Ends a connection without a word. */
function cut(client: Breakable): void {
  client.connection?.stream?.destroy()
}

/** The timeline of a follower that receives nothing, if only one is possible. */
async function unconnected(client: Pick<PostgresClient, 'query'>): Promise<number | undefined> {
  const { rows } = await client.query(queries.UNCONNECTED)
  const { reached_timeline: reached, newest } = rows[0] as { reached_timeline: number; newest: string | null }
  return newest === null || timelineOf(newest) === reached ? reached : undefined
}

/** A history has a line for each ancestor: its number, the position where the next one begins, and why. */
function ancestorsIn(history: string): Ancestor[] {
  return Array.from(history.matchAll(/^(\d+)\t([0-9A-F]+\/[0-9A-F]+)/gm), ([, timeline, end]) => ({
    timeline: Number(timeline),
    end: positionOf(end!),
  }))
}

/** Statements that are sent together have a result each. */
function lastRowOf(result: unknown): SeenRow {
  const results = result as PostgresResult<Record<string, unknown>>[]
  return results.at(-1)!.rows[0] as unknown as SeenRow
}

/** One that breaks tells whoever uses it, and everybody: without a listener that ends the process. */
function lost(): void {
  // Its next statement fails.
}
