import type { Runtime } from '../../../core/runtime.js'
import type { Counter, Histogram } from '../../../core/telemetry.js'
import type { OwnershipEnd } from './owned-bucket.js'
import type { MoveReason } from './records.js'

/** What is measured of a shard map in one process, by `banyan.shards`. */
export class ShardMeter {
  readonly #ends: Counter
  readonly #vacancy: Histogram
  readonly #hide: () => void

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.shards.owned` | `{bucket}` | buckets that this process owns, by `banyan.worker` |
   * | `banyan.shards.ended` | `{bucket}` | buckets that it does not own any more, by `banyan.why` |
   * | `banyan.shards.vacancy` | s | from seeing that nobody has a bucket to owning it |
   * | `banyan.shards.unowned` | `{bucket}` | buckets that nobody has, as the one that plans sees it |
   * | `banyan.shards.moves` | `{bucket}` | buckets that it has given to another worker, by `banyan.why` |
   */
  constructor({ telemetry }: Runtime, name: string, worker: string, owned: () => number) {
    const attributes = { 'banyan.shards': name, 'banyan.worker': worker }
    this.#ends = telemetry.counter('banyan.shards.ended', {
      description: 'Buckets that a worker does not own any more.',
      unit: '{bucket}',
      attributes,
    })
    this.#vacancy = telemetry.histogram('banyan.shards.vacancy', {
      description: 'Time from seeing that nobody has a bucket to owning it.',
      unit: 's',
      attributes,
    })
    this.#hide = telemetry.gauge(
      'banyan.shards.owned',
      { description: 'Buckets that this process owns.', unit: '{bucket}', attributes },
      owned,
    )
  }

  /** @param ms - for how long nobody has had it, if that was seen */
  owned(ms: number | undefined): void {
    if (ms !== undefined) this.#vacancy.record(ms / 1000)
  }

  ended(why: OwnershipEnd): void {
    this.#ends.add(1, { 'banyan.why': why })
  }

  close(): void {
    this.#hide()
  }
}

/** What is measured by the one that plans. */
export class PlannerMeter {
  readonly #moves: Counter
  readonly #hide: () => void

  /** @param unowned - how many buckets nobody has */
  constructor({ telemetry }: Runtime, name: string, unowned: () => number) {
    const attributes = { 'banyan.shards': name }
    this.#moves = telemetry.counter('banyan.shards.moves', {
      description: 'Buckets that were given to another worker.',
      unit: '{bucket}',
      attributes,
    })
    this.#hide = telemetry.gauge(
      'banyan.shards.unowned',
      { description: 'Buckets that nobody has.', unit: '{bucket}', attributes },
      unowned,
    )
  }

  moved(count: number, why: MoveReason): void {
    this.#moves.add(count, { 'banyan.why': why })
  }

  close(): void {
    this.#hide()
  }
}
