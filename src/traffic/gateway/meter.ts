/** Buckets of one second each; the current one is not complete, so rates are over the others. */
const BUCKETS = 11

/** Latencies fall into classes that grow by a quarter: 1 us to 17 min in 93 of them, each at most 25% wide. */
const CLASSES = 93
const GROWTH = Math.log(1.25)

/** What {@link Meter} has seen in the last ten seconds. */
export interface Readings {
  /** Per second. */
  rate: number
  /** Share of failures, 0 to 1; 0 if there was nothing. */
  failureRate: number
  /** Latencies in ms, to within 25%; `undefined` if there was nothing. */
  p50: number | undefined
  p99: number | undefined
}

/** Rate, failures and latency of the last ten seconds, for people who look at `banyan status`. */
export class Meter {
  readonly #counts = new Uint32Array(BUCKETS)
  readonly #failures = new Uint32Array(BUCKETS)
  readonly #latencies = Array.from({ length: BUCKETS }, () => new Uint32Array(CLASSES))
  #second = 0

  /**
   * @param now - ms on the clock's scale
   * @param ms - latency of what is counted
   */
  count(now: number, ms: number, failed: boolean): void {
    const bucket = this.#advance(now)
    this.#counts[bucket]!++
    if (failed) this.#failures[bucket]!++
    const latencyClass = ms <= 0.001 ? 0 : Math.min(CLASSES - 1, Math.floor(Math.log(ms * 1000) / GROWTH))
    this.#latencies[bucket]![latencyClass]!++
  }

  read(now: number): Readings {
    const current = this.#advance(now)
    let calls = 0
    let failures = 0
    const classes = new Float64Array(CLASSES)
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (bucket === current) continue
      calls += this.#counts[bucket]!
      failures += this.#failures[bucket]!
      this.#latencies[bucket]!.forEach((count, index) => (classes[index]! += count))
    }
    return {
      rate: calls / (BUCKETS - 1),
      failureRate: calls === 0 ? 0 : failures / calls,
      p50: quantile(classes, calls, 0.5),
      p99: quantile(classes, calls, 0.99),
    }
  }

  /** Forgets the buckets that time has passed over; returns the current one. */
  #advance(now: number): number {
    const second = Math.floor(now / 1000)
    for (let step = Math.max(this.#second + 1, second - BUCKETS + 1); step <= second; step++) {
      const bucket = step % BUCKETS
      this.#counts[bucket] = this.#failures[bucket] = 0
      this.#latencies[bucket]!.fill(0)
    }
    if (second > this.#second) this.#second = second
    return this.#second % BUCKETS
  }
}

function quantile(classes: Float64Array, calls: number, share: number): number | undefined {
  if (calls === 0) return undefined
  let left = calls * share
  let index = 0
  while (index < CLASSES - 1 && (left -= classes[index]!) > 0) index++
  return Math.exp((index + 0.5) * GROWTH) / 1000
}
