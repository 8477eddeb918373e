import type { Growth, Jitter } from '../../../core/backoff.js'
import { duration, type Duration } from '../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'

/** Options of `workQueue`. */
export interface WorkQueueOptions {
  /** What metrics call it; one for each queue of a process. Default `'queue'`. */
  name?: string
  /** How long a key that has failed waits for its next try. Default: 5 ms, doubling, to 1,000 s. */
  backoff?: WorkQueueBackoff
  /** How many tries after failures all keys have together. Default: 10 a second, and 100 at once. `false` for no limit. */
  bucket?: WorkQueueBucket | false
  /**
   * What a point of priority is worth, in ms of waiting or as text: a key of priority 0 is overtaken by one of priority 3 if that
   * comes less than 3 times this later, and never by one that comes after that. 0 for first come, first served. Default `'1s'`.
   */
  ageing?: Duration
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** See {@link WorkQueueOptions.backoff}. */
export interface WorkQueueBackoff {
  /** After the first failure, in ms or as text. Default `'5ms'`. */
  base?: Duration
  /** By how much each wait is longer than the one before, 1 to 100. Default 2. */
  factor?: number
  /** The longest, in ms or as text. Default `'1000s'`. */
  max?: Duration
  /**
   * How chance spreads the waits. `full`: anything from 0 to the wait. `equal`: from half of the wait to all of it. `none`: exactly
   * the wait. Default `none`.
   */
  jitter?: Jitter
}

/** See {@link WorkQueueOptions.bucket}. */
export interface WorkQueueBucket {
  /** Tries a second, in the long run; above 0. Default 10. */
  rate?: number
  /** Tries at once, after a while without failures; at least 1. Default 100. */
  burst?: number
}

/** Options of what adds a key. */
export interface AddOptions {
  /** Higher is earlier, from -1,000,000 to 1,000,000; see {@link WorkQueueOptions.ageing}. Default 0. */
  priority?: number
}

const BACKOFF: OptionTable<WorkQueueBackoff> = {
  base: { kind: 'duration', doc: 'The wait after the first failure. Default 5ms.' },
  factor: {
    kind: 'number',
    min: 1,
    max: 100,
    doc: 'By how much each wait is longer than the last. Default 2.',
  },
  max: { kind: 'duration', doc: 'The longest wait. Default 1000s.' },
  jitter: {
    kind: 'choice',
    values: ['full', 'equal', 'none'],
    doc: 'How chance spreads the waits. Default none.',
  },
}

const BUCKET: OptionTable<WorkQueueBucket> = {
  // One in eleven days: less is a mistake, and 0 would be for ever.
  rate: { kind: 'number', min: 1e-6, max: 1e9, doc: 'Tries a second. Default 10.' },
  burst: { kind: 'number', min: 1, max: 1e9, doc: 'Tries at once. Default 100.' },
}

const OPTIONS: OptionTable<WorkQueueOptions> = {
  name: { kind: 'string', doc: 'Name in metrics.' },
  backoff: { kind: 'group', options: BACKOFF, doc: 'How long a key that has failed waits.' },
  bucket: {
    kind: 'either',
    of: [
      { kind: 'group', options: BUCKET, doc: 'A limit.' },
      { kind: 'choice', values: [false], doc: 'No limit.' },
    ],
    doc: 'How many tries after failures all keys have together. Default 10 a second, 100 at once.',
  },
  ageing: { kind: 'duration', doc: 'What a point of priority is worth in waiting. Default 1s.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/** A queue as its options say, in ms. */
export interface WorkQueueSettings {
  readonly name: string
  readonly growth: Growth
  readonly jitter: Jitter
  readonly bucket: Required<WorkQueueBucket> | undefined
  readonly ageing: number
  readonly runtime: Runtime
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(options: WorkQueueOptions): WorkQueueSettings {
  checkOptions('workQueue', OPTIONS, options)
  const { name = 'queue', backoff = {}, bucket = {}, ageing = '1s', runtime = systemRuntime } = options
  const base = duration(backoff.base ?? '5ms', 'workQueue: backoff.base')
  const max = Math.max(base, duration(backoff.max ?? '1000s', 'workQueue: backoff.max'))
  return {
    name,
    growth: { base, max, factor: backoff.factor ?? 2 },
    jitter: backoff.jitter ?? 'none',
    bucket: bucket === false ? undefined : { rate: bucket.rate ?? 10, burst: bucket.burst ?? 100 },
    ageing: duration(ageing, 'workQueue: ageing'),
    runtime,
  }
}
