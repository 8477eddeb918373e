import type { OptionTable } from '../../../core/options.js'

/** A concurrency limit that finds itself. */
export interface AdaptiveOptions {
  /**
   * `gradient` follows latency: the limit falls as soon as calls take longer than they need to. `aimd` follows
   * failures: the limit grows by one until calls fail or time out, then falls by a tenth.
   */
  adaptive: 'gradient' | 'aimd'
  /** Limit to begin with. Default 20. */
  initial?: number
  /** Lowest limit. Default 1. */
  minimum?: number
  /** Highest limit. Default 1000. */
  maximum?: number
  /** `gradient` only: latency up to so many times the usual one is no sign of overload, 1 to 10. Default 1.5. */
  tolerance?: number
}

/** What an adaptive limit accepts. */
export const adaptiveOptions: OptionTable<AdaptiveOptions> = {
  adaptive: {
    kind: 'choice',
    values: ['gradient', 'aimd'],
    doc: 'How the limit is found: by latency, or by failures.',
  },
  initial: { kind: 'number', min: 1, integer: true, doc: 'Limit to begin with. Default 20.' },
  minimum: { kind: 'number', min: 1, integer: true, doc: 'Lowest limit. Default 1.' },
  maximum: { kind: 'number', min: 1, integer: true, doc: 'Highest limit. Default 1000.' },
  tolerance: {
    kind: 'number',
    min: 1,
    max: 10,
    doc: 'Latency of so many times the usual is fine. Default 1.5.',
  },
}

/** How many calls may be under way. */
export interface Limit {
  /** The limit now. */
  readonly current: number
  /** Whether `observe` wants to be called. */
  readonly adapts: boolean
  /**
   * A call has ended.
   *
   * @param now - ms
   * @param startedAt - when it began, ms
   * @param inFlight - calls under way when it ended, itself included
   * @param dropped - it failed in a way that overload makes calls fail
   */
  observe(now: number, startedAt: number, inFlight: number, dropped: boolean): void
}

/** A limit that stays. */
export function fixedLimit(limit: number): Limit {
  return { current: limit, adapts: false, observe: () => undefined }
}

/** A limit of the kind that the options name. */
export function adaptiveLimit(options: AdaptiveOptions): Limit {
  const { initial = 20, minimum = 1, maximum = 1000 } = options
  const start = Math.min(maximum, Math.max(minimum, initial))
  return options.adaptive === 'aimd'
    ? new AimdLimit(start, minimum, maximum)
    : new GradientLimit(start, minimum, maximum, options.tolerance ?? 1.5)
}

/** By how much a limit falls when calls are dropped. */
const DECREASE = 0.9

/** Additive increase, multiplicative decrease, as in TCP (Jacobson, 1988; Chiu and Jain, 1989). */
class AimdLimit implements Limit {
  readonly adapts = true
  readonly #minimum: number
  readonly #maximum: number
  #limit: number
  #decreasedAt = -Infinity

  constructor(initial: number, minimum: number, maximum: number) {
    this.#limit = initial
    this.#minimum = minimum
    this.#maximum = maximum
  }

  get current(): number {
    return Math.floor(this.#limit)
  }

  observe(now: number, startedAt: number, inFlight: number, dropped: boolean): void {
    if (dropped) {
      // Calls that began before the last decrease belong to the overload that caused it.
      if (startedAt < this.#decreasedAt) return
      this.#decreasedAt = now
      this.#limit = Math.max(this.#minimum, this.#limit * DECREASE)
    } else if (inFlight * 2 >= this.#limit) {
      // One more per round of calls. A limit that is not used shows nothing, so it does not grow.
      this.#limit = Math.min(this.#maximum, this.#limit + 1 / this.#limit)
    }
  }
}

/** Calls and ms that make one sample of the latency. */
const SAMPLE_CALLS = 10
const SAMPLE_MS = 50

/** How much of a new limit is taken over at once. */
const SMOOTHING = 0.3

/** How fast the usual latency follows a higher one that was measured at little load. */
const LEARNING = 0.2

/** After so many samples at full load one is taken at half the limit: about 50 ms of every 5 s. */
const SAMPLES_BETWEEN_PROBES = 100

/**
 * Compares the latency of the last calls with the usual one (in the spirit of Netflix's Gradient2 and Envoy's
 * adaptive concurrency): `limit x usual x tolerance / recent + sqrt(limit)`. The usual latency falls at once, and rises
 * only by what is measured at little load: latency made by our own queue must not become the new normal. Where load is
 * never little, now and then a sample is taken at half the limit; repeated halves lead down to the latency without any
 * queue, also from a start far above the capacity.
 */
class GradientLimit implements Limit {
  readonly adapts = true
  readonly #minimum: number
  readonly #maximum: number
  readonly #tolerance: number
  #limit: number
  #usual: number | undefined = undefined
  #sampleSince = -Infinity
  #sum = 0
  #calls = 0
  #dropped = false
  #mostInFlight = 0
  #probing = false
  #samples = 0

  constructor(initial: number, minimum: number, maximum: number, tolerance: number) {
    this.#limit = initial
    this.#minimum = minimum
    this.#maximum = maximum
    this.#tolerance = tolerance
  }

  get current(): number {
    return Math.floor(this.#probing ? Math.max(this.#minimum, this.#limit / 2) : this.#limit)
  }

  observe(now: number, startedAt: number, inFlight: number, dropped: boolean): void {
    // A call from before the last change of the limit tells about the limit before.
    if (startedAt < this.#sampleSince) return
    if (this.#sampleSince === -Infinity) this.#sampleSince = startedAt
    if (inFlight > this.#mostInFlight) this.#mostInFlight = inFlight
    if (dropped) this.#dropped = true
    else this.#sum += now - startedAt
    if (!dropped) this.#calls++
    if ((this.#calls < SAMPLE_CALLS && !this.#dropped) || now - this.#sampleSince < SAMPLE_MS) return
    this.#adapt()
    this.#sampleSince = now
    this.#sum = this.#calls = this.#mostInFlight = 0
    this.#dropped = false
  }

  #adapt(): void {
    const limit = this.#limit
    const probed = this.#probing
    this.#probing = false
    let wanted: number
    if (this.#dropped) {
      wanted = limit * DECREASE
    } else {
      const recent = this.#sum / this.#calls
      const full = !probed && this.#mostInFlight * 2 >= limit
      const usual = this.#learn(recent, full)
      if (probed) return
      if (full && ++this.#samples >= SAMPLES_BETWEEN_PROBES) {
        this.#samples = 0
        this.#probing = true
      }
      const gradient = Math.min(1, Math.max(0.5, (this.#tolerance * usual) / recent))
      wanted = limit * gradient + Math.sqrt(limit)
      // A limit that is not used shows nothing, so it does not grow.
      if (wanted > limit && !full) return
      wanted = limit + (wanted - limit) * SMOOTHING
    }
    this.#limit = Math.min(this.#maximum, Math.max(this.#minimum, wanted))
  }

  #learn(recent: number, full: boolean): number {
    const usual = this.#usual ?? recent
    if (recent < usual) this.#usual = recent
    else if (!full) this.#usual = usual + (recent - usual) * LEARNING
    // A latency of nothing would make every other one an overload.
    return Math.max(0.001, (this.#usual ??= recent))
  }
}
