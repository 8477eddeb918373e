import type { Clock } from '../../../core/clock.js'
import type { Maybe } from '../../../core/maybe.js'
import type { DriverContext } from '../../../events/driver.js'
import {
  isOneOf,
  laneKeyOf,
  type LaneKey,
  type OutboxRow,
  type OutboxSource,
  type OutboxStore,
  type StoreStatus,
} from '../../../events/outbox/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn } from '../application-transaction.js'
import type { PostgresClient, PostgresPool } from '../read-models/client.js'
import { FORMAT, OUTBOX_SCHEMA } from './schema.js'
import { CHANNEL, LOCK, PostgresOutboxSource } from './source.js'

/** The columns of a message, in the order of {@link valuesOf}. */
const COLUMNS =
  'id, topic, key, type, data, bytes, metadata, tags, schema_version, time, deliver_at, published, size'
const WIDTH = COLUMNS.split(',').length
/** Messages of one statement: it takes 65,535 parameters at most. */
const ROWS = 1000
/** A transaction that notifies keeps others from committing beside it, so of many only some do. */
const NOTIFY_EVERY_MS = 10
const LOCK_TIMEOUT_MS = 30_000

const KIND = {
  name: 'the outbox',
  table: 'banyan_outbox',
  schema: OUTBOX_SCHEMA,
  format: { table: 'banyan_outbox_state', newest: FORMAT },
  madeBy: 'what banyan outbox schema postgres prints',
  codes: { unavailable: 'BANYAN_OUTBOX_UNAVAILABLE', closed: 'BANYAN_OUTBOX_CLOSED' },
} as const

/**
 * Opens an outbox in a PostgreSQL database.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresOutbox(
  where: string | PostgresPool,
  { clock, migrate }: DriverContext & { migrate: boolean },
): Promise<OutboxStore> {
  return new PostgresOutbox(await ApplicationDatabase.open(where, KIND, migrate), clock)
}

class PostgresOutbox implements OutboxStore {
  readonly engine = 'postgres'
  readonly #database: ApplicationDatabase
  readonly #clock: Clock
  readonly #statements = new Map<string, string>()
  #notifiedAt = -Infinity

  constructor(database: ApplicationDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  isSynchronous(): boolean {
    return false
  }

  insert(transaction: unknown, rows: readonly OutboxRow[]): Maybe<unknown> {
    const run = runIn(transaction, 'publish')
    if (rows.length <= ROWS) return this.#insert(run, rows)
    return (async () => {
      for (let first = 0; first < rows.length; first += ROWS)
        await this.#insert(run, rows.slice(first, first + ROWS))
    })()
  }

  source(): OutboxSource {
    return new PostgresOutboxSource(this.#database, this.#clock)
  }

  async status({ count, lanes }: { count: number; lanes: number }): Promise<StoreStatus> {
    const [found] = await this.#database.ask<{
      count: string
      oldest: string | null
      relayed: string
      parked: (StoreStatus['parked'][number] & { number: number })[]
    }>(
      `SELECT (SELECT count(*) FROM (SELECT FROM banyan_outbox LIMIT $1) AS counted) AS count,
              (SELECT published FROM banyan_outbox ORDER BY number LIMIT 1) AS oldest,
              (SELECT relayed FROM banyan_outbox_state) AS relayed,
              (SELECT coalesce(json_agg(head), '[]') FROM (
                 SELECT p.number, id, topic, key, type, published, reason, parked_at AS "parkedAt",
                        (SELECT count(*) FROM (SELECT FROM banyan_outbox_parked AS behind
                                               WHERE behind.topic = p.topic AND behind.key = p.key
                                                 AND behind.reason IS NULL LIMIT $1) AS counted) AS "heldBack"
                 FROM banyan_outbox_parked AS p WHERE reason IS NOT NULL ORDER BY number LIMIT $2) AS head) AS parked`,
      [count + 1, lanes],
    )
    const { count: waiting, oldest, relayed, parked } = found!
    return {
      waiting: { count: Math.min(count, Number(waiting)), isComplete: Number(waiting) <= count },
      oldest: oldest === null ? undefined : Number(oldest),
      relayed: Number(relayed),
      parked,
    }
  }

  redrive(lanes: readonly LaneKey[] | 'all'): Promise<LaneKey[]> {
    return this.#alone(async (client) => {
      const moved: LaneKey[] = []
      if (lanes === 'all') moved.push(...(await moveBack(client, 'true', [])))
      else for (const lane of lanes) moved.push(...(await moveLane(client, lane)))
      await client.query(`SELECT pg_notify('${CHANNEL}', '')`)
      return moved
    })
  }

  discard(id: string, lanes?: readonly LaneKey[]): Promise<LaneKey[]> {
    return this.#alone(async (client) => {
      const { rows } = await client.query(
        'SELECT number, topic, key, id FROM banyan_outbox_parked WHERE id = $1 AND reason IS NOT NULL ORDER BY number',
        [id],
      )
      const parked = rows as unknown as { number: string; topic: string; key: string | null; id: string }[]
      const heads = parked.filter((row) => isOneOf(row, lanes))
      const [head] = heads
      if (head && (heads.length === 1 || lanes)) {
        await client.query('DELETE FROM banyan_outbox_parked WHERE number = $1', [head.number])
        const lane = laneKeyOf(head)
        if (!('id' in lane)) await moveLane(client, lane)
        await client.query(`SELECT pg_notify('${CHANNEL}', '')`)
      }
      return heads.map(laneKeyOf)
    })
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  #insert(run: ReturnType<typeof runIn>, rows: readonly OutboxRow[]): Maybe<unknown> {
    const now = this.#clock.now()
    const notifies = now - this.#notifiedAt >= NOTIFY_EVERY_MS
    if (notifies) this.#notifiedAt = now
    return run(this.#statement(rows.length, notifies), rows.flatMap(valuesOf))
  }

  #statement(rows: number, notifies: boolean): string {
    const name = `${rows} ${notifies}`
    let statement = this.#statements.get(name)
    if (statement === undefined) {
      const values = Array.from({ length: rows }, (_, row) => {
        const places = Array.from({ length: WIDTH }, (_, column) => `$${row * WIDTH + column + 1}`)
        return `(${places.join(', ')})`
      })
      statement =
        `INSERT INTO banyan_outbox (${COLUMNS}) VALUES ${values.join(', ')}` +
        (notifies ? ` RETURNING pg_notify('${CHANNEL}', '')` : '')
      if (rows <= 10) this.#statements.set(name, statement)
    }
    return statement
  }

  /** Works while no relay does: what a relay has read must not change under its hands. */
  #alone<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    return this.#database.transact(async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
      await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
      return work(client)
    })
  }
}

function valuesOf(row: OutboxRow): unknown[] {
  const {
    id,
    topic,
    key,
    type,
    data,
    bytes,
    metadata,
    tags,
    schemaVersion,
    time,
    deliverAt,
    published,
    size,
  } = row
  const binary = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return [id, topic, key, type, data, binary, metadata, tags, schemaVersion, time, deliverAt, published, size]
}

/** Parked messages go back to where they were, under their numbers. */
async function moveBack(client: PostgresClient, which: string, values: unknown[]): Promise<LaneKey[]> {
  const { rows } = await client.query(
    `WITH moved AS (DELETE FROM banyan_outbox_parked WHERE ${which} RETURNING *),
          back AS (INSERT INTO banyan_outbox (number, ${COLUMNS}) SELECT number, ${COLUMNS} FROM moved)
     SELECT topic, key, id FROM moved WHERE reason IS NOT NULL ORDER BY number`,
    values,
  )
  return (rows as { topic: string; key: string | null; id: string }[]).map(laneKeyOf)
}

function moveLane(client: PostgresClient, lane: LaneKey): Promise<LaneKey[]> {
  return 'id' in lane
    ? moveBack(client, 'id = $1 AND key IS NULL', [lane.id])
    : moveBack(client, 'topic = $1 AND key = $2', [lane.topic, lane.key])
}
