import { systemClock } from '../../core/clock.js'
import { paint } from '../paint.js'
import { countText } from './show/numbers.js'

/** Between two changes of what is shown, in ms. */
const EVERY_MS = 100

/** How far something is, on one line of the terminal that is written over; nothing where standard error is none. */
export class Progress {
  readonly #verb: string
  readonly #total: number | undefined
  readonly #begun = systemClock.now()
  #next = this.#begun + EVERY_MS
  #shown = false

  /**
   * @param verb - what is done, as `checked`
   * @param total - events there are, if that is known
   */
  constructor(verb: string, total?: number) {
    this.#verb = verb
    this.#total = total
  }

  /** So many events are done. */
  readonly report = (events: number): void => {
    const now = systemClock.now()
    if (!process.stderr.isTTY || now < this.#next) return
    this.#next = now + EVERY_MS
    this.#shown = true
    const rate = Math.round((events * 1000) / (now - this.#begun))
    const of = this.#total === undefined ? '' : ` of ${countText(this.#total)}`
    process.stderr.write(
      `\r${paint('gray', `${this.#verb} ${countText(events)}${of} events, ${countText(rate)}/s`)}\u001b[K`,
    )
  }

  /** Passes on, and counts what passes. */
  async *over<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
    let count = 0
    for await (const item of items) {
      yield item
      this.report(++count)
    }
  }

  /** Takes the line away; to be called before anything else is written. */
  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[K')
    this.#shown = false
  }
}
