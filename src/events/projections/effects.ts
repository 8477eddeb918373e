import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import type { EventLog, Position, RecordedEvent, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { changed, fromRow, toRow, withError, type Checkpoint } from './checkpoint.js'
import { reasonOf, type Handling } from './handling.js'
import type { AnyProjection } from './projection.js'
import { EFFECTS } from './setup.js'
import { MovedError, type ReadModelStore } from './store.js'

/** How often, in ms, it is looked whether the read model has an event already, or another version is active. */
const LOOK_FIRST_MS = 5
const LOOK_LAST_MS = 500
/** Pauses between tries, in ms. */
const PAUSE_FIRST_MS = 200
const PAUSE_LAST_MS = 60_000

interface Surroundings {
  readonly count: Counter
  /** Whether the side effects are those of this projector now. */
  readonly isRunner: (row: Checkpoint) => boolean
  readonly signal: AbortSignal
}

/**
 * Runs side effects behind the read model. One cursor stands for all versions of a projection and moves after an effect has
 * run, so that a rebuild, a switch, and the way back repeat none. What fails is tried until it succeeds: the next one waits.
 */
export class Effects<Db> {
  /** What is wrong; undefined if nothing is. */
  error: string | undefined
  readonly #projection: AnyProjection<Db>
  readonly #store: ReadModelStore<Db>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #handling: Handling<Db>
  readonly #surroundings: Surroundings
  #cursor: Checkpoint | undefined

  constructor(
    projection: AnyProjection<Db>,
    store: ReadModelStore<Db>,
    log: EventLog,
    runtime: Runtime,
    handling: Handling<Db>,
    surroundings: Surroundings,
  ) {
    this.#projection = projection
    this.#store = store
    this.#log = log
    this.#runtime = runtime
    this.#handling = handling
    this.#surroundings = surroundings
  }

  /** Runs until the signal aborts; never throws. */
  async run(): Promise<void> {
    const { signal } = this.#surroundings
    for (let tries = 0; !this.#isOver();) {
      try {
        const from = await this.#readCursor()
        if (from === undefined) await this.#pause(LOOK_LAST_MS)
        else {
          for await (const { events } of this.#log.follow(this.#selector, { from, signal, faults: 'give' }))
            for (const event of events) {
              await this.#run(event)
              tries = 0
            }
          return
        }
      } catch (error) {
        if (this.#isOver()) return
        if (error instanceof MovedError) continue
        this.error = reasonOf(error)
        this.#runtime.telemetry.log(
          'error',
          `a side effect of ${this.#projection.name} is tried again: ${this.error}`,
        )
        await this.#keepError()
        await this.#pause(Math.min(PAUSE_FIRST_MS * 2 ** tries++, PAUSE_LAST_MS))
      }
    }
  }

  #isOver(): boolean {
    return this.#surroundings.signal.aborted
  }

  get #selector(): Selector {
    return { ...this.#projection.select, types: Object.keys(this.#projection.effects!) }
  }

  async #run(event: RecordedEvent): Promise<void> {
    if (isSystemStream(event.stream) || !(await this.#isDue(event))) return
    await this.#handling.effect(event)
    this.error = undefined
    const cursor = this.#cursor!
    const next = changed(cursor, this.#runtime.clock.wall(), {
      position: event.position,
      details: withError(cursor.details, undefined),
    })
    await this.#store.write((transaction) => transaction.put(toRow(next), cursor.revision))
    this.#cursor = next
    this.#surroundings.count.add(1)
  }

  /**
   * Waits until the read model of the active version has an event, and this is who runs its effects.
   *
   * @returns false if the effect has run elsewhere
   */
  async #isDue({ position }: RecordedEvent): Promise<boolean> {
    for (let pause = LOOK_FIRST_MS; ; pause = Math.min(pause * 2, LOOK_LAST_MS)) {
      this.#surroundings.signal.throwIfAborted()
      const { name, version } = this.#projection
      const rows = (await this.#store.read((view) => view.rows(name))).map(fromRow)
      const cursor = rows.find((row) => row.version === EFFECTS)
      if (!cursor || cursor.position >= position) return false
      this.#cursor = cursor
      const own = rows.find((row) => row.version === version)
      if (own && own.position >= position && this.#surroundings.isRunner(own)) return true
      await this.#pause(pause)
    }
  }

  /** Undefined if there is none yet. */
  async #readCursor(): Promise<Position | undefined> {
    const rows = await this.#store.read((view) => view.rows(this.#projection.name))
    const row = rows.find(({ version }) => version === EFFECTS)
    this.#cursor = row && fromRow(row)
    return row?.position
  }

  /** So that those who look at the store see it. */
  async #keepError(): Promise<void> {
    const cursor = this.#cursor
    if (!cursor || cursor.details.error === this.error) return
    const change = { details: withError(cursor.details, this.error) }
    const next = changed(cursor, this.#runtime.clock.wall(), change)
    try {
      await this.#store.write((transaction) => transaction.put(toRow(next), cursor.revision))
    } catch (error) {
      if (!(error instanceof MovedError || error instanceof BanyanError)) throw error
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#surroundings
    return sleep(this.#runtime.clock, ms, signal).catch(() => undefined)
  }
}
