import type { Duration } from '../../../core/duration.js'
import type { OptionTable } from '../../../core/options.js'
import type { Runtime } from '../../../core/runtime.js'
import type { IsFailure } from '../../policy.js'
import type { BreakerSnapshot } from './state.js'

/** Options of `circuitBreaker`. */
export interface CircuitBreakerOptions {
  /** Share of failed calls in the window at which the circuit opens, above 0 to 1. Default 0.5. */
  failureRate?: number
  /** A call that takes at least this long is slow, in ms or as text. Default: no call is. */
  slowCall?: Duration
  /** Share of slow calls in the window at which the circuit opens, above 0 to 1. Default 1; needs `slowCall`. */
  slowCallRate?: number
  /** Calls that must be in the window before a rate means anything. Default 20. */
  minimumCalls?: number
  /** Failures in a row at which the circuit opens, whatever the rates say. Default: no number does. */
  consecutiveFailures?: number
  /** The calls that count: those of the last `time`, or the last so many `calls`. Default `{ time: '10s' }`. */
  window?: { time?: Duration; calls?: number }
  /** How long the circuit stays open before it tries again, in ms or as text. Default `'5s'`. */
  openFor?: Duration
  /**
   * Every time the circuit opens again without having closed in between, it stays open twice as long, up to this.
   * Default: ten times `openFor`.
   */
  openForMax?: Duration
  /** Calls let through in half-open to see whether the trouble is over; more than these are refused. Default 3. */
  halfOpenCalls?: number
  /**
   * How long those calls may take, from the first, in ms or as text. Then those that have ended decide, one that has
   * returned its result and goes on (`waitUntil`) being good; if there is none of either, the circuit opens again.
   * Default `'10s'`.
   */
  halfOpenFor?: Duration
  /**
   * After good probes the load comes back over this time, from a tenth to all of it, instead of at once; a window
   * of its own judges it meanwhile. 0 closes at once. Default `'5s'`.
   */
  rampUp?: Duration
  /** Only watch and report: nothing is refused. Default false. */
  dryRun?: boolean
  /** Which outcomes count as failures. Default: every error. Refusals and cancelled calls never count at all. */
  isFailure?: IsFailure
  /** A snapshot to start from, taken before a restart. The window starts empty. Default: closed. */
  restore?: BreakerSnapshot
  /** What metrics and errors call it. Default `'breaker'`. */
  name?: string
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What `circuitBreaker` accepts, for checks, schemas and docs. */
export const circuitBreakerOptions: OptionTable<CircuitBreakerOptions> = {
  failureRate: {
    kind: 'number',
    min: 0.001,
    max: 1,
    doc: 'Share of failed calls at which the circuit opens. Default 0.5.',
  },
  slowCall: {
    kind: 'duration',
    min: 1,
    doc: 'A call that takes at least this long is slow. Default: none is.',
  },
  slowCallRate: {
    kind: 'number',
    min: 0.001,
    max: 1,
    doc: 'Share of slow calls at which the circuit opens. Default 1.',
  },
  minimumCalls: {
    kind: 'number',
    min: 1,
    integer: true,
    doc: 'Calls in the window before rates count. Default 20.',
  },
  consecutiveFailures: {
    kind: 'number',
    min: 1,
    integer: true,
    doc: 'Failures in a row that open the circuit. Default: off.',
  },
  window: {
    kind: 'group',
    options: {
      time: { kind: 'duration', min: 10, doc: 'The calls of this last time count. Default 10s.' },
      calls: {
        kind: 'number',
        min: 1,
        max: 100_000,
        integer: true,
        doc: 'So many last calls count, instead of a time.',
      },
    },
    doc: 'The calls that count: of a time, or a number of them.',
  },
  openFor: { kind: 'duration', min: 1, doc: 'How long the circuit stays open. Default 5s.' },
  openForMax: {
    kind: 'duration',
    min: 1,
    doc: 'Longest time open, as it doubles each time in a row. Default 10 x openFor.',
  },
  halfOpenCalls: {
    kind: 'number',
    min: 1,
    max: 1000,
    integer: true,
    doc: 'Probing calls in half-open. Default 3.',
  },
  halfOpenFor: { kind: 'duration', min: 1, doc: 'How long probing calls may take. Default 10s.' },
  rampUp: { kind: 'duration', doc: 'Time over which the load comes back after good probes. Default 5s.' },
  dryRun: { kind: 'boolean', doc: 'Only watch and report, refuse nothing. Default false.' },
  isFailure: { kind: 'code', type: 'function', doc: 'Which outcomes are failures.' },
  restore: { kind: 'code', type: 'object', doc: 'A snapshot to start from.' },
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/** An operator's decision that stands above the breaker's own. */
export interface Override {
  /**
   * `open` refuses every call (state `forced-open`); `closed`, or `disabled` as the state is called, lets every call
   * through and goes on counting.
   */
  state: 'open' | 'closed' | 'disabled'
  /** When the breaker takes over again by itself, in ms or as text. Default: not before `release()`. */
  for?: Duration
  /** For whoever looks at it later. */
  reason?: string
}

/** What `force` accepts. */
export const overrideOptions: OptionTable<Override> = {
  state: { kind: 'choice', values: ['open', 'closed', 'disabled'], doc: 'What the breaker does meanwhile.' },
  for: { kind: 'duration', doc: 'When the breaker takes over again.' },
  reason: { kind: 'string', doc: 'For whoever looks at it later.' },
}
