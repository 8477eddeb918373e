import type { Limit, Outcome } from './limit.js'

/** A sample spans at least this many calls and at least one round of those under way, and this many ms. */
const SAMPLE_CALLS = 10
const SAMPLE_MS = 50

/** How much of a new limit is taken over at once. */
const SMOOTHING = 0.3

/** The least share of the limit that one sample asks for. */
const LOWEST_GRADIENT = 0.5

/** How much of a newly measured latency goes into the usual one. */
const LEARNING = 0.2

/** A limit grows if at least this share of it was used. */
const USED = 0.8

/** The share of dropped calls at which the limit ceases to grow. */
const DROPS_THAT_END_GROWTH = 0.05

/** Full samples between probes: at first and while probes find a lower latency, then twice as many each time. */
const SOONEST_PROBE = 2
const RAREST_PROBE = 100

/** The shortest latency that is told from none, in ms. */
const LEAST_MS = 0.001

/** A probe that finds less than this share of the usual latency says that a queue had been taken for usual. */
const LOWER = 0.9

/**
 * Compares the latency of the last calls with the usual one, in the spirit of Netflix's Gradient2 and Envoy's adaptive
 * concurrency:
 *
 * `wanted = limit x min(1, usual x tolerance / recent) x share not dropped + sqrt(limit)`
 *
 * - *Recent* is the mean of one sample: at least a round of calls, all begun after the last change of the limit.
 * - *Usual* is what calls take without a queue of our own making. It rises only by samples at little load; a full sample
 *   can lower it. If load is never little, a probe makes it so: now and then one sample is taken with half as many calls, and
 *   soon again as long as that finds a lower latency: the way leads down to the latency without a queue also from a start far
 *   above the capacity.
 * - *Dropped* calls cut the limit by their share, and end its growth at 5%: a few failures that come with any load do not
 *   throttle, while those of an overloaded endpoint do.
 * - A limit that is not used up shows nothing, so it does not grow; nor does latency lower it while half of it is free,
 *   or it would sink by chance alone.
 */
export class GradientLimit implements Limit {
  readonly #minimum: number
  readonly #maximum: number
  readonly #tolerance: number
  #limit: number
  /** Latency without a queue, in ms, as far as is known. */
  #usual: number | undefined = undefined
  /** The limit of the probe that is under way. */
  #probe: number | undefined = undefined
  #untilProbe = SOONEST_PROBE
  #betweenProbes = SOONEST_PROBE
  // The sample that is being taken:
  #since: number | undefined = undefined
  #sum = 0
  #measured = 0
  /** Those of the measured calls that would have taken longer. */
  #abandoned = 0
  #dropped = 0
  #mostInFlight = 0

  constructor(initial: number, minimum: number, maximum: number, tolerance: number) {
    this.#limit = initial
    this.#minimum = minimum
    this.#maximum = maximum
    this.#tolerance = tolerance
  }

  get current(): number {
    return Math.floor(this.#probe ?? this.#limit)
  }

  observe(now: number, startedAt: number, inFlight: number, outcome: Outcome): void {
    this.#since ??= startedAt
    // A call from before the last change of the limit tells about the limit before.
    if (startedAt < this.#since) return
    const latency = now - startedAt
    if (inFlight > this.#mostInFlight) this.#mostInFlight = inFlight
    if (outcome === 'dropped') {
      this.#dropped++
    } else if (outcome === 'done' || latency >= (this.#usual ?? 0)) {
      // Callers that give up slow calls must not leave only the fast ones to be seen.
      this.#sum += latency
      this.#measured++
      if (outcome === 'abandoned') this.#abandoned++
    }
    const calls = this.#measured + this.#dropped
    if (calls < Math.max(SAMPLE_CALLS, this.#mostInFlight) || now - this.#since < SAMPLE_MS) return
    this.#adapt()
    this.#since = now
    this.#sum = this.#measured = this.#abandoned = this.#dropped = this.#mostInFlight = 0
  }

  #adapt(): void {
    // If most callers gave up, the latency is not known, but it is too high.
    const known = this.#measured > 0 && this.#abandoned * 2 <= this.#measured
    const recent = known ? this.#sum / this.#measured : undefined
    if (this.#probe !== undefined) {
      this.#probe = undefined
      if (recent !== undefined) this.#probed(recent)
      return
    }
    const full = this.#mostInFlight * 2 >= this.#limit
    if (full && --this.#untilProbe <= 0) this.#probe = Math.max(this.#minimum, this.#mostInFlight / 2)
    if (recent === undefined) {
      this.#move(0)
    } else {
      const usual = this.#learn(recent, full)
      this.#move(full ? (this.#tolerance * usual) / recent : 1)
    }
  }

  /** @param fit - how much of the limit the latency allows for */
  #move(fit: number): void {
    const limit = this.#limit
    const dropped = this.#dropped / (this.#measured + this.#dropped)
    const gradient = Math.max(LOWEST_GRADIENT, Math.min(1, fit) * (1 - dropped))
    const growth = Math.sqrt(limit) * Math.max(0, 1 - dropped / DROPS_THAT_END_GROWTH)
    const wanted = limit * gradient + growth
    if (wanted > limit && this.#mostInFlight < Math.floor(limit) * USED) return
    const next = limit + (wanted - limit) * SMOOTHING
    this.#limit = Math.min(this.#maximum, Math.max(this.#minimum, next))
  }

  /** @returns the usual latency, by what is known now */
  #learn(recent: number, full: boolean): number {
    const before = this.#usual ?? recent
    const change = (recent - before) * LEARNING
    // A latency of nothing would make every other one an overload.
    return (this.#usual = Math.max(LEAST_MS, full ? before + Math.min(0, change) : before + change))
  }

  #probed(recent: number): void {
    if (recent < (this.#usual ?? 0) * LOWER) {
      this.#usual = Math.max(LEAST_MS, recent)
      this.#betweenProbes = SOONEST_PROBE
    } else {
      this.#learn(recent, false)
      this.#betweenProbes = Math.min(RAREST_PROBE, this.#betweenProbes * 2)
    }
    this.#untilProbe = this.#betweenProbes
  }
}
