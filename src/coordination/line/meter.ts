import type { Attributes, Counter, Histogram } from '../../core/telemetry.js'
import type { Coordinator } from '../coordinator.js'
import { hasCode } from '../errors.js'

/** What is measured of locks, by `banyan.lock.kind`: not by name, as there may be one for each order. */
export class LineMeter {
  static readonly #all = new WeakMap<Coordinator, Map<string, LineMeter>>()
  readonly #acquired: Counter
  readonly #wait: Histogram
  readonly #held: Histogram
  readonly #lost: Counter
  readonly #timeouts: Counter
  readonly #attributes: Attributes

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.lock.acquisitions` | `{acquisition}` | how often one was had |
   * | `banyan.lock.wait` | s | from asking for it to having it |
   * | `banyan.lock.held` | s | from having it to its release |
   * | `banyan.lock.losses` | `{loss}` | how often one was lost before its release |
   * | `banyan.lock.timeouts` | `{timeout}` | how often one was not free in time |
   */
  private constructor({ runtime: { telemetry } }: Coordinator, kind: string) {
    this.#attributes = { 'banyan.lock.kind': kind }
    this.#acquired = telemetry.counter('banyan.lock.acquisitions', {
      description: 'Locks that were had.',
      unit: '{acquisition}',
    })
    this.#wait = telemetry.histogram('banyan.lock.wait', {
      description: 'Time from asking for a lock to having it.',
      unit: 's',
    })
    this.#held = telemetry.histogram('banyan.lock.held', {
      description: 'Time from having a lock to its release.',
      unit: 's',
    })
    this.#lost = telemetry.counter('banyan.lock.losses', {
      description: 'Locks that were lost before their release.',
      unit: '{loss}',
    })
    this.#timeouts = telemetry.counter('banyan.lock.timeouts', {
      description: 'Locks that were not free in time.',
      unit: '{timeout}',
    })
  }

  static of(coordinator: Coordinator, kind: string): LineMeter {
    let kinds = LineMeter.#all.get(coordinator)
    if (!kinds) LineMeter.#all.set(coordinator, (kinds = new Map<string, LineMeter>()))
    let meter = kinds.get(kind)
    if (!meter) kinds.set(kind, (meter = new LineMeter(coordinator, kind)))
    return meter
  }

  /** @param ms - how long it took */
  acquired(ms: number): void {
    this.#acquired.add(1, this.#attributes)
    this.#wait.record(ms / 1000, this.#attributes)
  }

  refused(error: unknown): void {
    if (hasCode(error, 'BANYAN_LOCK_TIMEOUT')) this.#timeouts.add(1, this.#attributes)
  }

  /** @param ms - how long it was held */
  released(ms: number, lost: boolean): void {
    this.#held.record(ms / 1000, this.#attributes)
    if (lost) this.#lost.add(1, this.#attributes)
  }
}
