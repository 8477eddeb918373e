import type { Timer } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Batch, EventLog, Position, RecordedEvent } from '../log.js'
import { isSystemStream } from '../transform.js'
import { Ahead } from './ahead.js'
import { changed, describeVersion, fromRow, toRow, type Checkpoint } from './checkpoint.js'
import { CarefulError, isPassing, isStale, mustHold, truncatedError } from './failures.js'
import { HandlerError, reasonOf, type Handling } from './handling.js'
import type { ProjectionInstruments } from './instruments.js'
import type { RunSettings } from './options.js'
import { Parking } from './parking.js'
import { bucketOfEvent, wholeName } from './parts.js'
import type { AnyProjection } from './projection.js'
import { MovedError, type ReadModelStore, type StoreTransaction } from './store.js'

/** How often the position of a bucket is written that has passed only what is for others. */
const PASSED_MS = 1000

/** What a projector works with. */
export interface ProjectorContext<Db> {
  readonly store: ReadModelStore<Db>
  readonly log: EventLog
  readonly runtime: Runtime
  /** Tells those who wait for a projection that it has moved. */
  readonly moved: (name: string) => void
  /** Waits until the read model has everything that is in the log now. */
  readonly reachHead: (signal: AbortSignal) => Promise<void>
}

/** Follows the log with one version, and puts events and checkpoint into the store, both or neither. */
export class Following<Db> {
  /** The row as this process has written it last. */
  row: Checkpoint | undefined
  /** How long ago the first event was appended that is not in the read model, in s. */
  readonly lag = (): number => {
    const { clock } = this.#context.runtime
    return this.#behindSince === undefined ? 0 : Math.max(0, clock.wall() - this.#behindSince) / 1000
  }
  readonly #projection: AnyProjection<Db>
  readonly #context: ProjectorContext<Db>
  readonly #settings: RunSettings
  readonly #handling: Handling<Db>
  readonly #parking: Parking<Db>
  readonly #signal: AbortSignal
  /** Tries that failed behind a position. */
  #tries: { readonly at: Position | undefined; readonly count: number } = { at: undefined, count: 0 }
  /** Up to here every event has a transaction of its own, so that it is known which one fails. */
  #carefulUntil: Position = ''
  /** When, on the monotonic clock, the row was written. */
  #writtenAt = 0
  /** What was passed since then, with the last event of it. */
  #passed: { readonly batch: Batch; readonly last: RecordedEvent | undefined } | undefined
  #passing: Timer | undefined
  #turn: Promise<void> = Promise.resolve()
  /** When the first event was appended that is not in the read model, in ms since the epoch. */
  #behindSince: number | undefined

  constructor(
    projection: AnyProjection<Db>,
    context: ProjectorContext<Db>,
    settings: RunSettings,
    handling: Handling<Db>,
    signal: AbortSignal,
  ) {
    this.#projection = projection
    this.#context = context
    this.#settings = settings
    this.#handling = handling
    this.#parking = new Parking(projection, context.runtime.clock)
    this.#signal = signal
  }

  /** How often what comes next has failed. */
  get tries(): number {
    return this.#tries.at === this.row?.position ? this.#tries.count : 0
  }

  /** What comes next has failed; returns how often by now. */
  fail(): number {
    this.#tries = { at: this.row?.position, count: this.tries + 1 }
    return this.#tries.count
  }

  /** Runs until the signal aborts or the log is closed. */
  async run(row: Checkpoint, instruments: ProjectionInstruments): Promise<void> {
    const { log, store } = this.#context
    this.row = row
    await this.#parking.load(store)
    // What a transform cannot show fails where it is handled, as what a handler cannot take does.
    const { batch: most } = this.#settings
    const options = { from: row.position, batch: most, signal: this.#signal, faults: 'give' } as const
    try {
      for await (const batch of log.follow(this.#projection.select, options)) {
        if (batch.truncated && !this.#settings.allowTruncated)
          throw truncatedError(this.#projection, this.row.position)
        // What patterns of Banyan keep in the log is nobody else's business.
        const events = batch.events.filter(({ stream }) => !isSystemStream(stream))
        if (this.#projection.part) await this.#inTurn(() => this.#takeOrPass(batch, events, instruments))
        else await this.#take(batch, events, instruments)
        this.#behindSince = batch.caughtUp ? undefined : batch.events.at(-1)?.recorded
      }
    } finally {
      this.#passing?.cancel()
      this.#passing = undefined
      this.#passed = undefined
      await this.#turn
    }
  }

  async #takeOrPass(
    batch: Batch,
    events: readonly RecordedEvent[],
    instruments: ProjectionInstruments,
  ): Promise<void> {
    if (this.#mayPass(batch, events)) return
    const last = this.#passed?.last
    // The row says which event is the last up to its position, also if that was for another bucket.
    await this.#take(batch, events.length === 0 && last ? [last] : events, instruments)
  }

  /** A batch, in as many transactions as its time needs. */
  async #take(
    batch: Batch,
    events: readonly RecordedEvent[],
    instruments: ProjectionInstruments,
  ): Promise<void> {
    const { clock } = this.#context.runtime
    let done = 0
    do {
      if (this.#signal.aborted) return
      const isCareful = events.length > 0 && events[done]!.position <= this.#carefulUntil
      const end = isCareful ? done + 1 : events.length
      const begun = clock.now()
      const count = await this.#tryTo(batch, events.slice(done, end), end === events.length, instruments)
      instruments.committed(count, clock.now() - begun)
      done += count
      // Others have their turn between two transactions.
      if (done < events.length) await new Promise((resolve) => setImmediate(resolve))
    } while (done < events.length)
  }

  /**
   * Passes a batch that has nothing for the bucket that this runs for: its position is written now and then, as every bucket
   * would write for every event otherwise.
   */
  #mayPass(batch: Batch, events: readonly RecordedEvent[]): boolean {
    if (!this.#projection.part || events.some((event) => this.#isMine(event))) return false
    if (batch.caughtUp && this.row!.state !== 'running') return false
    const { clock } = this.#context.runtime
    if (clock.now() - this.#writtenAt >= PASSED_MS) return false
    this.#passed = { batch, last: events.at(-1) ?? this.#passed?.last }
    this.#passing ??= clock.schedule(this.#writtenAt + PASSED_MS, () => {
      this.#passing = undefined
      // Whatever is wrong is found with the next batch, too.
      this.#inTurn(() => this.#writePassed()).catch(() => undefined)
    })
    return true
  }

  async #writePassed(): Promise<void> {
    const passed = this.#passed
    if (!passed || this.#signal.aborted) return
    const { next } = await this.#transact(passed.batch, passed.last ? [passed.last] : [], true)
    this.#moveTo(next)
  }

  /** One thing after the other, whichever fails. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #isMine(event: RecordedEvent): boolean {
    const { part, key } = this.#projection
    if (!part) return true
    try {
      return bucketOfEvent(event, key, part.buckets) === part.bucket
    } catch (error) {
      throw new HandlerError(event, error)
    }
  }

  /** @returns how many events are dealt with */
  async #tryTo(
    batch: Batch,
    events: readonly RecordedEvent[],
    isLast: boolean,
    instruments: ProjectionInstruments,
  ): Promise<number> {
    try {
      const { count, next } = await this.#transact(batch, events, isLast)
      if (next !== this.row) this.#moveTo(next)
      return count
    } catch (error) {
      if (error instanceof MovedError || isPassing(error) || isStale(error)) throw error
      if (events.length > 1) {
        this.#carefulUntil = events.at(-1)!.position
        throw new CarefulError()
      }
      if (!(error instanceof HandlerError && (await this.#mayPark()))) throw error
      await this.#park(error, isLast && batch.caughtUp)
      instruments.failures.add(1)
      instruments.parked.add(1)
      return 1
    }
  }

  /** Handlers and checkpoint in one transaction. If somebody else has moved the checkpoint, nothing of it happens. */
  #transact(
    batch: Batch,
    events: readonly RecordedEvent[],
    isLast: boolean,
  ): Promise<{ count: number; next: Checkpoint }> {
    const { store, runtime } = this.#context
    const until = runtime.clock.now() + this.#settings.transactionTime
    mustHold(this.#projection, this.#settings.fence)
    return store.write(async (transaction) => {
      const row = await this.#lock(transaction)
      const ahead = new Ahead(row)
      const fresh = ahead
        .without(events)
        .filter((event) => event.position > row.position && this.#isMine(event))
      const kept = fresh.filter((event) => !this.#parking.isBehind(event))
      const handled = kept.length === 0 ? 0 : await this.#handling.handle(transaction.db, kept, until)
      const count = handled === kept.length ? events.length : events.indexOf(kept[handled]!)
      if (kept.length < fresh.length)
        for (const event of fresh)
          if (events.indexOf(event) < count && this.#parking.isBehind(event))
            await this.#parking.park(transaction, event, 0, 'an earlier event of its key is parked')
      const next = this.#after(row, ahead, batch, events.slice(0, count), isLast && count === events.length)
      if (next !== row) await transaction.put(toRow(next), row.revision)
      return { count, next }
    })
  }

  /** The row as it is: inline appends may have moved it on, and nobody else. */
  async #lock(transaction: StoreTransaction<Db>): Promise<Checkpoint> {
    const row = this.row!
    const found = await transaction.lock(row.name, row.version)
    if (found?.revision === row.revision) return row
    const locked = found && fromRow(found)
    const inlined = (locked?.details.inlined ?? 0) - (row.details.inlined ?? 0)
    if (locked?.owner !== row.owner || locked.revision !== row.revision + inlined) throw new MovedError()
    return locked
  }

  /** The row after some events; the same one if nothing has changed. */
  #after(
    row: Checkpoint,
    ahead: Ahead,
    batch: Batch,
    events: readonly RecordedEvent[],
    isWhole: boolean,
  ): Checkpoint {
    const last = events.at(-1)
    const reached = isWhole ? batch.position : (last?.position ?? row.position)
    const position = reached > row.position ? reached : row.position
    const state = isWhole && batch.caughtUp ? 'running' : row.state
    if (position === row.position && state === row.state) return row
    const details = {
      ...ahead.moved(row.details, events),
      ...(last && last.position > row.position && { last: { position: last.position, id: last.id } }),
      ...(state === 'running' && { built: true }),
    }
    return changed(row, this.#context.runtime.clock.wall(), { position, state, details })
  }

  /** What is built beside the version that is read never goes on without an event. */
  async #mayPark(): Promise<boolean> {
    const { onError, attempts } = this.#settings
    const { details } = this.row!
    if (onError !== 'park' || this.#signal.aborted || this.tries + 1 < attempts) return false
    return details.built === true || (await this.#isRead())
  }

  /** Whether this is the version that is read. */
  async #isRead(): Promise<boolean> {
    const { name, version, active } = this.row!
    if (!this.#projection.part) return active
    const rows = await this.#context.store.read((view) => view.rows(wholeName(name)))
    return rows.some((row) => row.version === version && row.active)
  }

  /** @param atEnd - whether nothing is behind it */
  async #park({ event, cause, message }: HandlerError, atEnd: boolean): Promise<void> {
    const { store, runtime } = this.#context
    const { position, id } = event
    const next = await store.write(async (transaction) => {
      const row = await this.#lock(transaction)
      // It has succeeded meanwhile, before something was appended.
      if (row.position >= position) throw new MovedError()
      const details = {
        ...new Ahead(row).moved(row.details, [event]),
        last: { position, id },
        ...(atEnd && { built: true }),
      }
      const state = atEnd ? 'running' : row.state
      const moved = changed(row, runtime.clock.wall(), { position, state, details })
      await this.#parking.park(transaction, event, this.#settings.attempts, reasonOf(cause))
      await transaction.put(toRow(moved), row.revision)
      return moved
    })
    this.#parking.parked(event)
    runtime.telemetry.log('error', `${describeVersion(next)} has parked ${message}`)
    this.#moveTo(next)
  }

  #moveTo(row: Checkpoint): void {
    this.row = row
    this.#writtenAt = this.#context.runtime.clock.now()
    this.#passed = undefined
    this.#passing?.cancel()
    this.#passing = undefined
    this.#tries = { at: undefined, count: 0 }
    this.#context.moved(row.name)
  }
}
