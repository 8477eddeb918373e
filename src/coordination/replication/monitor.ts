import type { Timer } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Look, ReplicaNode } from './node.js'

/** Between two looks while somebody waits for a server to get on, in ms: longer each time that it has not. */
const EAGER_FIRST_MS = 2
const EAGER_LAST_MS = 50

/** How often to look, in ms. */
export interface Pace {
  readonly interval: number
  readonly answerWithin: number
}

/** Looks at one server again and again: at leisure, or eagerly while somebody waits. One look at a time, for all who wait. */
export class Monitor<Db> {
  readonly name: string
  readonly node: ReplicaNode<Db>
  /** The last, also while it is away. */
  look: Look | undefined
  /** When that was asked for, on the monotonic clock. */
  seenAt = -Infinity
  /** How many looks there were. */
  looks = 0
  /** Why it cannot be used; undefined if it answers. */
  problem: string | undefined = 'nobody has looked yet'
  /** Whether it has left the last look without an answer: what is under way there may have none, either. */
  silent = false
  /** Transactions that are under way. */
  inFlight = 0
  readonly #clock: Runtime['clock']
  readonly #pace: Pace
  readonly #seen: (monitor: Monitor<Db>, look: Look) => Promise<void> | undefined
  readonly #changed: (monitor: Monitor<Db>) => void
  #timer: Timer | undefined
  #dueAt = Infinity
  #looking = false
  /** Somebody has asked for another look while one was under way. */
  #again = false
  #eager = 0
  #eagerMs = EAGER_FIRST_MS
  #closed = false

  /**
   * @param seen - told of each look before it counts; what it returns is waited for
   * @param changed - told after each look, also one that failed
   */
  constructor(
    name: string,
    node: ReplicaNode<Db>,
    pace: Pace,
    clock: Runtime['clock'],
    seen: (monitor: Monitor<Db>, look: Look) => Promise<void> | undefined,
    changed: (monitor: Monitor<Db>) => void,
  ) {
    this.name = name
    this.node = node
    this.#pace = pace
    this.#clock = clock
    this.#seen = seen
    this.#changed = changed
  }

  get away(): boolean {
    return this.problem !== undefined
  }

  /** Looks now, or once more when the look that is under way has ended. */
  hasten(): void {
    if (this.#looking) this.#again = true
    else this.#lookAt(this.#clock.now())
  }

  /** It did not do what was asked of it: it is away until it was looked at again. */
  doubt(problem: string): void {
    this.problem = problem
    this.hasten()
    this.#changed(this)
  }

  /** Looks eagerly until the returned function is called. */
  beEager(): () => void {
    if (this.#eager++ === 0) this.#eagerMs = EAGER_FIRST_MS
    this.#lookAt(this.#clock.now() + this.#eagerMs)
    return () => {
      this.#eager--
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #lookAt(at: number): void {
    if (this.#closed || this.#looking || this.#dueAt <= at) return
    this.#timer?.cancel()
    this.#dueAt = at
    this.#timer = this.#clock.schedule(at, () => {
      this.#dueAt = Infinity
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    this.#looking = true
    this.#again = false
    const at = this.#clock.now()
    const { answerWithin } = this.#pace
    const late = this.#clock.schedule(at + answerWithin, () => this.#failed('it does not answer', true))
    try {
      const look = await this.node.look()
      await this.#seen(this, look)
      if (this.look?.position !== look.position) this.#eagerMs = EAGER_FIRST_MS
      this.look = look
      this.seenAt = at
      this.problem = undefined
      this.silent = false
      this.looks++
      if (!this.#closed) this.#changed(this)
    } catch (error) {
      // The node may have given up a moment earlier.
      const isLate = this.#clock.now() - at >= answerWithin * 0.9
      this.#failed(error instanceof Error ? error.message : String(error), isLate)
    } finally {
      late.cancel()
      this.#looking = false
      this.#next()
    }
  }

  #failed(problem: string, silent: boolean): void {
    this.problem = problem
    this.silent = silent
    this.looks++
    if (!this.#closed) this.#changed(this)
  }

  #next(): void {
    const now = this.#clock.now()
    if (this.#again) this.#lookAt(now)
    else if (this.#eager > 0) {
      this.#lookAt(now + this.#eagerMs)
      this.#eagerMs = Math.min(this.#eagerMs * 1.5, EAGER_LAST_MS)
    } else this.#lookAt(now + this.#pace.interval)
  }
}
