import type { Counter, Histogram, Telemetry } from '../../../core/telemetry.js'

/** What the gauges of a queue are read from. */
interface QueueFigures {
  readonly depth: () => number
  readonly delayed: () => number
  readonly working: () => number
  /** For how long each key is worked on that is, in ms. */
  readonly ages: () => number[]
}

/**
 * What is measured of work queues, each by `banyan.workqueue`, the name of the queue; as in client-go, whose names are behind.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.workqueue.depth` | `{key}` | keys that wait for a worker (depth) |
 * | `banyan.workqueue.delayed` | `{key}` | keys whose time has not come |
 * | `banyan.workqueue.working` | `{key}` | keys that are worked on |
 * | `banyan.workqueue.adds` | `{key}` | keys that came to wait for a worker; not those that waited already (adds_total) |
 * | `banyan.workqueue.retries` | `{key}` | tries after failures that were asked for (retries_total) |
 * | `banyan.workqueue.wait.duration` | s | from when a key could be worked on until it was (queue_duration) |
 * | `banyan.workqueue.work.duration` | s | how long keys were worked on (work_duration) |
 * | `banyan.workqueue.work.unfinished` | s | how long all keys that are worked on have been by now, together: what rises without end is stuck (unfinished_work) |
 * | `banyan.workqueue.work.longest` | s | the longest of them (longest_running_processor) |
 */
export class QueueMeter {
  readonly #adds: Counter
  readonly #retries: Counter
  readonly #wait: Histogram
  readonly #work: Histogram
  readonly #gauges: (() => void)[]

  constructor(name: string, telemetry: Telemetry, figures: QueueFigures) {
    const attributes = { 'banyan.workqueue': name }
    this.#adds = telemetry.counter('banyan.workqueue.adds', {
      description: 'Keys that came to wait for a worker.',
      unit: '{key}',
      attributes,
    })
    this.#retries = telemetry.counter('banyan.workqueue.retries', {
      description: 'Tries after failures that were asked for.',
      unit: '{key}',
      attributes,
    })
    this.#wait = telemetry.histogram('banyan.workqueue.wait.duration', {
      description: 'How long keys waited for a worker.',
      unit: 's',
      attributes,
    })
    this.#work = telemetry.histogram('banyan.workqueue.work.duration', {
      description: 'How long keys were worked on.',
      unit: 's',
      attributes,
    })
    const gauge = (suffix: string, unit: string, description: string, read: () => number): (() => void) =>
      telemetry.gauge(`banyan.workqueue.${suffix}`, { description, unit, attributes }, read)
    this.#gauges = [
      gauge('depth', '{key}', 'Keys that wait for a worker.', figures.depth),
      gauge('delayed', '{key}', 'Keys whose time has not come.', figures.delayed),
      gauge('working', '{key}', 'Keys that are worked on.', figures.working),
      gauge('work.unfinished', 's', 'How long all keys that are worked on have been, together.', () =>
        figures.ages().reduce((sum, age) => sum + age / 1000, 0),
      ),
      gauge('work.longest', 's', 'The longest that a key has been worked on which still is.', () =>
        figures.ages().reduce((longest, age) => Math.max(longest, age / 1000), 0),
      ),
    ]
  }

  added(count: number): void {
    if (count > 0) this.#adds.add(count)
  }

  retried(): void {
    this.#retries.add(1)
  }

  /** @param waited - ms */
  taken(waited: number): void {
    this.#wait.record(waited / 1000)
  }

  /** @param took - ms */
  done(took: number): void {
    this.#work.record(took / 1000)
  }

  close(): void {
    for (const stop of this.#gauges) stop()
  }
}
