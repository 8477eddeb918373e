import type { Runtime } from '../../../../core/runtime.js'
import type { Counter, Histogram } from '../../../../core/telemetry.js'

/** What is measured of a router, by `banyan.shards`. */
export class RouterMeter {
  readonly #calls: Counter
  readonly #moved: Counter
  readonly #unsettled: Counter
  readonly #width: Histogram

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.shards.calls` | `{call}` | transactions of one key, by `banyan.shard` and `banyan.mode`, `read` or `write` |
   * | `banyan.shards.retries` | `{retry}` | transactions that were done anew, by `banyan.why`: the bucket had `moved`, or was `busy` |
   * | `banyan.shards.width` | `{shard}` | how many databases a query asks |
   * | `banyan.shards.unsettled` | `{query}` | queries that were asked again, as a bucket was twice or not at all in their answers |
   */
  constructor({ telemetry }: Runtime, name: string) {
    const attributes = { 'banyan.shards': name }
    this.#calls = telemetry.counter('banyan.shards.calls', {
      description: 'Transactions of one key.',
      unit: '{call}',
      attributes,
    })
    this.#moved = telemetry.counter('banyan.shards.retries', {
      description: 'Transactions that were done anew, as their bucket had moved or was busy.',
      unit: '{retry}',
      attributes,
    })
    this.#unsettled = telemetry.counter('banyan.shards.unsettled', {
      description: 'Queries that were asked again, as a bucket was twice or not at all in their answers.',
      unit: '{query}',
      attributes,
    })
    this.#width = telemetry.histogram('banyan.shards.width', {
      description: 'Databases that a query asks.',
      unit: '{shard}',
      attributes,
      bounds: [1, 2, 4, 8, 16, 32, 64],
    })
  }

  called(shard: string, mode: 'read' | 'write'): void {
    this.#calls.add(1, { 'banyan.shard': shard, 'banyan.mode': mode })
  }

  retried(why: 'moved' | 'busy'): void {
    this.#moved.add(1, { 'banyan.why': why })
  }

  asked(width: number): void {
    this.#width.record(width)
  }

  askedAgain(): void {
    this.#unsettled.add(1)
  }
}
