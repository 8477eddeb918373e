import { LatencyHistogram } from '../latency-histogram.js'

/** Buckets of one second each; the current one is not complete, so rates are over the others. */
const BUCKETS = 11

/** What {@link Meter} has seen in the last ten seconds. */
export interface Readings {
  /** Per second. */
  rate: number
  /** Share of failures, 0 to 1; 0 if there was nothing. */
  failureRate: number
  /** Latencies in ms, to within a tenth; `undefined` if there was nothing. */
  p50: number | undefined
  p99: number | undefined
}

/** Rate, failures and latency of the last ten seconds, for people who look at `banyan status`. */
export class Meter {
  readonly #failures = new Uint32Array(BUCKETS)
  readonly #latencies = Array.from({ length: BUCKETS }, () => new LatencyHistogram())
  #second = 0

  /**
   * @param now - ms on the clock's scale
   * @param ms - latency of what is counted
   */
  count(now: number, ms: number, failed: boolean): void {
    const bucket = this.#advance(now)
    this.#latencies[bucket]!.count(ms)
    if (failed) this.#failures[bucket]!++
  }

  read(now: number): Readings {
    const current = this.#advance(now)
    const sum = new LatencyHistogram()
    let failures = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (bucket === current) continue
      sum.add(this.#latencies[bucket]!)
      failures += this.#failures[bucket]!
    }
    return {
      rate: sum.total / (BUCKETS - 1),
      failureRate: sum.total === 0 ? 0 : failures / sum.total,
      p50: sum.quantile(0.5),
      p99: sum.quantile(0.99),
    }
  }

  /** Forgets the buckets that time has passed over; returns the current one. */
  #advance(now: number): number {
    const second = Math.floor(now / 1000)
    for (let step = Math.max(this.#second + 1, second - BUCKETS + 1); step <= second; step++) {
      this.#latencies[step % BUCKETS]!.clear()
      this.#failures[step % BUCKETS] = 0
    }
    if (second > this.#second) this.#second = second
    return this.#second % BUCKETS
  }
}
