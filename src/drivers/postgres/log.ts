import type { EncodedCommit, DriverContext, LogDriver, Outcome, Page, Query } from '../../events/driver.js'
import type {
  Capabilities,
  LogStats,
  Position,
  StreamInfo,
  Truncation,
  TruncateResult,
} from '../../events/log.js'
import { parsePosition } from '../../events/position.js'
import { Appender } from './appender.js'
import type { Connections } from './connections.js'
import { Listener } from './listener.js'
import { openLogConnections } from './migrate.js'
import { Reader } from './reader.js'
import { settingsOf, type Settings } from './settings.js'
import type { PostgresLogSpec } from './spec.js'
import { Upkeep } from './upkeep.js'
import { verifyTables, type Problem } from './verify.js'
import { Watcher } from './watcher.js'
import { appendWithin } from './within.js'

const CAPABILITIES: Capabilities = {
  driver: 'postgres',
  order: 'log',
  atomic: 'log',
  dedupe: 'for ever',
  durable: 'server',
  shared: 'network',
  transactions: true,
  backup: false,
}

/**
 * Opens an event log in a PostgreSQL database. The tables are in `migrations/`, with what keeps the laws of the log:
 *
 * - Positions are given out under one lock of the log, held to the commit. So the order of positions is the order of
 *   commits, and a reader who has seen a position has seen all before it: there is nothing to skip, whatever other
 *   transactions of the server are open.
 * - What is appended inside an application's transaction waits without a position until that has committed; whoever comes
 *   next, to append or to read, moves it into the log. Locks of streams keep the order within each.
 * - Ids of commits are kept for ever, so a commit can be sent again whenever the connection was lost.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_LOG_FORMAT`, `BANYAN_LOG_UNAVAILABLE`
 */
export async function openPostgresLog(spec: PostgresLogSpec, context: DriverContext): Promise<LogDriver> {
  const settings = settingsOf(spec)
  const connections = await openLogConnections(settings, context.clock)
  return new PostgresLog(connections, settings, context)
}

class PostgresLog implements LogDriver {
  readonly capabilities = CAPABILITIES
  /** One at a time: the next group would only wait for the lock, and two halves cost more than a whole. */
  readonly parallel = 1
  readonly consecutive = true
  readonly #connections: Connections
  readonly #schema: string
  readonly #appender: Appender
  readonly #reader: Reader
  readonly #upkeep: Upkeep
  readonly #watcher: Watcher
  readonly #listener: Listener | undefined

  constructor(connections: Connections, settings: Settings, { clock }: DriverContext) {
    const { schema, listenUrl } = settings
    this.#connections = connections
    this.#schema = schema
    this.#appender = new Appender(connections, settings, clock)
    this.#reader = new Reader(connections, schema)
    this.#upkeep = new Upkeep(connections, this.#reader, schema)
    const look = async (): Promise<number> => parsePosition(await this.#reader.head())
    this.#watcher = new Watcher(look, settings.poll, clock)
    if (listenUrl === undefined) return
    this.#listener = new Listener(
      () => connections.listener(listenUrl),
      `banyan:${schema}`,
      (channel, payload) => connections.read('SELECT pg_notify($1, $2)', [channel, payload]),
      this.#watcher,
      clock,
    )
    this.#watcher.listenWith(this.#listener)
  }

  async append(group: readonly EncodedCommit[]): Promise<(Outcome | Promise<Outcome>)[]> {
    const outcomes = await this.#appender.append(group)
    for (const outcome of outcomes) void this.#tell(outcome)
    return outcomes
  }

  appendWithin(transaction: unknown, commit: EncodedCommit): Promise<Outcome> {
    return appendWithin(transaction, commit, this.#schema, this.#connections)
  }

  read(query: Query): Promise<Page> {
    return this.#reader.page(query)
  }

  head(): Promise<Position> {
    return this.#reader.head()
  }

  positionAt(time: number): Promise<Position> {
    return this.#upkeep.positionAt(time)
  }

  changed(position: Position, signal: AbortSignal): Promise<void> {
    return this.#watcher.changed(parsePosition(position), signal)
  }

  revision(stream: string): Promise<number | 'none'> {
    return this.#upkeep.revision(stream)
  }

  streams(query: { category?: string; after?: string; limit: number }): Promise<StreamInfo[]> {
    return this.#upkeep.streams(query)
  }

  truncate(what: Truncation): Promise<TruncateResult> {
    return this.#upkeep.truncate(what)
  }

  hold(name: string, position: Position): Promise<void> {
    return this.#upkeep.hold(name, position)
  }

  release(name: string): Promise<void> {
    return this.#upkeep.release(name)
  }

  stats(): Promise<LogStats> {
    return this.#upkeep.stats()
  }

  verify(signal: AbortSignal): AsyncIterable<Problem> {
    return verifyTables(this.#connections, this.#schema, signal)
  }

  async close(): Promise<void> {
    await this.#appender.close()
    this.#watcher.close()
    await Promise.all([this.#listener?.close(), this.#connections.close()])
  }

  async #tell(given: Outcome | Promise<Outcome>): Promise<void> {
    const outcome = await Promise.resolve(given).catch(() => undefined)
    if (outcome?.kind === 'appended') this.#watcher.appended(parsePosition(outcome.position!))
  }
}
