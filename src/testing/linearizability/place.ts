import type { Timeline } from './timeline.js'

const NOBODY = -1

/**
 * Where a search is on a timeline: before the first return of an operation that it has not put in order yet. What is under way there
 * can be next; everything that has returned before is in the order.
 */
export class Place {
  /** The index of that return among the events; their number at the end. */
  position = 0
  /** How many unanswered operations have been called by then. */
  called = 0
  /** The answered operation that is under way in each slot, or none. */
  readonly #current: Int32Array
  /** Slots whose operation is in the order already, though it has not returned. */
  readonly ordered: Int32Array
  /** Unanswered operations that are in the order. */
  readonly used: Int32Array
  readonly #timeline: Timeline
  readonly #isUnanswered: Uint8Array

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    this.#current = new Int32Array(timeline.slots).fill(NOBODY)
    this.ordered = bits(timeline.slots)
    this.used = bits(timeline.unanswered.length)
    this.#isUnanswered = new Uint8Array(timeline.slotOf.length)
    for (const operation of timeline.unanswered) this.#isUnanswered[operation] = 1
    this.#advance()
  }

  get isEnd(): boolean {
    return this.position === this.#timeline.events.length
  }

  /** The operation whose return is next: nothing goes on unless it is put in order. Not at the end. */
  get due(): number {
    return this.returning(this.position)
  }

  /** The operation whose return is at a position. */
  returning(position: number): number {
    return ~this.#timeline.events[position]!
  }

  /** How many candidates {@link candidate} knows. */
  get candidates(): number {
    return 1 + this.#timeline.slots + this.called
  }

  /**
   * An operation that can be next. First comes the one that is due: whatever is not needed before it need not be tried. Last come
   * unanswered ones, so that they are used up only where nothing else fits.
   *
   * @returns its index, or -1 if it is in the order already, or named before, or nothing is there
   */
  candidate(number: number): number {
    const { slots, slotOf, unanswered } = this.#timeline
    const { due } = this
    if (number === 0) return due
    if (number > slots) {
      const ordinal = number - slots - 1
      return has(this.used, ordinal) ? NOBODY : unanswered[ordinal]!
    }
    const slot = number - 1
    return slot === slotOf[due] || has(this.ordered, slot) ? NOBODY : this.#current[slot]!
  }

  isUnanswered(operation: number): boolean {
    return this.#isUnanswered[operation] === 1
  }

  /** Puts an operation next in the order. */
  take(operation: number): void {
    this.#flip(operation)
    this.#advance()
  }

  /** Undoes {@link take}, of the last one in the order. */
  untake(operation: number, position: number): void {
    const { events, slotOf } = this.#timeline
    while (this.position > position) {
      const event = events[--this.position]!
      const slot = slotOf[event < 0 ? ~event : event]!
      if (event < 0) {
        // Whoever's return was passed was in the order.
        this.#current[slot] = ~event
        flip(this.ordered, slot)
      } else if (this.isUnanswered(event)) this.called--
      else this.#current[slot] = NOBODY
    }
    this.#flip(operation)
  }

  #flip(operation: number): void {
    flip(this.isUnanswered(operation) ? this.used : this.ordered, this.#timeline.slotOf[operation]!)
  }

  #advance(): void {
    const { events, slotOf } = this.#timeline
    for (; this.position < events.length; this.position++) {
      const event = events[this.position]!
      if (event < 0) {
        const slot = slotOf[~event]!
        if (!has(this.ordered, slot)) return
        flip(this.ordered, slot)
        this.#current[slot] = NOBODY
      } else if (this.isUnanswered(event)) this.called++
      else this.#current[slotOf[event]!] = event
    }
  }
}

function bits(count: number): Int32Array {
  return new Int32Array(Math.ceil(count / 32))
}

function has(words: Int32Array, bit: number): boolean {
  return ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1
}

function flip(words: Int32Array, bit: number): void {
  words[bit >>> 5]! ^= 1 << (bit & 31)
}
