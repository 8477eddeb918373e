import type { Timer } from '../../core/clock.js'
import type { Coordinator } from '../coordinator.js'

/** From one question to the next, and how long the engine has for its answer, in ms. */
const EVERY = 2000
/** What it is asked for; it need not be there. */
const KEY = 'banyan/pulse'

/** An engine that does not answer. */
export interface Outage {
  /** When it last answered, in ms since the epoch. */
  readonly since: number
  /** Why it cannot be asked. */
  readonly problem: string
}

/** Who wants to know whether the engine is there. */
export interface PulseListener {
  away(outage: Outage): void
  back(): void
}

const pulses = new WeakMap<Coordinator, Pulse>()

/** The pulse of a coordinator: the same for all that ask, so that a thousand views cost one question. */
export function pulseOf(coordinator: Coordinator): Pulse {
  let pulse = pulses.get(coordinator)
  if (!pulse) pulses.set(coordinator, (pulse = new Pulse(coordinator)))
  return pulse
}

/** Asks the engine now and then whether it is there, while somebody wants to know: a watch goes on in silence when it is not. */
export class Pulse {
  readonly #coordinator: Coordinator
  readonly #listeners = new Set<PulseListener>()
  #timer: Timer | undefined
  #asking = false
  #answeredAt: number
  #outage: Outage | undefined

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator
    this.#answeredAt = coordinator.runtime.clock.wall()
  }

  get outage(): Outage | undefined {
    return this.#outage
  }

  /** When the engine last answered, in ms since the epoch. */
  get answeredAt(): number {
    return this.#answeredAt
  }

  /** @returns ends it */
  join(listener: PulseListener): () => void {
    this.#listeners.add(listener)
    if (!this.#asking) this.#askLater()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#timer?.cancel()
      this.#timer = undefined
    }
  }

  /** It has answered somebody. */
  answered(): void {
    this.#answeredAt = this.#coordinator.runtime.clock.wall()
    if (!this.#outage) return
    this.#outage = undefined
    for (const listener of this.#listeners) listener.back()
  }

  #failed(problem: string): void {
    if (this.#outage) return
    this.#outage = { since: this.#answeredAt, problem }
    for (const listener of this.#listeners) listener.away(this.#outage)
  }

  #askLater(): void {
    const { clock } = this.#coordinator.runtime
    this.#timer ??= clock.schedule(clock.now() + EVERY, () => {
      this.#timer = undefined
      void this.#ask()
    })
  }

  async #ask(): Promise<void> {
    const { clock } = this.#coordinator.runtime
    this.#asking = true
    const limit = clock.schedule(clock.now() + EVERY, () => this.#failed('it does not answer'))
    try {
      await this.#coordinator.get(KEY)
      this.answered()
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error))
    } finally {
      limit.cancel()
      this.#asking = false
      if (this.#listeners.size > 0) this.#askLater()
    }
  }
}
