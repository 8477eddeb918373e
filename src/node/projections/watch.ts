import type { Clock } from '../../core/clock.js'
import { raceWithTimer } from '../../core/race-with-timer.js'
import type { HostedProjectionState, ProjectionControl } from './state.js'

/** What is older than this is asked for anew, in ms: what a read model lacks is counted in the log. */
const FRESH_MS = 5000

/** How long whoever looks waits for stores, in ms. */
const PATIENCE_MS = 2000

/** Tells how far projections are to whoever looks again and again. */
export class ProjectionWatch {
  readonly #clock: Clock
  #seen: Readonly<Record<string, HostedProjectionState>> = {}
  #seenAt = -Infinity
  #looking: Promise<void> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * All of them by name, as they are or were a moment ago.
   *
   * @param control - knows them; without it there are none
   */
  async look(
    control: ProjectionControl | undefined,
  ): Promise<Readonly<Record<string, HostedProjectionState>>> {
    if (!control) return {}
    if (!this.#looking && this.#clock.now() - this.#seenAt >= FRESH_MS) this.#looking = this.#look(control)
    if (this.#looking) await raceWithTimer(this.#clock, this.#looking, PATIENCE_MS)
    return this.#seen
  }

  async #look(control: ProjectionControl): Promise<void> {
    try {
      this.#seen = Object.fromEntries((await control.list()).map((each) => [each.name, each]))
    } catch {
      // What was seen before is told; a store that cannot be asked says so by itself.
    } finally {
      this.#seenAt = this.#clock.now()
      this.#looking = undefined
    }
  }
}
