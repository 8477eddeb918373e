import type { Counter, Histogram } from '../../../core/telemetry.js'
import type { Runtime } from '../../../core/runtime.js'

/** What is measured of a subscription, by `banyan.subscription`. */
export class Meter {
  readonly #delivered: Counter
  readonly #duration: Histogram
  readonly #remove: (() => void)[]

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.subscription.deliveries` | `{delivery}` | deliveries that ended, by `banyan.outcome`: `handled`, `failed`, `dead-lettered`, `dropped`, `released` |
   * | `banyan.subscription.duration` | s | from delivery to its end |
   * | `banyan.subscription.held` | `{message}` | messages in memory |
   * | `banyan.subscription.stalled` | `{lane}` | keys that wait for another try, or are parked |
   */
  constructor({ telemetry }: Runtime, name: string, held: () => number, stalled: () => number) {
    const attributes = { 'banyan.subscription': name }
    this.#delivered = telemetry.counter('banyan.subscription.deliveries', {
      description: 'Deliveries that ended.',
      unit: '{delivery}',
      attributes,
    })
    this.#duration = telemetry.histogram('banyan.subscription.duration', {
      description: 'Time from delivery to its end.',
      unit: 's',
      attributes,
    })
    this.#remove = [
      telemetry.gauge(
        'banyan.subscription.held',
        { description: 'Messages in memory.', unit: '{message}', attributes },
        held,
      ),
      telemetry.gauge(
        'banyan.subscription.stalled',
        { description: 'Keys that wait for another try, or are parked.', unit: '{lane}', attributes },
        stalled,
      ),
    ]
  }

  /** @param ms - how long it took */
  ended(outcome: keyof typeof OUTCOMES, ms: number): void {
    this.#delivered.add(1, OUTCOMES[outcome])
    this.#duration.record(ms / 1000, OUTCOMES[outcome])
  }

  close(): void {
    for (const remove of this.#remove) remove()
  }
}

/** One object each, so that measuring makes none. */
const OUTCOMES = {
  handled: { 'banyan.outcome': 'handled' },
  failed: { 'banyan.outcome': 'failed' },
  'dead-lettered': { 'banyan.outcome': 'dead-lettered' },
  dropped: { 'banyan.outcome': 'dropped' },
  released: { 'banyan.outcome': 'released' },
}
