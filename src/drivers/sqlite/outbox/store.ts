import type { Clock } from '../../../core/clock.js'
import { andThen, type Maybe } from '../../../core/maybe.js'
import type { DriverContext } from '../../../events/driver.js'
import {
  isOneOf,
  laneKeyOf,
  type LaneKey,
  type OutboxRow,
  type OutboxSource,
  type OutboxStore,
  type ParkedRow,
  type StoreStatus,
} from '../../../events/outbox/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { isDatabase, runIn } from '../application-transaction.js'
import type { SqliteHandle } from '../read-models/store.js'
import { FORMAT, OUTBOX_SCHEMA } from './schema.js'
import { SqliteOutboxSource } from './source.js'

/** The columns of a message, in the order of {@link valuesOf}. */
const COLUMNS =
  'id, topic, key, type, data, bytes, metadata, tags, schema_version, time, deliver_at, published, size'
const INSERT = `INSERT INTO banyan_outbox (${COLUMNS}) VALUES (${COLUMNS.replaceAll(/\w+/g, '?')})`

const KIND = {
  name: 'the outbox',
  table: 'banyan_outbox',
  schema: OUTBOX_SCHEMA,
  format: { table: 'banyan_outbox_state', newest: FORMAT },
  madeBy: 'what banyan outbox schema sqlite prints',
  codes: { unavailable: 'BANYAN_OUTBOX_UNAVAILABLE', closed: 'BANYAN_OUTBOX_CLOSED' },
} as const

/**
 * Opens an outbox in a SQLite file.
 *
 * @param where - a file, made if it is not there, or a database that is open, whose file is opened again
 */
export async function openSqliteOutbox(
  where: string | SqliteHandle,
  context: DriverContext & { migrate: boolean },
): Promise<OutboxStore> {
  return new SqliteOutbox(await ApplicationDatabase.open(where, KIND, context), context.clock)
}

class SqliteOutbox implements OutboxStore {
  readonly engine = 'sqlite'
  readonly #database: ApplicationDatabase
  readonly #clock: Clock

  constructor(database: ApplicationDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  isSynchronous(transaction: unknown): boolean {
    return isDatabase(transaction)
  }

  insert(transaction: unknown, rows: readonly OutboxRow[]): Maybe<unknown> {
    const run = runIn(transaction, 'publish')
    return rows.reduce<Maybe<unknown>>(
      (before, row) => andThen(before, () => run(INSERT, valuesOf(row))),
      undefined,
    )
  }

  source(): OutboxSource {
    return new SqliteOutboxSource(this.#database, this.#clock)
  }

  status({ count, lanes }: { count: number; lanes: number }): Promise<StoreStatus> {
    return this.#database.patiently(() => {
      const { database } = this.#database
      // One moment: a message is not counted twice on its way.
      return database.transaction((): StoreStatus => {
        const waiting = database
          .prepare<[number], number>('SELECT count(*) FROM (SELECT 1 FROM banyan_outbox LIMIT ?)')
          .pluck()
          .get(count + 1)!
        const oldest = database
          .prepare<[], number>('SELECT published FROM banyan_outbox ORDER BY number LIMIT 1')
          .pluck()
          .get()
        const relayed = database.prepare<[], number>('SELECT relayed FROM banyan_outbox_state').pluck().get()!
        const parked = database
          .prepare<[number, number], ParkedRow>(
            `SELECT id, topic, key, type, published, reason, parked_at AS parkedAt,
                    (SELECT count(*) FROM (SELECT 1 FROM banyan_outbox_parked AS behind
                                           WHERE behind.topic = p.topic AND behind.key = p.key
                                             AND behind.reason IS NULL LIMIT ?)) AS heldBack
             FROM banyan_outbox_parked AS p WHERE reason IS NOT NULL ORDER BY number LIMIT ?`,
          )
          .all(count, lanes)
        return {
          waiting: { count: Math.min(count, waiting), isComplete: waiting <= count },
          oldest,
          relayed,
          parked,
        }
      })()
    })
  }

  redrive(lanes: readonly LaneKey[] | 'all'): Promise<LaneKey[]> {
    return this.#database.write(() =>
      lanes === 'all' ? this.#moveBack('true') : lanes.flatMap((lane) => this.#moveLane(lane)),
    )
  }

  discard(id: string, lanes?: readonly LaneKey[]): Promise<LaneKey[]> {
    return this.#database.write(() => {
      const { database } = this.#database
      const heads = database
        .prepare<[string], { number: number; topic: string; key: string | null; id: string }>(
          'SELECT number, topic, key, id FROM banyan_outbox_parked WHERE id = ? AND reason IS NOT NULL ORDER BY number',
        )
        .all(id)
        .filter((row) => isOneOf(row, lanes))
      const [head] = heads
      if (head && (heads.length === 1 || lanes)) {
        database.prepare('DELETE FROM banyan_outbox_parked WHERE number = ?').run(head.number)
        const lane = laneKeyOf(head)
        if (!('id' in lane)) this.#moveLane(lane)
      }
      return heads.map(laneKeyOf)
    })
  }

  close(): Promise<void> {
    this.#database.close()
    return Promise.resolve()
  }

  /** Parked messages go back to where they were, under their numbers. */
  #moveBack(which: string, ...values: string[]): LaneKey[] {
    const { database } = this.#database
    const heads = database
      .prepare<string[], { topic: string; key: string | null; id: string }>(
        `SELECT topic, key, id FROM banyan_outbox_parked WHERE reason IS NOT NULL AND ${which} ORDER BY number`,
      )
      .all(...values)
    database
      .prepare(
        `INSERT INTO banyan_outbox (number, ${COLUMNS}) SELECT number, ${COLUMNS} FROM banyan_outbox_parked WHERE ${which}`,
      )
      .run(...values)
    database.prepare(`DELETE FROM banyan_outbox_parked WHERE ${which}`).run(...values)
    return heads.map(laneKeyOf)
  }

  #moveLane(lane: LaneKey): LaneKey[] {
    return 'id' in lane
      ? this.#moveBack('id = ? AND key IS NULL', lane.id)
      : this.#moveBack('topic = ? AND key = ?', lane.topic, lane.key)
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
  return [id, topic, key, type, data, bytes, metadata, tags, schemaVersion, time, deliverAt, published, size]
}
