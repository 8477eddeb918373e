import type { PeakEwma } from './ewma.js'

/** What a balancer looks at. */
export interface Candidate {
  /** What it is called, the same in every process that balances over it: where a key belongs is worked out from it. */
  readonly id: string
  /** Share against the others; 0 takes nothing. */
  readonly weight: number
  /** How much of its weight it takes for now, above 0 to 1: less while it starts slowly. */
  readonly share: number
  /** Requests under way. */
  readonly active: number
  /** What is known of its latency, for balancers that look at it. */
  readonly latency?: PeakEwma | undefined
  /** Whether a request would be let through now. */
  ready(): boolean
}

/** Chooses an endpoint for each request. */
export interface Balancer<C extends Candidate> {
  /** Whether it looks at the key of a request. */
  readonly keyed?: boolean
  /** Tells all there are, whether they can be chosen now or not; for balancers that plan ahead. */
  use?(all: readonly C[]): void
  /**
   * @param among - the candidates that may be chosen; a new array whenever they are others
   * @param avoid - not this one, if there is any other choice: it has just failed
   * @param key - requests of one key belong together
   * @returns `undefined` if none is ready
   */
  pick(among: readonly C[], avoid?: C, key?: string): C | undefined
}

/**
 * The candidates that can be chosen at all: ready, with weight, and not the avoided one unless it is all there is.
 *
 * @param into - is emptied and filled, so that nothing is allocated for a request
 */
export function choices<C extends Candidate>(among: readonly C[], avoid: C | undefined, into: C[]): C[] {
  into.length = 0
  let avoided = false
  for (const candidate of among) {
    if (candidate.weight <= 0 || !candidate.ready()) continue
    if (candidate === avoid) avoided = true
    else into.push(candidate)
  }
  if (avoided && into.length === 0) into.push(avoid!)
  return into
}
