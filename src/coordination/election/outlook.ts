import { Hint } from '../../core/hint.js'
import type { Coordinator } from '../coordinator.js'
import { mirror } from '../mirror.js'
import type { ElectionKeys } from './keys.js'
import { pictureOf, type Picture } from './picture.js'

/** Whoever waits for something to happen looks by itself after this, in ms. */
const LONG = 3_600_000

/** What one candidate sees of its election. It may be behind: only a put of the leader's key decides. */
export class Outlook {
  /** Undefined until it has been read. */
  picture: Picture | undefined
  /** Since when nobody leads, as far as was seen, on the clock; and a number from 0 to 1 that was drawn for that time. */
  vacancy = { since: 0, chance: 0 }
  /** The highest token of a leader that was seen. */
  highest = 0
  readonly #coordinator: Coordinator
  readonly #keys: ElectionKeys
  readonly #closing: AbortSignal
  readonly #hint = new Hint()

  constructor(coordinator: Coordinator, keys: ElectionKeys, closing: AbortSignal) {
    this.#coordinator = coordinator
    this.#keys = keys
    this.#closing = closing
  }

  /** Goes on looking until the election is closed. */
  async follow(seen: () => void): Promise<void> {
    const { clock, random } = this.#coordinator.runtime
    for await (const mirrored of mirror(this.#coordinator, this.#keys.prefix, this.#closing)) {
      const picture = pictureOf(this.#keys, mirrored)
      if (!picture.leader && (!this.picture || this.picture.leader))
        this.vacancy = { since: clock.now(), chance: random.next() }
      this.picture = picture
      this.highest = Math.max(this.highest, picture.leader?.token ?? 0)
      seen()
      this.#hint.give()
    }
  }

  /** Something has changed that a candidate may wait for. */
  readonly wake = (): void => this.#hint.give()

  /**
   * Waits until something has changed, or the election is closed. One at a time waits.
   *
   * @param ms - how long, at most
   */
  async change(ms = LONG): Promise<void> {
    await this.#hint.wait(this.#coordinator.runtime.clock, Math.min(ms, LONG), this.#closing)
  }
}
