import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { EventLog, Position } from '../log.js'
import { numberOfPart, type OwnedPart } from '../owned-part.js'
import { InlineLog } from './inline/inline-log.js'
import { idleProjector } from './idle.js'
import { inlineSettings, type InlineOptions } from './inline/options.js'
import { runSettings, type RunOptions } from './options.js'
import { parkedOf } from './parking.js'
import { partOf, wholeName, type KeyOf } from './parts.js'
import type { AnyProjection } from './projection.js'
import { RunningProjector, type Projector } from './projector.js'
import { Reading, type QueryContext, type QueryOptions } from './reading.js'
import { redriveAll, type Redriven } from './redrive.js'
import { statusesOf, type ProjectionStatus } from './status.js'
import type { Maybe, ParkedRow, ReadModelStore } from './store.js'
import { Versions, type Switched, type SwitchOptions } from './versions.js'
import { Waiting } from './waiting.js'

/** Options of `openReadModels`. */
export interface ReadModelsOptions {
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<ReadModelsOptions> = {
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Read models in one store, made of the events of one log. */
export interface ReadModels<Db> extends AsyncDisposable {
  /** `memory`, `sqlite`, `postgres`; `checkpoints` for a {@link CheckpointStore}. */
  readonly engine: string

  /**
   * Runs a projection until it is closed. The first version of a name is read at once; a later one is built beside it, and
   * read after {@link ReadModels.switch}.
   *
   * Guarantee: every selected event is in the read model once, in the order of the log, as its handler and the checkpoint
   * share one transaction. That is of what is done through `db` alone, and not of a store of checkpoints only, where handlers
   * see events at least once.
   */
  run(projection: AnyProjection<Db>, options?: RunOptions): Projector

  /**
   * The log, whose appends bring read models along in the same transaction: what was appended is read by every query that
   * begins afterwards. For a log and read models in one PostgreSQL database.
   *
   * Guarantee: events and read model both or neither; if a handler fails nothing is appended. Every event is handled once,
   * in the order of its stream; of different streams, an event that somebody else appends at the same moment may come in
   * another order than in the log. Handlers must not ask for `position` and `recorded`, which are not known yet. Appends
   * with the same projection come one after the other, in any process, many of them in one transaction.
   *
   * Run the projection as well: what is appended elsewhere comes to the read model that way. `close` of what is returned
   * leaves the log open.
   *
   * @param projections - which; others are not touched
   * @throws `BANYAN_UNSUPPORTED` on other engines; there a query takes `after`, the position of the append. Its `append`
   *   throws as that of the log does, and `BANYAN_PROJECTION_FAILED`, `BANYAN_PROJECTION_BEHIND`,
   *   `BANYAN_READ_MODEL_CORRUPT`
   */
  inline(projections: AnyProjection<Db> | readonly AnyProjection<Db>[], options?: InlineOptions): EventLog

  /**
   * Runs a new version beside the one that is read, until it has everything that is in the log.
   *
   * @param options - of the run; with `switch` it is read from then on
   * @returns what runs it, which goes on
   * @throws what has stopped it
   */
  rebuild(projection: AnyProjection<Db>, options?: RebuildOptions): Promise<Projector>

  /**
   * Reads one moment of a read model.
   *
   * @param projection - or its name
   * @returns what `work` returns
   * @throws `BANYAN_READ_TOO_OLD`, `BANYAN_READ_INCOMPLETE`, `BANYAN_PROJECTION_UNKNOWN`, `BANYAN_POSITION_AHEAD`
   */
  query<Result>(
    projection: string | { readonly name: string },
    work: (context: QueryContext<Db>) => Maybe<Result>,
    options?: QueryOptions,
  ): Promise<Result>

  /**
   * Waits until a read model is as new as the options say.
   *
   * @returns its position
   * @throws as {@link ReadModels.query} does
   */
  wait(projection: string | { readonly name: string }, options: QueryOptions): Promise<Position>

  /** Every version of every projection of the store, by name and version; one that is damaged says so as its `error`. */
  list(): Promise<ProjectionStatus[]>

  /**
   * Reads another version from now on, in one transaction: whoever reads sees the one or the other.
   *
   * @throws `BANYAN_PROJECTION_BEHIND` if that would be older than what is read now, `BANYAN_PROJECTION_UNKNOWN`
   */
  switch(name: string, version: number, options?: SwitchOptions): Promise<Switched>

  /** Switches back to the version that was read before; it is as new as the other one if it still runs. */
  undo(name: string, options?: SwitchOptions): Promise<Switched>

  /**
   * Removes a version with its tables.
   *
   * @throws `BANYAN_PROJECTION_BEHIND` if it is the one that is read, unless by force
   */
  drop(name: string, version: number, options?: { force?: boolean }): Promise<void>

  /**
   * What is parked of a version, in the order of the log.
   *
   * @param options.after - only behind this position; default from the first
   */
  parked(name: string, version: number, options?: { after?: Position }): AsyncIterable<ParkedRow>

  /**
   * Tries parked events again, those of one key in their order.
   *
   * @param options.key - only of this key; default of all
   */
  retryParked(
    projection: AnyProjection<Db>,
    options?: Pick<RunOptions, 'timeout' | 'signal'> & { key?: string },
  ): Promise<Redriven>

  /** Closes every projector that it runs, and the store. */
  close(): Promise<void>
}

/** Options of {@link ReadModels.rebuild}. */
export interface RebuildOptions extends RunOptions {
  /** Whether the new version is read as soon as it has caught up. Default false. */
  switch?: boolean
}

/** @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_UNSUPPORTED` */
export function readModels<Db>(
  store: ReadModelStore<Db>,
  log: EventLog,
  options: ReadModelsOptions = {},
): ReadModels<Db> {
  checkOptions('openReadModels', OPTIONS, options)
  if (log.capabilities.order !== 'log')
    throw eventError(
      'BANYAN_UNSUPPORTED',
      `the ${log.capabilities.driver} driver orders events by ${log.capabilities.order}: a checkpoint of a projection needs one order for all`,
    )
  return new StoredReadModels(store, log, options.runtime ?? systemRuntime)
}

class StoredReadModels<Db> implements ReadModels<Db> {
  readonly engine: string
  readonly #store: ReadModelStore<Db>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #waiting: Waiting
  readonly #reading: Reading<Db>
  readonly #versions: Versions<Db>
  readonly #projectors = new Set<Projector>()
  #closed: Promise<void> | undefined

  constructor(store: ReadModelStore<Db>, log: EventLog, runtime: Runtime) {
    this.engine = store.engine
    this.#store = store
    this.#log = log
    this.#runtime = runtime
    this.#waiting = new Waiting(runtime.clock)
    const isRun = (name: string): boolean =>
      [...this.#projectors].some((projector) => wholeName(projector.name) === name)
    this.#reading = new Reading(store, log, runtime, this.#waiting, isRun)
    this.#versions = new Versions(store, runtime.clock, this.#waiting.moved)
  }

  run(projection: AnyProjection<Db>, options: RunOptions = {}): Projector {
    const settings = runSettings('run', options)
    if (this.#closed) throw eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
    const run = options.part || projection.buckets ? toRun(projection, options.part) : projection
    if (!run) return idleProjector(projection, settings)
    const projector = new RunningProjector(
      run,
      {
        store: this.#store,
        log: this.#log,
        runtime: this.#runtime,
        moved: (name) => this.#waiting.moved(wholeName(name)),
        reachHead: (signal) => this.#reading.reachHead(run, signal),
      },
      settings,
    )
    this.#projectors.add(projector)
    const forget = (): void => void this.#projectors.delete(projector)
    projector.ended.then(forget, forget)
    return projector
  }

  inline(
    projections: AnyProjection<Db> | readonly AnyProjection<Db>[],
    options: InlineOptions = {},
  ): EventLog {
    const settings = inlineSettings(options)
    if (this.#closed) throw eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
    const { driver, transactions } = this.#log.capabilities
    if (!transactions || !this.#store.join)
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `inline projections need the event log and the read models in one PostgreSQL database; these are ${driver} and ${this.engine}. ` +
          'Run the projection, and query it after the position that the append returns: that reads what was written too',
      )
    const list = 'name' in projections ? [projections] : projections
    for (const { name, buckets } of list)
      if (buckets !== undefined)
        throw eventError(
          'BANYAN_UNSUPPORTED',
          `${name} has buckets, which an append does not wait for; leave out buckets to have it inline`,
        )
    return new InlineLog(list, this.#store, this.#log, this.#runtime, settings)
  }

  async rebuild(projection: AnyProjection<Db>, options: RebuildOptions = {}): Promise<Projector> {
    const { switch: switches = false, ...rest } = options
    const projector = this.run(projection, rest)
    try {
      await projector.caughtUp()
      if (switches) await this.switch(projection.name, projection.version)
      return projector
    } catch (error) {
      await projector.close()
      throw error
    }
  }

  query<Result>(
    projection: string | { readonly name: string },
    work: (context: QueryContext<Db>) => Maybe<Result>,
    options: QueryOptions = {},
  ): Promise<Result> {
    const key = typeof projection === 'object' && 'key' in projection ? (projection.key as KeyOf) : undefined
    return this.#reading.query({ name: nameOf(projection), key }, options, work)
  }

  wait(projection: string | { readonly name: string }, options: QueryOptions): Promise<Position> {
    return this.query(projection, ({ position }) => position, options)
  }

  list(): Promise<ProjectionStatus[]> {
    return statusesOf(this.#store, this.#log)
  }

  switch(name: string, version: number, options?: SwitchOptions): Promise<Switched> {
    return this.#versions.switch(name, version, options)
  }

  undo(name: string, options?: SwitchOptions): Promise<Switched> {
    return this.#versions.undo(name, options)
  }

  drop(name: string, version: number, options?: { force?: boolean }): Promise<void> {
    return this.#versions.drop(name, version, options)
  }

  parked(name: string, version: number, options?: { after?: Position }): AsyncIterable<ParkedRow> {
    return parkedOf(this.#store, name, version, options)
  }

  retryParked(
    projection: AnyProjection<Db>,
    { key, ...options }: Pick<RunOptions, 'timeout' | 'signal'> & { key?: string } = {},
  ): Promise<Redriven> {
    const settings = runSettings('retryParked', options)
    return redriveAll(projection, this.#store, this.#log, this.#runtime, settings, key)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#projectors].map((projector) => projector.close()))
    await this.#store.close()
  }
}

/**
 * A projection as it is run for a bucket.
 *
 * @returns undefined for all but the first part of a bucket that was split: that one has all of it
 * @throws `BANYAN_INVALID_OPTIONS`
 */
function toRun<Db>(
  projection: AnyProjection<Db>,
  part: OwnedPart | undefined,
): AnyProjection<Db> | undefined {
  const { name, buckets } = projection
  if (!part || buckets === undefined)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      part
        ? `run: ${name} is not divided; say into how many buckets, or run it without a part`
        : `run: ${name} is divided into ${buckets} buckets; say for which it is run (part), as a shard map gives it`,
    )
  const bucket = numberOfPart(name, part, buckets)
  return bucket === undefined ? undefined : partOf(projection, bucket)
}

function nameOf(projection: string | { readonly name: string }): string {
  return typeof projection === 'string' ? projection : projection.name
}
