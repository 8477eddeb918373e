import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'

/**
 * What a running projection measures of itself, each by `banyan.projection.name` and `banyan.projection.version`.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.projection.lag` | s | how long ago the first event was appended that the read model does not have; 0 if it has all |
 * | `banyan.projection.events` | `{event}` | events that are in the read model |
 * | `banyan.projection.batch.size` | `{event}` | events of one transaction |
 * | `banyan.projection.batch.duration` | s | one transaction |
 * | `banyan.projection.failures` | `{failure}` | tries that failed, whatever the reason |
 * | `banyan.projection.parked` | `{event}` | events that were parked |
 * | `banyan.projection.effects` | `{event}` | side effects that have run |
 */
export class ProjectionInstruments {
  readonly failures: Counter
  readonly parked: Counter
  readonly effects: Counter
  readonly #events: Counter
  readonly #size: Histogram
  readonly #duration: Histogram
  readonly #removeGauge: () => void

  /** @param lag - in s */
  constructor({ telemetry }: Runtime, name: string, version: number, lag: () => number) {
    const attributes = { 'banyan.projection.name': name, 'banyan.projection.version': version }
    const counter = (metric: string, description: string, unit: string): Counter =>
      telemetry.counter(`banyan.projection.${metric}`, { description, unit, attributes })
    this.#events = counter('events', 'Events that are in the read model.', '{event}')
    this.failures = counter('failures', 'Tries of a projection that failed.', '{failure}')
    this.parked = counter('parked', 'Events that a projection has parked.', '{event}')
    this.effects = counter('effects', 'Side effects that have run.', '{event}')
    this.#size = telemetry.histogram('banyan.projection.batch.size', {
      description: 'Events of one transaction of a projection.',
      unit: '{event}',
      attributes,
      bounds: [1, 4, 16, 64, 256, 1024, 4096],
    })
    this.#duration = telemetry.histogram('banyan.projection.batch.duration', {
      description: 'Duration of one transaction of a projection.',
      unit: 's',
      attributes,
    })
    this.#removeGauge = telemetry.gauge(
      'banyan.projection.lag',
      { description: 'How far a read model is behind the log.', unit: 's', attributes },
      lag,
    )
  }

  committed(events: number, ms: number): void {
    this.#events.add(events)
    this.#size.record(events)
    this.#duration.record(ms / 1000)
  }

  close(): void {
    this.#removeGauge()
  }
}
