import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../../events/log.js'
import {
  subscriptions,
  type Subscriptions,
  type SubscriptionStatus,
} from '../../events/pubsub/manage/index.js'
import { glance } from '../glance.js'

/** How far what waits is counted. */
const COUNT = 10_000

/** So many subscriptions are shown, the first by name. */
const SUBSCRIPTIONS = 100

/**
 * Shows how far the subscriptions of a log are, whoever runs them, as gauges by `banyan.subscription`. They are looked at
 * when somebody asks for the gauges.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.subscription.waiting` | `{message}` | messages that wait, up to 10,000; not those that parked keys hold back |
 * | `banyan.subscription.age` | s | how long the oldest of them has been waiting |
 * | `banyan.subscription.parked` | `{lane}` | keys that a dead letter has parked |
 */
export class SubscriptionWatch {
  /** Brings the gauges up to date, as far as that goes in the time that there is; a log that cannot be asked is told by its own. */
  readonly look: () => Promise<void>
  readonly #manage: Subscriptions
  readonly #runtime: Runtime
  readonly #shown = new Map<string, { status: SubscriptionStatus; hide: () => void }>()
  readonly #closing = new AbortController()

  constructor(log: EventLog, runtime: Runtime) {
    this.#manage = subscriptions(log, { runtime })
    this.#runtime = runtime
    this.look = glance(runtime.clock, () => this.#look())
  }

  /** As they were when somebody has looked last, by name. */
  get statuses(): Readonly<Record<string, SubscriptionStatus>> {
    return Object.fromEntries(Array.from(this.#shown, ([name, { status }]) => [name, status]))
  }

  close(): void {
    this.#closing.abort()
    for (const { hide } of this.#shown.values()) hide()
    this.#shown.clear()
  }

  async #look(): Promise<void> {
    const { signal } = this.#closing
    const found = new Set<string>()
    for await (const { name } of this.#manage.list({ signal })) {
      if (found.size === SUBSCRIPTIONS) break
      const status = await this.#manage.status(name, { count: COUNT, lanes: 0, signal })
      if (signal.aborted) return
      found.add(name)
      const shown = this.#shown.get(name)
      if (shown) shown.status = status
      else this.#show(name, status)
    }
    for (const [name, { hide }] of this.#shown) {
      if (found.has(name)) continue
      hide()
      this.#shown.delete(name)
    }
  }

  #show(name: string, first: SubscriptionStatus): void {
    const { telemetry } = this.#runtime
    const attributes = { 'banyan.subscription': name }
    const shown = { status: first, hide: () => hides.forEach((hide) => hide()) }
    const hides = [
      telemetry.gauge(
        'banyan.subscription.waiting',
        { description: 'Messages that wait to be handled.', unit: '{message}', attributes },
        () => shown.status.waiting.count,
      ),
      telemetry.gauge(
        'banyan.subscription.age',
        { description: 'How long the oldest message has been waiting.', unit: 's', attributes },
        () => shown.status.age / 1000,
      ),
      telemetry.gauge(
        'banyan.subscription.parked',
        { description: 'Keys that a dead letter has parked.', unit: '{lane}', attributes },
        () => shown.status.stalled.parked,
      ),
    ]
    this.#shown.set(name, shown)
  }
}
