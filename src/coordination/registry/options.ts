import type { Duration } from '../../core/duration.js'
import type { OptionTable } from '../../core/options.js'
import type { InstanceState } from './instance.js'

/** What an instance is registered with. */
export interface RegisterOptions {
  /** Name of the service. */
  service: string
  /** Where the instance is, for those who look for it: `http://10.0.0.1:4001`. */
  address: string
  /**
   * Its own among the instances of the service, and the same after a restart if that is to take its place. Default: one
   * that nobody else has.
   */
  id?: string
  /** What it can do, for those who look for instances that can. Default none. */
  tags?: readonly string[]
  /** Where it is; those in the same zone prefer it. Default none. */
  zone?: string
  /** Of what runs there. Default none. */
  version?: string
  /** Its share against the others; 0 takes nothing. Default 1. */
  weight?: number
  /** Anything else, as JSON. */
  metadata?: Readonly<Record<string, unknown>>
  /** How it finds out whether it is well. Default: it is, as long as its process lives and nobody says otherwise. */
  health?: InstanceHealthOptions
  /** After how long without a sign of life it is gone, in ms or as text. Default `'10s'`. */
  ttl?: Duration
  /** How long it stays, marked as draining, before it is removed. Default `'2s'`. */
  drain?: Duration
  /** Who it is, for operators. Default `host:pid`. */
  holder?: string
}

/** How an instance finds out whether it is well. */
export interface InstanceHealthOptions {
  /**
   * A URL that is asked with GET: statuses of 200 to 299 are passing, 429 is warning. Or a function: what it throws is
   * critical, a state that it returns is that, anything else is passing. It is given a signal that aborts at `timeout`.
   */
  check: string | HealthCheckFunction
  /** From one check to the next, in ms or as text. Default `'5s'`. */
  interval?: Duration
  /** When a check that has not ended has failed, in ms or as text. Default `'1s'`. */
  timeout?: Duration
  /** Checks in a row after which it is better than it was said to be. Default 2; a new instance needs one. */
  healthyAfter?: number
  /** Checks in a row after which it is worse. Default 3. */
  unhealthyAfter?: number
  /**
   * Each time it gets better within this time after the last, it needs twice as many checks for it, up to 16 times as many:
   * an instance that comes and goes does more harm than one that is away. Default `'5m'`; 0 for never.
   */
  damping?: Duration
}

/** See {@link InstanceHealthOptions.check}. */
export type HealthCheckFunction = (signal: AbortSignal) => unknown

/** What can be changed of a registered instance. */
export type InstanceUpdate = Partial<Pick<RegisterOptions, 'tags' | 'version' | 'weight' | 'metadata'>>

/** Options of `Registration.drain`. */
export interface DrainOptions {
  /** How long it stays, marked as draining, in ms or as text. Default: `drain` of the registration. */
  for?: Duration
  /** Ends the waiting. */
  signal?: AbortSignal
}

/** What `health` accepts. */
const health: OptionTable<InstanceHealthOptions> = {
  check: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'A URL.' },
      { kind: 'code', type: 'function', doc: 'A function.' },
    ],
    doc: 'A URL that is asked: 200 to 299 is passing, 429 warning, anything else critical.',
  },
  interval: { kind: 'duration', min: 10, doc: 'From one check to the next. Default 5s.' },
  timeout: { kind: 'duration', min: 1, doc: 'When a check that has not ended has failed. Default 1s.' },
  healthyAfter: { kind: 'number', min: 1, integer: true, doc: 'Better checks in a row. Default 2.' },
  unhealthyAfter: { kind: 'number', min: 1, integer: true, doc: 'Worse checks in a row. Default 3.' },
  damping: {
    kind: 'duration',
    doc: 'Getting better again within this time takes twice as many checks. Default 5m; 0 for never.',
  },
}

const tags = { kind: 'list', of: { kind: 'string', doc: 'A tag.' }, doc: 'What it can do.' } as const
const weight = { kind: 'number', min: 0, doc: 'Share against the others. Default 1.' } as const
const metadata = { kind: 'code', type: 'object', doc: 'anything else, as JSON' } as const
const version = { kind: 'string', doc: 'Of what runs there.' } as const

/** What `register` accepts. */
export const registerOptions: OptionTable<RegisterOptions> = {
  service: { kind: 'string', doc: 'Name of the service. Default: that of the entry.' },
  address: { kind: 'string', doc: 'Where the instance is, such as `http://10.0.0.1:4001`.' },
  id: {
    kind: 'string',
    doc: 'Its own among the instances of the service. Default: one that nobody else has.',
  },
  tags,
  zone: { kind: 'string', doc: 'Where it is; those in the same zone prefer it.' },
  version,
  weight,
  metadata,
  health: { kind: 'group', options: health, doc: 'How to find out whether it is well.' },
  ttl: { kind: 'duration', min: 1, doc: 'After how long without a sign of life it is gone. Default 10s.' },
  drain: {
    kind: 'duration',
    doc: 'How long it stays, marked as draining, before it is removed. Default 2s.',
  },
  holder: { kind: 'string', doc: 'Who it is, for operators. Default `host:pid`.' },
}

export const updateOptions: OptionTable<InstanceUpdate> = { tags, version, weight, metadata }

export const drainOptions: OptionTable<DrainOptions> = {
  for: { kind: 'duration', doc: 'how long it stays, marked as draining' },
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}

/** What a check has found. */
export interface Finding {
  readonly state: InstanceState
  readonly note?: string
}
