import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'
import type { FailureClass } from './failure.js'
import type { Direction } from './records.js'

/**
 * What is measured of sagas, each by `banyan.saga`.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.saga.duration` | s | from its start to its end, by `banyan.saga.outcome`: `completed`, `compensated` |
 * | `banyan.saga.parked` | `{saga}` | sagas that were parked |
 * | `banyan.saga.calls` | `{call}` | calls of steps and compensations, by `banyan.saga.direction` and `banyan.saga.result`: `done`, or the class of failure |
 * | `banyan.saga.removed` | `{saga}` | ended sagas that were removed |
 * | `banyan.saga.running` | `{saga}` | sagas that go on in this process |
 */
export class SagaInstruments {
  readonly #duration: Histogram
  readonly #parked: Counter
  readonly #calls: Counter
  readonly #removed: Counter
  readonly #stop: () => void

  constructor({ telemetry }: Runtime, saga: string, running: () => number) {
    const attributes = { 'banyan.saga': saga }
    this.#duration = telemetry.histogram('banyan.saga.duration', {
      description: 'Time from the start of a saga to its end.',
      unit: 's',
      attributes,
    })
    this.#parked = telemetry.counter('banyan.saga.parked', {
      description: 'Sagas that were parked.',
      unit: '{saga}',
      attributes,
    })
    this.#calls = telemetry.counter('banyan.saga.calls', {
      description: 'Calls of steps and compensations.',
      unit: '{call}',
      attributes,
    })
    this.#removed = telemetry.counter('banyan.saga.removed', {
      description: 'Ended sagas that were removed.',
      unit: '{saga}',
      attributes,
    })
    this.#stop = telemetry.gauge(
      'banyan.saga.running',
      { description: 'Sagas that go on in this process.', unit: '{saga}', attributes },
      running,
    )
  }

  /** @param ms - since it was started */
  ended(outcome: 'completed' | 'compensated', ms: number): void {
    this.#duration.record(ms / 1000, { 'banyan.saga.outcome': outcome })
  }

  parked(): void {
    this.#parked.add(1)
  }

  called(direction: Direction, result: 'done' | FailureClass): void {
    this.#calls.add(1, { 'banyan.saga.direction': direction, 'banyan.saga.result': result })
  }

  removed(): void {
    this.#removed.add(1)
  }

  close(): void {
    this.#stop()
  }
}
