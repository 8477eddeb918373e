import type { Runtime } from '../../../core/runtime.js'
import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../errors.js'
import type {
  AppendResult,
  Batch,
  Capabilities,
  Commit,
  EventLog,
  EventShape,
  Finding,
  FollowOptions,
  LogStats,
  NewEvent,
  PendingEvent,
  Position,
  ReadOptions,
  Recorded,
  Selector,
  StreamAppend,
  StreamInfo,
  StreamsOptions,
  TransactionAppender,
  Truncation,
  TruncateResult,
  VerifyOptions,
} from '../../log.js'
import { isSelected } from '../../query.js'
import { uuid7 } from '../../uuid.js'
import type { AnyProjection } from '../projection.js'
import type { ReadModelStore } from '../store.js'
import { InlineAppends } from './appends.js'
import type { InlineSettings } from './options.js'
import { InlineReadModel } from './read-model.js'

/** SQLSTATEs of a schema and of a function that are not there. */
const NO_LOG = ['3F000', '42883']

/** The log, whose appends bring read models to where it is then. Everything else is as it is. */
export class InlineLog<Db> implements EventLog {
  readonly capabilities: Capabilities
  readonly #log: EventLog
  readonly #store: ReadModelStore<Db>
  readonly #runtime: Runtime
  readonly #models: readonly InlineReadModel<Db>[]
  readonly #appends: InlineAppends<Db>
  readonly #closing = new AbortController()
  #prepared: Promise<void> | undefined

  constructor(
    projections: readonly AnyProjection<Db>[],
    store: ReadModelStore<Db>,
    log: EventLog,
    runtime: Runtime,
    settings: InlineSettings,
  ) {
    this.capabilities = log.capabilities
    this.#log = log
    this.#store = store
    this.#runtime = runtime
    const { signal } = this.#closing
    this.#models = [...projections]
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version))
      .map((projection) => new InlineReadModel(projection, store, log, runtime, settings, signal))
    this.#appends = new InlineAppends(this.#models, store, log, runtime, settings, signal)
  }

  get transformed(): boolean {
    return this.#log.transformed ?? false
  }

  newestVersion(type: string): number | undefined {
    return this.#log.newestVersion?.(type)
  }

  asRead(append: StreamAppend): Promise<readonly PendingEvent[]> {
    return this.#log.asRead?.(append) ?? Promise.resolve([])
  }

  async append(commit: Commit): Promise<AppendResult> {
    if (this.#closing.signal.aborted) throw closed()
    if (!this.#concerns(commit)) return this.#log.append(commit)
    await this.#prepare()
    return this.#appends.append(commit)
  }

  within(transaction: unknown, options?: { events?: boolean }): TransactionAppender {
    const plain = this.#log.within(transaction, options)
    return {
      append: async (commit) => {
        if (this.#closing.signal.aborted) throw closed()
        if (!this.#concerns(commit)) return plain.append(commit)
        await this.#prepare()
        return this.#appends.within(transaction, commit, options?.events ?? false)
      },
    }
  }

  read<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: ReadOptions,
  ): AsyncIterable<Recorded<Event>> {
    return this.#log.read<Event>(selector, options)
  }

  follow<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: FollowOptions,
  ): AsyncIterable<Batch<Recorded<Event>>> {
    return this.#log.follow<Event>(selector, options)
  }

  head(): Promise<Position> {
    return this.#log.head()
  }

  positionAt(time: number): Promise<Position> {
    return this.#log.positionAt(time)
  }

  revision(stream: string): Promise<number | 'none'> {
    return this.#log.revision(stream)
  }

  streams(options?: StreamsOptions): AsyncIterable<StreamInfo> {
    return this.#log.streams(options)
  }

  truncate(what: Truncation): Promise<TruncateResult> {
    return this.#log.truncate(what)
  }

  hold(name: string, position: Position): Promise<void> {
    return this.#log.hold(name, position)
  }

  release(name: string): Promise<void> {
    return this.#log.release(name)
  }

  stats(): Promise<LogStats> {
    return this.#log.stats()
  }

  verify(options?: VerifyOptions): AsyncIterable<Finding> {
    return this.#log.verify(options)
  }

  backup(to: string): Promise<void> {
    return this.#log.backup(to)
  }

  /** Refuses new appends and waits for those that were accepted. The log that it stands before stays open. */
  async close(): Promise<void> {
    this.#closing.abort(closed())
    await this.#appends.settle()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What is no commit is told by the log. */
  #concerns({ streams = [] }: Commit): boolean {
    if (!Array.isArray(streams)) return false
    const appends = streams as NonNullable<Commit['streams']>
    return appends.some(
      ({ stream, events }) =>
        Array.isArray(events) &&
        this.#models.some(({ projection }) =>
          (events as readonly NewEvent[]).some((event) =>
            isSelected(projection.select, { ...event, stream }),
          ),
        ),
    )
  }

  async #prepare(): Promise<void> {
    this.#prepared ??= this.#begin()
    try {
      await this.#prepared
    } catch (error) {
      this.#prepared = undefined
      throw error
    }
  }

  async #begin(): Promise<void> {
    await this.#mustBeTogether()
    for (const model of this.#models) await model.prepare()
  }

  /** Otherwise events would come to a log that is in the database of the read models, if there is one. */
  async #mustBeTogether(): Promise<void> {
    const stream = `$inline-${uuid7(this.#runtime.clock.wall())}`
    try {
      await this.#store.write(({ client }) =>
        this.#log.within(client).append({ checks: [{ stream, expected: 'none' }] }),
      )
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (!NO_LOG.includes(code) && code !== 'BANYAN_INVALID_COMMIT') throw error
      throw eventError(
        'BANYAN_UNSUPPORTED',
        'inline projections need the event log and the read models in one database, and these are in two. ' +
          'Put them together, or run the projection and read after the position of the append',
        error instanceof BanyanError ? undefined : error,
      )
    }
  }
}

function closed(): Error {
  return eventError('BANYAN_LOG_CLOSED', 'the log with inline projections is closed')
}
