import type { Clock } from '../../../core/clock.js'
import { formatDuration } from '../../../core/duration.js'
import { isPassed, raceWithTimer } from '../../../core/race-with-timer.js'
import { coordinationError } from '../../errors.js'
import { StaleTokenError } from '../stale-token.js'
import type { FenceKeeper } from '../fenced-key.js'
import type { FencingToken } from './header.js'

/** Work that was let in. */
interface Running {
  readonly token: number
  readonly ended: Promise<void>
}

/**
 * Lets work of one holder in only when that of the holders before has ended. What has come with a higher token keeps lower
 * ones out from that moment on, also while it waits itself.
 */
export class Turnstile {
  readonly #name: string
  readonly #keeper: FenceKeeper | undefined
  readonly #clock: Clock
  readonly #running = new Set<Running>()
  #highest = 0

  /**
   * @param keeper - remembers the highest token for others, and for after a restart
   */
  constructor(name: string, keeper: FenceKeeper | undefined, clock: Clock) {
    this.#name = name
    this.#keeper = keeper
    this.#clock = clock
  }

  /**
   * @param wait - for work of earlier holders, in ms
   * @returns to be called when the work has ended
   * @throws `BANYAN_STALE_TOKEN`, `BANYAN_FENCE_BUSY`; what the keeper throws
   */
  async enter({ token }: FencingToken, wait: number): Promise<() => void> {
    this.#mustBeHighest(token)
    this.#highest = token
    await this.#drain(token, wait)
    try {
      await this.#keeper?.raise({ name: this.#name, token })
    } catch (error) {
      if (error instanceof StaleTokenError) this.#highest = Math.max(this.#highest, error.seen)
      throw error
    }
    this.#mustBeHighest(token)
    let end = (): void => undefined
    const running: Running = { token, ended: new Promise((resolve) => (end = resolve)) }
    this.#running.add(running)
    return () => {
      this.#running.delete(running)
      end()
    }
  }

  async #drain(token: number, wait: number): Promise<void> {
    const before = [...this.#running].filter((running) => running.token < token)
    if (before.length === 0) return
    const drained = Promise.all(before.map(({ ended }) => ended))
    if (isPassed(await raceWithTimer(this.#clock, drained, wait)))
      throw coordinationError(
        'BANYAN_FENCE_BUSY',
        `work of an earlier holder of ${JSON.stringify(this.#name)} has not ended within ${formatDuration(wait)}; try again`,
      )
  }

  #mustBeHighest(token: number): void {
    if (token < this.#highest) throw new StaleTokenError(this.#name, token, this.#highest)
  }
}
