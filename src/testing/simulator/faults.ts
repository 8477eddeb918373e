import { duration, type Duration } from '../../core/duration.js'
import type { OptionTable } from '../../core/options.js'

/** What {@link faultyLog} does to a log. Probabilities are from 0 to 1, and of each request. */
export interface LogFaults {
  /** The longest time a request is on its way, and its answer as well; default `'20ms'`. */
  delay?: Duration
  /** An append is refused with `BANYAN_LOG_UNAVAILABLE`, before anything was done; default 0.05. */
  refuse?: number
  /** The answer to an append is lost: some or all of its group is done, the caller gets `BANYAN_OUTCOME_UNKNOWN`; default 0.05. */
  loseAnswer?: number
  /** A read, or a question, fails with `BANYAN_LOG_UNAVAILABLE`; default 0.05. */
  failRead?: number
  /** A page holds less than it could; default 0.2. */
  cutPage?: number
  /** A follower is woken though there is nothing; default 0.1. */
  wakeForNothing?: number
}

/** What {@link simulate} does to nodes, too. */
export interface NodeFaults {
  /** A node crashes while it waits for something: its memory is lost, what it has sent may still arrive; default 0.02. */
  crash?: number
  /** The longest time until it is started again; default `'3s'`. */
  downtime?: Duration
  /** A node stands still while it waits for something; default 0.02. */
  stall?: number
  /** The longest time it stands still; default `'2s'`. */
  stallTime?: Duration
  /** How far the wall clocks of nodes may be off; default `'1s'`. */
  clockSkew?: Duration
}

/** What each fault of nodes may be. */
export const NODE_FAULTS: OptionTable<NodeFaults> = {
  crash: { kind: 'number', min: 0, max: 1, doc: 'A probability.' },
  downtime: { kind: 'duration', min: 0, doc: 'The longest time.' },
  stall: { kind: 'number', min: 0, max: 1, doc: 'A probability.' },
  stallTime: { kind: 'duration', min: 0, doc: 'The longest time.' },
  clockSkew: { kind: 'duration', min: 0, doc: 'How far clocks may be off.' },
}

/** Everything that can go wrong. */
export type Faults = LogFaults & NodeFaults

/** The same in numbers: probabilities, and ms. */
export type FaultRates = { readonly [Fault in keyof Required<Faults>]: number }

const DEFAULTS: Required<Faults> = {
  delay: '20ms',
  refuse: 0.05,
  loseAnswer: 0.05,
  failRead: 0.05,
  cutPage: 0.2,
  wakeForNothing: 0.1,
  crash: 0.02,
  downtime: '3s',
  stall: 0.02,
  stallTime: '2s',
  clockSkew: '1s',
}

/** Faults with their defaults. */
export function faultRates(faults: Faults = {}): FaultRates {
  const rates: Record<string, number> = {}
  for (const [name, value] of Object.entries({ ...DEFAULTS, ...faults }))
    rates[name] = PROBABILITIES.has(name) ? probability(name, value) : duration(value, name)
  return rates as FaultRates
}

const PROBABILITIES = new Set(
  Object.keys(DEFAULTS).filter((name) => typeof DEFAULTS[name as keyof Faults] === 'number'),
)

function probability(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw new Error(`${name} is a probability from 0 to 1, got ${String(value)}`)
}
