import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { hashText } from '../../../core/hashing/hash.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import { bucketOfHash } from '../buckets.js'
import { snapshotOf, type HeatSnapshot } from './snapshot.js'
import { SpaceSaving } from './space-saving.js'

/** Options of {@link heatMeter}. */
export interface HeatMeterOptions {
  /** Virtual buckets, as many as the shard map has: 1 to 1,048,576. */
  buckets: number
  /**
   * Keys that are counted at a time, 1 to 65,536: one with more than 1/`keys` of all load is always found. About 60 bytes each, and
   * the keys. Default 100.
   */
  keys?: number
  /** After how long what was recorded counts half, in ms; from 1 ms. Default `'1m'`. */
  halfLife?: Duration
  /** Default: that of the system. */
  runtime?: Pick<Runtime, 'clock'>
}

const OPTIONS: OptionTable<HeatMeterOptions> = {
  buckets: { kind: 'number', min: 1, max: 2 ** 20, integer: true, doc: 'virtual buckets' },
  keys: { kind: 'number', min: 1, max: 65_536, integer: true, doc: 'keys that are counted at a time' },
  halfLife: { kind: 'duration', min: 1, doc: 'after how long what was recorded counts half' },
  runtime: { kind: 'code', type: 'object', doc: 'clock' },
}

/** Measures where load goes: to which buckets, and to which keys above all. */
export interface HeatMeter {
  /**
   * Something was done for a key. Also what was refused counts, or load would seem to fall where it is too much.
   *
   * @param weight - how much it was: 1, or bytes, or ms of work; above 0. Default 1
   */
  record(key: string, weight?: number): void
  snapshot(): HeatSnapshot
}

/** The clock is looked at this often in a half-life, and at least every {@link LONGEST_MS}: what is recorded is off by 1/1,500 at most. */
const STEPS = 1024
const LONGEST_MS = 100
/** Far from what a number can hold, with all that may yet be added. */
const MOST = 2 ** 500

/**
 * Makes a meter of heat for one process; {@link mergeHeat} joins those of several. Keys are counted by space-saving, which finds
 * every hot one in fixed memory and says how wrong it can be. (A count-min sketch would say how often a given key was there, and not
 * which ones are hot.)
 *
 * Its load decays by forward decay (Cormode et al., 2009): later records weigh more, instead of all being scaled all the time.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function heatMeter(options: HeatMeterOptions): HeatMeter {
  checkOptions('heatMeter', OPTIONS, options)
  if ((options.buckets as number | undefined) === undefined)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'heatMeter: buckets must be given')
  return new Meter(options)
}

class Meter implements HeatMeter {
  readonly #halfLife: number
  readonly #step: number
  readonly #clock: Runtime['clock']
  readonly #buckets: Float64Array
  readonly #keys: SpaceSaving
  readonly #keyLimit: number
  /** When a record weighs 1. */
  #origin: number
  /** What a record of weight 1 weighs now, to within a step. */
  #unit = 1
  #isOld = true

  constructor({ buckets, keys = 100, halfLife = '1m', runtime = systemRuntime }: HeatMeterOptions) {
    this.#halfLife = duration(halfLife)
    this.#step = Math.min(this.#halfLife / STEPS, LONGEST_MS)
    this.#clock = runtime.clock
    this.#buckets = new Float64Array(buckets)
    this.#keys = new SpaceSaving(keys)
    this.#keyLimit = keys
    this.#origin = this.#clock.now()
  }

  record(key: string, weight = 1): void {
    if (typeof key !== 'string' || !(weight > 0 && weight < Infinity)) throw invalid(key, weight)
    if (this.#isOld) this.#look()
    const hash = hashText(key)
    const load = weight * this.#unit
    this.#buckets[bucketOfHash(hash, this.#buckets.length)]! += load
    this.#keys.add(key, hash, load)
  }

  snapshot(): HeatSnapshot {
    const scale = 1 / this.#unitAt(this.#clock.now())
    const buckets = this.#buckets.length
    return snapshotOf({
      at: this.#clock.wall(),
      halfLife: this.#halfLife,
      buckets: Array.from(this.#buckets, (load) => load * scale),
      keys: this.#keys.list().map(({ key, count, error }) => ({
        key,
        bucket: bucketOfHash(hashText(key), buckets),
        load: count * scale,
        error: error * scale,
      })),
      keyLimit: this.#keyLimit,
      floor: this.#keys.floor * scale,
    })
  }

  /** Asking for the time costs as much as all the rest: a timer says when to ask, as long as there are records. */
  #look(): void {
    const now = this.#clock.now()
    this.#unit = this.#unitAt(now)
    if (this.#unit > MOST) {
      const scale = 1 / this.#unit
      for (let bucket = 0; bucket < this.#buckets.length; bucket++) this.#buckets[bucket]! *= scale
      this.#keys.scale(scale)
      this.#origin = now
      this.#unit = 1
    }
    this.#isOld = false
    this.#clock.schedule(now + this.#step, () => {
      this.#isOld = true
    })
  }

  #unitAt(now: number): number {
    return 2 ** ((now - this.#origin) / this.#halfLife)
  }
}

function invalid(key: unknown, weight: number): Error {
  return new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    typeof key === 'string'
      ? `heatMeter: a weight must be above 0, got ${weight}`
      : `heatMeter: a key must be text, got ${key === null ? 'null' : typeof key}`,
  )
}
