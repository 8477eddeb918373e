import type { Clock } from '../../../core/clock.js'
import { Hint } from '../../../core/hint.js'
import type { OutboxSource, Settled, StoredRow } from '../../../events/outbox/store.js'
import type { ApplicationDatabase } from '../application-database.js'
import { Listener } from '../listener.js'
import type { PostgresClient, PostgresResult } from '../read-models/client.js'

/** What is notified when messages were published. */
export const CHANNEL = 'banyan_outbox'
/** The lock of the one relay that works; each schema has its own. */
export const LOCK = "1112690520, 'banyan_outbox'::regclass::oid::integer"
/** A relay that stands still in the middle of its work loses its transaction, and the lock with it, in ms. */
const STANDSTILL_MS = 60_000
/** Between two counts of what was relayed, in ms: each leaves a dead row. */
const COUNT_EVERY_MS = 1000

const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = ${STANDSTILL_MS};
SELECT pg_try_advisory_xact_lock(${LOCK}) AS mine`

/** The oldest messages; and whether one of their key is parked, looked up one by one, however many are. */
const oldest = (
  rows: number,
  bytes: number,
): string => `SELECT number, id, topic, key, type, data::text, bytes, metadata::text, tags::text,
    schema_version AS "schemaVersion", time, deliver_at AS "deliverAt", published, size,
    coalesce((SELECT true FROM banyan_outbox_parked AS p WHERE p.topic = o.topic AND p.key = o.key LIMIT 1), false) AS "isHeld"
  FROM (SELECT *, sum(bytes_about) OVER (ORDER BY number) - bytes_about AS before
        FROM (SELECT *, greatest(size, coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(bytes), 0)) AS bytes_about
              FROM banyan_outbox ORDER BY number LIMIT ${rows}) AS oldest) AS o
  WHERE before < ${bytes} ORDER BY number`

/**
 * Takes messages in a transaction that holds a lock until what has become of them is written, so that one relay works at a
 * time: a log puts all that is appended into one order anyway. The transaction has written nothing while the log is waited
 * for, so it keeps nothing from being vacuumed.
 */
export class PostgresOutboxSource implements OutboxSource {
  readonly #database: ApplicationDatabase
  readonly #clock: Clock
  readonly #hint = new Hint()
  #listener: Promise<Listener | undefined> | undefined
  #uncounted = 0
  #countedAt = -Infinity
  #closed = false
  #wasMine = false

  constructor(database: ApplicationDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  async work(
    { rows: most, bytes }: { rows: number; bytes: number },
    send: (rows: readonly StoredRow[]) => Promise<Settled>,
  ): Promise<{ found: number; settled: number } | 'busy'> {
    let problem: { error: unknown } | undefined
    const result = await this.#database.connected(async (client) => {
      const rows = await this.#take(client, oldest(most, bytes))
      const isMine = rows !== undefined
      this.#wasMine = isMine
      let settled: Settled | undefined
      try {
        if (rows && rows.length > 0) settled = await send(rows)
      } catch (error) {
        problem = { error }
      }
      if (isMine && settled) return { found: rows.length, settled: await this.#settle(client, settled) }
      // While nothing comes, there is time to count.
      await client.query(isMine && this.#uncounted > 0 ? `${this.#counted()}COMMIT` : 'ROLLBACK')
      return isMine ? { found: 0, settled: 0 } : 'busy'
    })
    if (problem) throw problem.error
    return result
  }

  /** One round trip, if it may count on the lock; else first the lock, so that whoever stands by reads nothing. */
  async #take(client: PostgresClient, select: string): Promise<StoredRow[] | undefined> {
    const ask = async (text: string): Promise<PostgresResult<Record<string, unknown>>[]> =>
      (await client.query(text)) as unknown as PostgresResult<Record<string, unknown>>[]
    const [, , lock, found] = await ask(this.#wasMine ? `${BEGIN};\n${select}` : BEGIN)
    if (lock!.rows[0]!['mine'] !== true) return undefined
    return (found ?? (await client.query(select))).rows.map(storedRow)
  }

  async changed(ms: number, signal: AbortSignal): Promise<void> {
    this.#listener ??= this.#listen().catch(() => undefined)
    await this.#hint.wait(this.#clock, ms, signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    await (await this.#listener)?.close()
    if (this.#uncounted > 0)
      await this.#database
        .ask('UPDATE banyan_outbox_state SET relayed = relayed + $1', [this.#uncounted])
        .catch(() => undefined)
  }

  /** That it was done may be lost when the server crashes: then it is done again, and the log knows it. */
  async #settle(client: PostgresClient, { relayed, parked, held }: Settled): Promise<number> {
    const aside = [...parked.map(({ number }) => number), ...held]
    if (aside.length > 0) {
      const reasons = new Map(parked.map(({ number, reason }) => [number, reason]))
      await client.query(
        `WITH moved AS (DELETE FROM banyan_outbox WHERE number = ANY($1::bigint[]) RETURNING *)
         INSERT INTO banyan_outbox_parked
         SELECT moved.*, given.reason, $3
         FROM moved JOIN unnest($1::bigint[], $2::text[]) AS given (number, reason) USING (number)`,
        [aside, aside.map((number) => reasons.get(number) ?? null), Math.floor(this.#clock.wall())],
      )
    }
    const gone = relayed.join(',')
    this.#uncounted += relayed.length
    const isDue = this.#clock.now() - this.#countedAt >= COUNT_EVERY_MS
    await client.query(
      `SET LOCAL synchronous_commit = off;
       DELETE FROM banyan_outbox WHERE number = ANY('{${gone}}'::bigint[]);
       ${isDue ? this.#counted() : ''}COMMIT`,
    )
    return relayed.length + aside.length
  }

  #counted(): string {
    const count = this.#uncounted
    this.#uncounted = 0
    this.#countedAt = this.#clock.now()
    return `UPDATE banyan_outbox_state SET relayed = relayed + ${count};`
  }

  async #listen(): Promise<Listener | undefined> {
    const connect = await this.#database.listeners()
    if (!connect || this.#closed) return undefined
    const listener = new Listener(
      connect,
      CHANNEL,
      (channel, payload) => this.#database.ask('SELECT pg_notify($1, $2)', [channel, payload]),
      { head: () => this.#hint.give(), something: () => this.#hint.give() },
      this.#clock,
    )
    listener.start()
    return listener
  }
}

/** Numbers of 64 bits come as text. */
function storedRow(row: Record<string, unknown>): StoredRow {
  const number = (value: unknown): number | null => (value === null ? null : Number(value))
  const { number: own, time, deliverAt, published } = row
  return {
    ...(row as unknown as StoredRow),
    number: Number(own),
    time: number(time),
    deliverAt: number(deliverAt),
    published: Number(published),
  }
}
