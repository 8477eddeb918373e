import { randomUUID } from 'node:crypto'
import { sleep } from '../../../core/clock.js'
import type {
  Changes,
  CoordinatorCapabilities,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutResult,
} from '../../../coordination/coordinator.js'
import type { CoordinatorContext, CoordinatorDriver, Grant } from '../../../coordination/driver.js'
import { coordinationError, isPassing } from '../../../coordination/errors.js'
import { Feed, type HistoryPage } from '../../../coordination/feed.js'
import { textArray } from '../arrays.js'
import type { Connections } from '../connections.js'
import { faultOf } from '../faults.js'
import { Listener } from '../listener.js'
import { openConnections } from '../numbered-schema.js'
import { Watcher } from '../watcher.js'
import { errorOf } from './errors.js'
import { Heart } from './heart.js'
import { COORDINATION } from './migrate.js'
import { Reader } from './reader.js'
import {
  POSTGRES_LEASES,
  settingsOf,
  type CoordinatorSettings,
  type PostgresCoordinatorSpec,
} from './spec.js'
import { Writer } from './writer.js'

const CAPABILITIES: CoordinatorCapabilities = {
  driver: 'postgres',
  shared: 'network',
  durable: 'power loss',
  ...POSTGRES_LEASES,
}

/** An answer that comes later than this many times the time in which it is waited for is of no use. */
const USEFUL = 3

/** How long somebody else who is connected would need at most to be noticed, in ms. */
const ATTENDED_MS = 2000

/**
 * Opens a coordinator in a PostgreSQL database. The tables and functions are in `migrations/`, with what keeps the laws:
 *
 * - Revisions are given out under one lock, held to the commit: their order is that of commits, and whoever has seen one has
 *   seen all before it. They jump when the database is a copy of itself: after a failover, a restore, from a dump.
 * - Leases end by the time that clients have witnessed on their monotonic clocks. What the clock of a server or a client is
 *   set to plays no part.
 * - A change whose connection was lost is forbidden, and looked for, before it is made again.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_COORDINATOR_FORMAT`, `BANYAN_COORDINATOR_UNAVAILABLE`
 */
export async function openPostgresCoordinator(
  spec: PostgresCoordinatorSpec,
  context: CoordinatorContext,
): Promise<CoordinatorDriver> {
  const settings = settingsOf(spec)
  const connections = await openConnections(COORDINATION, settings, context.clock)
  const coordinator = new PostgresCoordinator(connections, settings, context)
  try {
    await coordinator.begin()
    return coordinator
  } catch (error) {
    await coordinator.close()
    throw errorOf(error, connections.place)
  }
}

class PostgresCoordinator implements CoordinatorDriver {
  readonly capabilities = CAPABILITIES
  readonly #connections: Connections
  readonly #settings: CoordinatorSettings
  readonly #clock: CoordinatorContext['clock']
  readonly #writer: Writer
  readonly #reader: Reader
  readonly #heart: Heart
  readonly #watcher: Watcher
  readonly #listener: Listener | undefined
  readonly #feed: Feed
  /** The last revision that this process has heard of. */
  #known = 0

  constructor(connections: Connections, settings: CoordinatorSettings, { clock }: CoordinatorContext) {
    const { schema, listenUrl, poll, retryFor } = settings
    this.#connections = connections
    this.#settings = settings
    this.#clock = clock
    const know = (revision: number): number => (this.#known = Math.max(this.#known, revision))
    this.#reader = new Reader(connections, schema, retryFor)
    this.#watcher = new Watcher(async () => know(await this.#reader.head()), poll, clock)
    const known = (): number => this.#known
    this.#writer = new Writer(connections, schema, known, (revision) =>
      this.#watcher.appended(know(revision)),
    )
    this.#heart = new Heart(connections, schema, clock, known, know)
    this.#feed = new Feed(
      {
        page: async (prefix, after, limit): Promise<HistoryPage> => {
          const page = await this.#reader.page(prefix, after, limit)
          know(page.upTo)
          return page
        },
        changed: (after, signal) => this.#watcher.changed(after, signal),
        reached: (revision) => revision <= this.#known,
        // After the end nothing passes: whoever has stopped to iterate without a word would be waited for.
        passes: (error) => !connections.closed && isPassing(error),
      },
      clock,
    )
    if (listenUrl === undefined) return
    this.#listener = new Listener(
      () => connections.listener(listenUrl),
      `banyan.keys:${schema}`,
      (channel, payload) => connections.readOnce('SELECT pg_notify($1, $2)', [channel, payload]),
      this.#watcher,
      clock,
    )
    this.#watcher.listenWith(this.#listener)
  }

  /** Sees that this is the primary, and takes part in telling the time. */
  async begin(): Promise<void> {
    const absent = await this.#heart.beat()
    if (absent && this.#settings.countAbsence) {
      await sleep(this.#clock, ATTENDED_MS)
      await this.#heart.beat(true)
    }
    this.#heart.start()
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#reader.get(key)
  }

  async list(prefix: string): Promise<Listing> {
    const listing = await this.#reader.list(prefix)
    this.#known = Math.max(this.#known, listing.revision)
    return listing
  }

  put(key: string, value: string, expected: Expected, lease: string | undefined): Promise<PutResult> {
    return this.#writer.put(key, value, expected, lease)
  }

  delete(key: string, expected: Expected): Promise<DeleteResult> {
    return this.#writer.delete(key, expected)
  }

  head(): Promise<number> {
    return this.#reader.head()
  }

  /** The name is given here, and never again anywhere: whoever asks twice, as the answer was lost, has one lease. */
  async grant(ttl: number): Promise<Grant> {
    const id = randomUUID()
    const ms = Math.ceil(ttl)
    let lost = false
    await this.#connections.patiently(
      () => this.#connections.ask(`SELECT "${this.#settings.schema}".grant_lease($1, $2)`, [id, ms]),
      (error, fault) => {
        lost ||= fault === 'lost'
        const { place } = this.#connections
        return lost
          ? coordinationError(
              'BANYAN_OUTCOME_UNKNOWN',
              `the connection to PostgreSQL at ${place} was lost while a lease was taken`,
              error,
            )
          : errorOf(error, place)
      },
    )
    this.#heart.hasten(ms)
    return { id, ttl: ms }
  }

  async renew(leases: readonly string[], within: number): Promise<boolean[]> {
    const own = this.#heart.own
    try {
      const [[kept] = []] = await this.#connections.ask(
        `SELECT array_to_json("${this.#settings.schema}".renew_leases($1, $2, $3))`,
        [textArray(leases), own?.mark ?? null, own?.age ?? null],
        Math.ceil(within * USEFUL),
      )
      const those = new Set(typeof kept === 'string' ? (JSON.parse(kept) as string[]) : [])
      return leases.map((id) => those.has(id))
    } catch (error) {
      if (faultOf(error) !== 'lost') throw errorOf(error, this.#connections.place)
      throw coordinationError(
        'BANYAN_OUTCOME_UNKNOWN',
        `PostgreSQL at ${this.#connections.place} did not answer to a renewal`,
        error,
      )
    }
  }

  revoke(lease: string): Promise<void> {
    return this.#writer.end(lease)
  }

  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<Changes> {
    return this.#feed.watch(prefix, after, signal)
  }

  async close(): Promise<void> {
    this.#heart.close()
    this.#watcher.close()
    await Promise.all([this.#listener?.close(), this.#connections.close()])
  }
}
