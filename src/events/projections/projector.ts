import { sleep } from '../../core/clock.js'
import type { Position } from '../log.js'
import { newOwner, ownerLeft } from '../owner.js'
import {
  changed,
  describeVersion,
  fromRow,
  toRow,
  withError,
  withFence,
  type Checkpoint,
} from './checkpoint.js'
import { Effects } from './effects.js'
import {
  CarefulError,
  closedError,
  droppedError,
  isClosed,
  isFinal,
  isPassing,
  holds,
  isStale,
  mustHold,
  mustNotBeFenced,
  stoppedBy,
} from './failures.js'
import { Following, type ProjectorContext } from './following.js'
import { Handling, reasonOf } from './handling.js'
import { ProjectionInstruments } from './instruments.js'
import type { RunSettings } from './options.js'
import { isBehind, isFree, isRun, standBy, type Sight } from './ownership.js'
import type { AnyProjection } from './projection.js'
import { EFFECTS, setUp, setUpPart } from './setup.js'
import { MovedError } from './store.js'
import { verify } from './verification.js'

/**
 * What a projector does now. `standby`: another process runs the projection, and this one takes over when that one does not
 * go on. `retrying`: something has failed, and it waits to try again. `failed`: it has stopped.
 */
export type ProjectorState = 'starting' | 'running' | 'standby' | 'retrying' | 'failed' | 'closed'

/** What a projector says of itself. */
export interface ProjectorStatus {
  readonly state: ProjectorState
  /** Of the read model, as far as this projector knows. */
  readonly position: Position | undefined
  /** How often the present event has failed. */
  readonly attempts: number
  /** What is wrong now. */
  readonly error: string | undefined
  /** What is wrong with side effects now. */
  readonly effectsError: string | undefined
}

/** A projection that runs. */
export interface Projector extends AsyncDisposable {
  readonly name: string
  readonly version: number
  status(): ProjectorStatus
  /** Resolves when the read model has everything that is in the log now; rejects if the projector ends before. */
  caughtUp(): Promise<void>
  /** Resolves when it was closed, rejects when it has stopped for an error. Need not be looked at. */
  readonly ended: Promise<void>
  /** Ends it, and leaves the projection to another process at once. What a handler is in the middle of is rolled back. */
  close(): Promise<void>
}

/** Pauses between tries, in ms. */
const PAUSE_FIRST_MS = 100
const PAUSE_LAST_MS = 5000

/** The life of a projector: it comes to own a version, follows the log, and begins again when something fails. */
export class RunningProjector<Db> implements Projector {
  readonly name: string
  readonly version: number
  readonly ended: Promise<void>
  readonly #id: string
  readonly #projection: AnyProjection<Db>
  readonly #context: ProjectorContext<Db>
  readonly #settings: RunSettings
  readonly #closing = new AbortController()
  readonly #following: Following<Db>
  readonly #effects: Effects<Db> | undefined
  readonly #instruments: ProjectionInstruments
  #state: ProjectorState = 'starting'
  #error: string | undefined
  /** Its row was seen: if it is gone then, it was dropped, and is not made anew. */
  #wasThere = false

  constructor(projection: AnyProjection<Db>, context: ProjectorContext<Db>, settings: RunSettings) {
    const { runtime, store, log } = context
    const { signal } = this.#closing
    this.name = projection.name
    this.version = projection.version
    this.#projection = projection
    this.#context = context
    this.#settings = settings
    this.#id = newOwner(runtime.random)
    const handling = new Handling(projection, log, settings.timeout, runtime.clock, signal)
    this.#following = new Following(projection, context, settings, handling, signal)
    this.#instruments = new ProjectionInstruments(runtime, this.name, this.version, this.#following.lag)
    if (projection.effects)
      this.#effects = new Effects(projection, store, log, runtime, handling, {
        count: this.#instruments.effects,
        isRunner: (row) => row.active && row.owner === this.#id && holds(settings.fence),
        signal,
      })
    this.ended = this.#live()
    // Whoever does not look at it sees the same in `status` and in the log of the process.
    this.ended.catch(() => undefined)
  }

  status(): ProjectorStatus {
    return {
      state: this.#state,
      position: this.#following.row?.position,
      attempts: this.#following.tries,
      error: this.#state === 'running' && this.#following.tries === 0 ? undefined : this.#error,
      effectsError: this.#effects?.error,
    }
  }

  async caughtUp(): Promise<void> {
    const over = new AbortController()
    const end = async (): Promise<never> => {
      await this.ended
      throw closedError(this)
    }
    try {
      await Promise.race([this.#context.reachHead(over.signal), end()])
    } finally {
      over.abort()
    }
  }

  close(): Promise<void> {
    this.#closing.abort()
    return this.ended.catch(() => undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #live(): Promise<void> {
    const { signal, fence } = this.#settings
    const signals = [signal, fence?.signal].filter((each) => each !== undefined)
    const onAbort = (): void => this.#closing.abort()
    for (const each of signals)
      if (each.aborted) onAbort()
      else each.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.all([this.#run(), this.#effects?.run()])
    } finally {
      for (const each of signals) each.removeEventListener('abort', onAbort)
      ownerLeft(this.#id)
      this.#instruments.close()
    }
  }

  async #run(): Promise<void> {
    try {
      for (let isNew = true; !this.#isOver();) {
        try {
          const row = await this.#claim(isNew)
          isNew = false
          this.#state = 'running'
          await this.#following.run(row, this.#instruments)
          break
        } catch (error) {
          // The row is read anew: it may have been an administrator.
          if (error instanceof MovedError || error instanceof CarefulError || this.#isOver()) continue
          if (isClosed(error)) break
          await this.#failed(error)
        }
      }
      this.#state = 'closed'
      await this.#release({})
    } finally {
      // Side effects do not go on without the read model.
      this.#closing.abort()
    }
  }

  #isOver(): boolean {
    return this.#closing.signal.aborted
  }

  /** Comes to own the version. */
  async #claim(isNew: boolean): Promise<Checkpoint> {
    const { store, log, runtime } = this.#context
    const { signal } = this.#closing
    const { fence } = this.#settings
    for (;;) {
      signal.throwIfAborted()
      const row = await this.#rowOrSetUp()
      let free: Checkpoint | undefined = row
      const isHigher = fence !== undefined && fence.token > (row.details.fence ?? 0)
      if (row.owner !== this.#id && !isHigher && !isFree(row, isNew)) {
        mustNotBeFenced(row, fence)
        this.#state = 'standby'
        const { takeover } = this.#settings
        const look = (): Promise<Sight | undefined> => this.#see()
        const behind = (sight: Sight): Promise<boolean> => isBehind(log, this.#projection, sight)
        free = await standBy(look, behind, takeover, runtime.clock, signal)
        if (!free) continue
        const version = describeVersion(this)
        const why = isRun(free) ? `has not moved for ${takeover} ms` : 'was run by a process that has ended,'
        runtime.telemetry.log('warn', `${version} ${why} and is taken over`)
      }
      mustNotBeFenced(free, fence)
      await verify(free, this.#projection, store, log)
      mustHold(this, fence)
      const state = free.details.built ? 'running' : 'rebuilding'
      const details = withError(withFence(free.details, fence?.token), undefined)
      return await this.#write(free, { owner: this.#id, state, details })
    }
  }

  async #rowOrSetUp(): Promise<Checkpoint> {
    const { store, log, runtime } = this.#context
    const make = this.#projection.part ? setUpPart : setUp
    const row = this.#wasThere ? await this.#look() : await make(this.#projection, store, log, runtime.clock)
    if (!row) throw droppedError(this)
    this.#wasThere = true
    return row
  }

  async #look(): Promise<Checkpoint | undefined> {
    return (await this.#see())?.row
  }

  async #see(): Promise<Sight | undefined> {
    const rows = await this.#context.store.read((view) => view.rows(this.name))
    const row = rows.find(({ version }) => version === this.version)
    const effects = row?.active ? rows.find(({ version }) => version === EFFECTS) : undefined
    return row && { row: fromRow(row), effects: effects && fromRow(effects) }
  }

  /** Waits until it is worth another try, or stops. */
  async #failed(error: unknown): Promise<void> {
    const { clock, telemetry } = this.#context.runtime
    this.#instruments.failures.add(1)
    this.#error = reasonOf(error)
    const count = this.#following.fail()
    if (isStale(error)) {
      this.#state = 'closed'
      telemetry.log('warn', this.#error)
      await this.#release({})
      throw error
    }
    if (isFinal(error) || (!isPassing(error) && count >= this.#settings.attempts)) {
      this.#state = 'failed'
      const stopped = stoppedBy(this, error, this.#settings.onError)
      telemetry.log('error', stopped.message)
      await this.#release({ state: 'failed', error: this.#error })
      throw stopped
    }
    this.#state = 'retrying'
    telemetry.log('warn', `${describeVersion(this)} tries again: ${this.#error}`)
    const pause = Math.min(PAUSE_FIRST_MS * 2 ** (count - 1), PAUSE_LAST_MS)
    await sleep(clock, pause, this.#closing.signal).catch(() => undefined)
  }

  /** Leaves the version to others; if that cannot be said, they find out by themselves. */
  async #release({ state, error }: { state?: 'failed'; error?: string }): Promise<void> {
    try {
      for (;;) {
        const row = this.#following.row && (await this.#look())
        if (row?.owner !== this.#id) return
        const change = { owner: '', details: withError(row.details, error), ...(state && { state }) }
        if (await this.#write(row, change).then(() => true, isMoved)) break
      }
    } catch (problem) {
      const version = describeVersion(this)
      this.#context.runtime.telemetry.log('warn', `${version} could not be released: ${reasonOf(problem)}`)
    }
    this.#context.moved(this.name)
  }

  async #write(row: Checkpoint, change: Parameters<typeof changed>[2]): Promise<Checkpoint> {
    const next = changed(row, this.#context.runtime.clock.wall(), change)
    await this.#context.store.write((transaction) => transaction.put(toRow(next), row.revision))
    return next
  }
}

/** False, to try again, if somebody else has changed the row. */
function isMoved(error: unknown): boolean {
  if (error instanceof MovedError) return false
  throw error
}
