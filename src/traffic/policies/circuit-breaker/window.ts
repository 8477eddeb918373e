/** Outcomes of recent calls, as totals. */
export interface Tally {
  calls: number
  failures: number
  slow: number
}

/** The recent calls that a breaker judges by. */
export interface Window {
  /** Totals as of the last `record` or `advance`. */
  readonly tally: Readonly<Tally>
  /** Whether `advance` must be called before looking at the totals. */
  readonly timed: boolean
  /** Forgets what is too old at `now`, in ms. */
  advance(now: number): void
  /** Counts one call that ended at `now`, in ms. */
  record(now: number, failed: boolean, slow: boolean): void
  reset(now: number): void
}

const FAILED = 1
const SLOW = 2

/** The last `size` calls, whenever they were: a ring with running totals. */
export class CountWindow implements Window {
  readonly tally: Tally = { calls: 0, failures: 0, slow: 0 }
  readonly timed = false
  readonly #ring: Uint8Array
  #next = 0

  constructor(size: number) {
    this.#ring = new Uint8Array(size)
  }

  advance(): void {
    // Calls age by later calls only.
  }

  record(_now: number, failed: boolean, slow: boolean): void {
    const ring = this.#ring
    const { tally } = this
    if (tally.calls === ring.length) {
      const leaving = ring[this.#next]!
      if (leaving & FAILED) tally.failures--
      if (leaving & SLOW) tally.slow--
    } else {
      tally.calls++
    }
    if (failed) tally.failures++
    if (slow) tally.slow++
    ring[this.#next] = (failed ? FAILED : 0) | (slow ? SLOW : 0)
    this.#next = this.#next + 1 === ring.length ? 0 : this.#next + 1
  }

  reset(): void {
    this.#next = 0
    this.tally.calls = this.tally.failures = this.tally.slow = 0
  }
}

/** Parts of a time window: what is forgotten is forgotten a tenth at a time. */
const BUCKETS = 10

/** The calls of the last `span` ms, in buckets that time moves on, not calls: silence forgets too. */
export class TimeWindow implements Window {
  readonly tally: Tally = { calls: 0, failures: 0, slow: 0 }
  readonly timed = true
  readonly #width: number
  readonly #calls = new Uint32Array(BUCKETS)
  readonly #failures = new Uint32Array(BUCKETS)
  readonly #slow = new Uint32Array(BUCKETS)
  /** Number of the current bucket since the beginning of time, and the time at which it ends. */
  #bucket = 0
  #end = 0

  constructor(span: number) {
    this.#width = span / BUCKETS
  }

  advance(now: number): void {
    if (now < this.#end) return
    const bucket = Math.floor(now / this.#width)
    const steps = Math.min(BUCKETS, bucket - this.#bucket)
    const { tally } = this
    for (let step = 1; step <= steps; step++) {
      const index = (this.#bucket + step) % BUCKETS
      tally.calls -= this.#calls[index]!
      tally.failures -= this.#failures[index]!
      tally.slow -= this.#slow[index]!
      this.#calls[index] = this.#failures[index] = this.#slow[index] = 0
    }
    // After a long silence every bucket was passed, whichever numbers they had.
    this.#bucket = bucket
    this.#end = (bucket + 1) * this.#width
  }

  record(now: number, failed: boolean, slow: boolean): void {
    this.advance(now)
    const index = this.#bucket % BUCKETS
    const { tally } = this
    tally.calls++
    this.#calls[index]!++
    if (failed) {
      tally.failures++
      this.#failures[index]!++
    }
    if (slow) {
      tally.slow++
      this.#slow[index]!++
    }
  }

  reset(now: number): void {
    this.#calls.fill(0)
    this.#failures.fill(0)
    this.#slow.fill(0)
    this.tally.calls = this.tally.failures = this.tally.slow = 0
    this.advance(now)
  }
}
