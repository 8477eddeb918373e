import type { Timer } from '../../core/clock.js'
import type { Coordinator } from '../coordinator.js'
import { whenGone } from './when-gone.js'

/** What is held for longer than one to two times this is watched, in ms. What is given back before costs nothing. */
const GLANCE = 100

/** Something held, by whoever wants to know if it is taken away. */
export interface Watched {
  readonly key: string
  /** Behind which revision its end is still to come. */
  readonly created: number
  /** The key is gone. */
  taken(): void
}

/** Watches all that one process holds at a coordinator: an operator may take it away. One timer serves for all. */
export class HeldWatch {
  static readonly #all = new WeakMap<Coordinator, HeldWatch>()
  readonly #coordinator: Coordinator
  /** What is not watched yet, and whether it was there at the last glance. */
  readonly #fresh = new Map<Watched, boolean>()
  readonly #watched = new Map<Watched, AbortController>()
  #timer: Timer | undefined

  private constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator
  }

  static of(coordinator: Coordinator): HeldWatch {
    let watch = HeldWatch.#all.get(coordinator)
    if (!watch) HeldWatch.#all.set(coordinator, (watch = new HeldWatch(coordinator)))
    return watch
  }

  add(held: Watched): void {
    this.#fresh.set(held, false)
    if (!this.#timer) this.#glanceLater()
  }

  remove(held: Watched): void {
    if (this.#fresh.delete(held)) return
    this.#watched.get(held)?.abort()
    this.#watched.delete(held)
  }

  #glanceLater(): void {
    const { clock } = this.#coordinator.runtime
    this.#timer = clock.schedule(clock.now() + GLANCE, () => {
      this.#timer = undefined
      for (const [held, seen] of this.#fresh) {
        if (seen) this.#watch(held)
        else this.#fresh.set(held, true)
      }
      if (this.#fresh.size > 0) this.#glanceLater()
    })
  }

  #watch(held: Watched): void {
    const ending = new AbortController()
    this.#fresh.delete(held)
    this.#watched.set(held, ending)
    whenGone(this.#coordinator, [held.key], ending.signal).then(
      (gone) => {
        if (gone) held.taken()
      },
      (error: unknown) =>
        this.#coordinator.runtime.telemetry.log('warn', `${held.key} is not watched: ${String(error)}`),
    )
  }
}
