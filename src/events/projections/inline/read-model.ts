import type { Runtime } from '../../../core/runtime.js'
import { eventError } from '../../errors.js'
import type { EventLog, PendingEvent, RecordedEvent } from '../../log.js'
import { isSelected } from '../../query.js'
import { isSystemStream } from '../../transform.js'
import { Ahead } from '../ahead.js'
import { changed, describeVersion, fromRow, toRow, type Checkpoint } from '../checkpoint.js'
import { droppedError, isPassing } from '../failures.js'
import { HandlerError, Handling } from '../handling.js'
import { Parking } from '../parking.js'
import { withoutPlace } from '../pending.js'
import type { AnyProjection } from '../projection.js'
import { setUp } from '../setup.js'
import { MovedError, type ReadModelStore, type StoreTransaction } from '../store.js'
import { verify } from '../verification.js'
import type { InlineSettings } from './options.js'

/** There are more events of others than one transaction handles: whoever runs the projection has to come first. */
export class BehindError extends Error {
  readonly row: Checkpoint

  constructor(row: Checkpoint) {
    super(`${describeVersion(row)} is far behind the log`)
    this.row = row
  }
}

/** A read model that is brought to where the log is then, in the transaction of an append. */
export class InlineReadModel<Db> {
  readonly projection: AnyProjection<Db>
  readonly #store: ReadModelStore<Db>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #settings: InlineSettings
  readonly #handling: Handling<Db>

  constructor(
    projection: AnyProjection<Db>,
    store: ReadModelStore<Db>,
    log: EventLog,
    runtime: Runtime,
    settings: InlineSettings,
    closing: AbortSignal,
  ) {
    this.projection = projection
    this.#store = store
    this.#log = log
    this.#runtime = runtime
    this.#settings = settings
    this.#handling = new Handling(projection, log, settings.timeout, runtime.clock, closing)
  }

  /** Makes what is not there yet, and refuses what is not of this log. */
  async prepare(): Promise<void> {
    await verify(await this.#setUp(), this.projection, this.#store, this.#log)
  }

  /** Whoever finds that another process was faster uses what it has made. */
  async #setUp(): Promise<Checkpoint> {
    for (;;)
      try {
        return await setUp(this.projection, this.#store, this.#log, this.#runtime.clock)
      } catch (error) {
        if (!(error instanceof MovedError)) throw error
      }
  }

  /** Keeps others from moving the read model before the transaction ends. */
  async lock(transaction: StoreTransaction<Db>): Promise<Checkpoint> {
    const { name, version } = this.projection
    const found = await transaction.lock(name, version)
    if (!found) throw droppedError(this.projection)
    const row = fromRow(found)
    if (row.state !== 'failed') return row
    throw eventError(
      'BANYAN_PROJECTION_FAILED',
      `${describeVersion(row)} has stopped, so nothing that it would have to handle inline was appended: ${row.details.error ?? 'it has failed'}`,
    )
  }

  /**
   * Handles what others have appended, and what this transaction has. Of a stream nothing can come between: the transaction
   * has locked those that it has appended to.
   *
   * @throws {@link BehindError}, {@link HandlerError}
   */
  async catchUp(
    transaction: StoreTransaction<Db>,
    row: Checkpoint,
    appended: readonly PendingEvent[],
  ): Promise<void> {
    const ahead = new Ahead(row)
    const [others, parking] = await Promise.all([
      this.#othersBehind(row, ahead),
      this.#parkingOf(transaction),
    ])
    const own = appended
      .filter((event) => !isSystemStream(event.stream) && isSelected(this.projection.select, event))
      .map((event) => withoutPlace(event, this.projection))
      // Whoever passes it sets it aside, behind the others of its key.
      .filter((event) => !parking?.isBehind(event))
    const events = [...others.filter((event) => !ahead.has(event) && !parking?.isBehind(event)), ...own]
    if (events.length > 0) await this.#handle(transaction, row, events)
    if (parking)
      for (const event of others)
        if (!ahead.has(event) && parking.isBehind(event))
          await parking.park(transaction, event, 0, 'an earlier event of its key is parked')
    const last = others.at(-1)
    if (!last && own.length === 0) return
    const details = {
      ...ahead.moved(row.details, others, own),
      ...(last && { last: { position: last.position, id: last.id } }),
      built: true,
      inlined: (row.details.inlined ?? 0) + 1,
    }
    const change = { position: last?.position ?? row.position, state: 'running', details } as const
    await transaction.put(toRow(changed(row, this.#runtime.clock.wall(), change)), row.revision)
  }

  async #othersBehind(row: Checkpoint, ahead: Ahead): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = []
    const most = this.#settings.batch + ahead.size
    const options = { from: row.position, faults: 'give' } as const
    for await (const event of this.#log.read(this.projection.select, options)) {
      if (isSystemStream(event.stream)) continue
      if (events.length === most) throw new BehindError(row)
      events.push(event)
    }
    return events
  }

  /** Mostly nothing is parked, which is one look. */
  async #parkingOf(transaction: StoreTransaction<Db>): Promise<Parking<Db> | undefined> {
    const { name, version } = this.projection
    if ((await transaction.parked(name, version, { limit: 1 })).length === 0) return undefined
    const parking = new Parking(this.projection, this.#runtime.clock)
    await parking.load(this.#store)
    return parking
  }

  async #handle(
    transaction: StoreTransaction<Db>,
    row: Checkpoint,
    events: readonly RecordedEvent[],
  ): Promise<void> {
    try {
      await this.#handling.handle(transaction.db, events, Infinity)
    } catch (error) {
      if (!(error instanceof HandlerError)) throw error
      if (error.cause instanceof MovedError || isPassing(error)) throw error.cause
      throw eventError(
        'BANYAN_PROJECTION_FAILED',
        `nothing was appended, as ${describeVersion(row)} failed to handle ${error.message}`,
        error.cause,
      )
    }
  }
}
