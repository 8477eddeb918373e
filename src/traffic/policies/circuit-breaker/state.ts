import type { Tally } from './window.js'

/**
 * The states of a circuit breaker. Each has a generation of its own: a result counts only in the state in which its
 * call was admitted.
 *
 * ```
 *            rate, slow rate or            openFor has passed        the probes
 *            consecutive failures          and a call comes          are good
 *  closed ------------------------> open -------------------> probing --------> ramping ------> closed
 *    ^                               ^                           |                 |    rampUp
 *    |                               +---------------------------+-----------------+    has passed
 *    |                                   the probes fail, or the window fails again
 *    +---- release ---- forced-open, disabled (set by an operator, with an optional lease)
 * ```
 */
export type State =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly until: number; readonly openings: number }
  | {
      readonly kind: 'probing'
      readonly openings: number
      /** When the verdict falls at the latest. */
      until: number
      admitted: number
      /** Probes that have returned their result while work of theirs goes on (`waitUntil`). */
      answered: number
      successes: number
      failures: number
    }
  | { readonly kind: 'ramping'; readonly openings: number; readonly since: number; readonly until: number }
  | { readonly kind: 'forced-open'; readonly until: number; readonly note: string | undefined }
  | { readonly kind: 'disabled'; readonly until: number; readonly note: string | undefined }

/** What users see: probing and ramping are both half-open. */
export type BreakerState = 'closed' | 'open' | 'half-open' | 'forced-open' | 'disabled'

/** The name of a state. */
export function nameOf(state: State): BreakerState {
  return state.kind === 'probing' || state.kind === 'ramping' ? 'half-open' : state.kind
}

/** Why a breaker changed its state. */
export interface BreakerReason {
  code:
    | 'failure-rate'
    | 'slow-call-rate'
    | 'consecutive-failures'
    | 'open-time-over'
    | 'probes-failed'
    | 'probes-passed'
    | 'probes-silent'
    | 'ramp-over'
    | 'forced'
    | 'released'
    | 'restored'
  /** One sentence with the numbers. */
  message: string
}

/** A change of state, as observers get it. */
export interface StateChange {
  breaker: string
  from: BreakerState
  to: BreakerState
  reason: BreakerReason
  /** What the window held at that moment. */
  window: Tally
  /** True in a dry run: the breaker would have, but lets everything through. */
  dryRun: boolean
}

/** A breaker as JSON: for people, metrics and a restart. Times are ms since the epoch. */
export interface BreakerSnapshot {
  name: string
  state: BreakerState
  /** Which half of half-open. */
  phase?: 'probing' | 'ramping'
  /** Share of calls that are let through, 0 to 1. */
  admitting: number
  since: number
  /** When the state ends by itself. */
  until?: number
  /** How many times in a row it has opened without closing in between. */
  openings: number
  reason?: BreakerReason
  /** What an operator has ordered, as long as that holds; `until` is the end of the lease, if it has one. */
  override?: { state: 'open' | 'closed'; reason?: string }
  window: Tally & {
    /** `undefined` until there are enough calls to judge. */
    failureRate?: number
    slowCallRate?: number
  }
  dryRun: boolean
}
