import type { Growth } from '../../../core/backoff.js'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { checkJson } from '../../election/json.js'
import { thisHolder } from '../../holder.js'
import { MAX_BUCKETS } from './layout.js'
import type { Work } from './owned-bucket.js'
import type { PlanRules } from './records.js'

/** Options of {@link joinShards}. */
export interface JoinShardsOptions {
  /**
   * What is done with a bucket, called once for each that this worker gets. When `owned.signal` aborts it must end soon: nobody
   * else gets the bucket before it has, unless the lease was lost. What it returns before that ends nothing; what it throws is
   * logged, and it is called again.
   */
  own?: Work
  /**
   * How many buckets there are, 1 to 16,384: fixed when the map is first made. Many more than there will ever be workers, as a
   * bucket is what moves. Default what the map has, and 256 for a new one.
   */
  buckets?: number
  /** Who this is: the same name after a restart gets the same buckets, if it comes before `settle`. Default `host:pid`. */
  worker?: string
  /** How much it gets, beside the others; above 0. Default 1. */
  weight?: number
  /** What others are told of it, such as its address: what JSON can hold. */
  metadata?: Readonly<Record<string, unknown>>
  /** How long the buckets of a worker that is gone are kept, in ms; all of a process with the same share one lease. Default `'10s'`. */
  ttl?: Duration
  /** What a bucket costs at the moment, asked every `reportEvery`: 0 or more, in any unit that all workers share. */
  load?: (bucket: string) => number
  /** How often loads are told to others at most, in ms. Default `'10s'`. */
  reportEvery?: Duration
  /** Whether this worker may be the one that plans. Default true. */
  plans?: boolean
  /** For the one that plans: how many buckets may be on their way at the same time. Default a tenth of all, at least 1; at most 2000. */
  movesAtOnce?: number
  /**
   * For the one that plans: how long workers must have been there, or gone, before anything moves for that, in ms. As long as a
   * restart takes, if a restart is to move nothing; then what a worker has that is gone stays without an owner for so long.
   * Default `'2s'`.
   */
  settle?: Duration
  /** For the one that plans: how far a worker may be from its part before anything moves for that: 0.1 is a tenth, the default. */
  tolerance?: number
  /** Before `own` is called again after it has failed, growing with each failure in a row. */
  backoff?: {
    /** In ms. Default `'1s'`. */
    base?: Duration
    /** Default 2. */
    factor?: number
    /** In ms. Default `'1m'`. */
    max?: Duration
  }
}

const OPTIONS: OptionTable<JoinShardsOptions> = {
  own: { kind: 'code', type: 'function', doc: 'what is done with a bucket' },
  buckets: { kind: 'number', integer: true, min: 1, max: MAX_BUCKETS, doc: 'how many buckets there are' },
  worker: { kind: 'string', doc: 'who this is' },
  weight: { kind: 'number', doc: 'how much it gets, beside the others' },
  metadata: { kind: 'code', type: 'object', doc: 'what others are told of it' },
  ttl: { kind: 'duration', min: 1, doc: 'how long the buckets of a worker that is gone are kept' },
  load: { kind: 'code', type: 'function', doc: 'what a bucket costs' },
  reportEvery: { kind: 'duration', min: 1, doc: 'how often loads are told' },
  plans: { kind: 'boolean', doc: 'whether it may be the one that plans' },
  movesAtOnce: { kind: 'number', integer: true, min: 1, max: 2000, doc: 'how many buckets move at once' },
  settle: { kind: 'duration', doc: 'how long workers must have been there, or gone' },
  tolerance: { kind: 'number', min: 0, max: 10, doc: 'how far a worker may be from its part' },
  backoff: {
    kind: 'group',
    doc: 'before failed work begins again',
    options: {
      base: { kind: 'duration', min: 1, doc: 'the first wait' },
      factor: { kind: 'number', min: 1, doc: 'by how much it grows' },
      max: { kind: 'duration', min: 1, doc: 'the longest wait' },
    },
  },
}

/** Options with their defaults. */
export interface ShardsSettings {
  readonly own: Work | undefined
  readonly buckets: number | undefined
  readonly worker: string
  readonly weight: number
  readonly metadata: Readonly<Record<string, unknown>>
  readonly load: ((bucket: string) => number) | undefined
  /** ms */
  readonly reportEvery: number
  readonly plans: boolean
  readonly movesAtOnce: number | undefined
  readonly rules: Omit<PlanRules, 'movesAtOnce'>
  readonly backoff: Growth
}

/** How many buckets may be on their way, unless said otherwise. */
export function usualMovesAtOnce(buckets: number): number {
  return Math.max(1, Math.ceil(buckets / 10))
}

/**
 * Checks options and fills in what is missing.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function settingsOf(options: JoinShardsOptions): ShardsSettings {
  checkOptions('joinShards', OPTIONS, options)
  const { own, buckets, worker = thisHolder(), weight = 1, metadata = {}, load } = options
  checkJson('joinShards: `metadata`', metadata)
  if (worker === '') throw new BanyanError('BANYAN_INVALID_OPTIONS', 'joinShards: worker must not be empty')
  checkWeight('joinShards', weight)
  const { reportEvery = '10s', plans = true, movesAtOnce, settle = '2s', tolerance = 0.1 } = options
  const { base = '1s', factor = 2, max = '1m' } = options.backoff ?? {}
  return {
    own,
    buckets,
    worker,
    weight,
    metadata,
    load,
    reportEvery: duration(reportEvery),
    plans,
    movesAtOnce,
    rules: { settle: duration(settle), tolerance },
    backoff: { base: duration(base), factor, max: Math.max(duration(base), duration(max)) },
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` unless it can be the weight of a worker */
export function checkWeight(owner: string, weight: number): void {
  if (!(weight > 0 && weight < Infinity))
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: weight must be above 0, got ${weight}`)
}
