import type { Counter, Histogram, Telemetry } from '../../../core/telemetry.js'

/**
 * What is measured of controllers, each by `banyan.controller`, the name; those of its queue (`banyan.workqueue`) and of its caches
 * (`banyan.informer`) beside.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.controller.reconciles` | `{run}` | runs, by `banyan.outcome`: `done`, `stalled`, `conflict`, `failed`, `aborted` |
 * | `banyan.controller.reconcile.duration` | s | how long runs took |
 * | `banyan.controller.failing` | `{key}` | keys whose last run has failed |
 * | `banyan.controller.stale` | `{run}` | runs that began before a cache had what the run before had written |
 * | `banyan.controller.contests` | `{key}` | fights with others, and with its own writes, by `banyan.why`: `FieldConflict`, `OwnWrites` |
 */
export class ControllerMeter {
  readonly #runs: Counter
  readonly #duration: Histogram
  readonly #stale: Counter
  readonly #contests: Counter
  readonly #remove: () => void

  constructor(name: string, telemetry: Telemetry, failing: () => number) {
    const attributes = { 'banyan.controller': name }
    this.#runs = telemetry.counter('banyan.controller.reconciles', {
      description: 'Runs of reconciles.',
      unit: '{run}',
      attributes,
    })
    this.#duration = telemetry.histogram('banyan.controller.reconcile.duration', {
      description: 'How long runs of reconciles took.',
      unit: 's',
      attributes,
    })
    this.#stale = telemetry.counter('banyan.controller.stale', {
      description: 'Runs that began before a cache had what the run before had written.',
      unit: '{run}',
      attributes,
    })
    this.#contests = telemetry.counter('banyan.controller.contests', {
      description: 'Fights with others about fields, and with own writes.',
      unit: '{key}',
      attributes,
    })
    this.#remove = telemetry.gauge(
      'banyan.controller.failing',
      { description: 'Keys whose last run has failed.', unit: '{key}', attributes },
      failing,
    )
  }

  /** @param took - ms */
  ran(outcome: string, took: number): void {
    this.#runs.add(1, { 'banyan.outcome': outcome })
    this.#duration.record(took / 1000)
  }

  stale(): void {
    this.#stale.add(1)
  }

  contested(why: string): void {
    this.#contests.add(1, { 'banyan.why': why })
  }

  close(): void {
    this.#remove()
  }
}
