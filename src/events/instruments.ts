import type { Runtime } from '../core/runtime.js'
import type { Counter, Histogram } from '../core/telemetry.js'

/**
 * What a log measures of itself.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.log.append.duration` | s | from `append` to its answer, by `banyan.log.outcome`: `appended`, `duplicate`, `conflict`, `overlap`, `error` |
 * | `banyan.log.appended` | `{event}` | events that were appended |
 * | `banyan.log.group.size` | `{commit}` | commits that were made durable together |
 * | `banyan.log.read` | `{event}` | events that were read or followed |
 * | `banyan.log.waiting` | `{commit}` | commits that wait for the engine |
 */
export class LogInstruments {
  readonly groupSize: Histogram
  readonly read: Counter
  readonly #appended: Counter
  readonly #duration: Histogram
  readonly #clock: Runtime['clock']
  readonly #removeGauge: () => void

  /** @param waiting - how many commits wait for the engine */
  constructor({ telemetry, clock }: Runtime, driver: string, waiting: () => number) {
    const attributes = { 'banyan.log.driver': driver }
    this.#clock = clock
    this.#duration = telemetry.histogram('banyan.log.append.duration', {
      description: 'Time from an append to its answer.',
      unit: 's',
      attributes,
    })
    this.#appended = telemetry.counter('banyan.log.appended', {
      description: 'Events that were appended to the log.',
      unit: '{event}',
      attributes,
    })
    this.groupSize = telemetry.histogram('banyan.log.group.size', {
      description: 'Commits that were made durable together.',
      unit: '{commit}',
      attributes,
      bounds: [1, 4, 16, 64, 256, 1024],
    })
    this.read = telemetry.counter('banyan.log.read', {
      description: 'Events that were read or followed.',
      unit: '{event}',
      attributes,
    })
    this.#removeGauge = telemetry.gauge(
      'banyan.log.waiting',
      { description: 'Commits that wait for the engine of the log.', unit: '{commit}', attributes },
      waiting,
    )
  }

  /** When an append begins, for {@link ended}. */
  begun(): number {
    return this.#clock.now()
  }

  /** An append has its answer; `events` were appended. */
  ended(begun: number, outcome: keyof typeof OUTCOMES, events = 0): void {
    this.#duration.record((this.#clock.now() - begun) / 1000, OUTCOMES[outcome])
    if (events > 0) this.#appended.add(events)
  }

  close(): void {
    this.#removeGauge()
  }
}

/** One object each, so that measuring makes none. */
const OUTCOMES = {
  appended: { 'banyan.log.outcome': 'appended' },
  duplicate: { 'banyan.log.outcome': 'duplicate' },
  conflict: { 'banyan.log.outcome': 'conflict' },
  overlap: { 'banyan.log.outcome': 'overlap' },
  error: { 'banyan.log.outcome': 'error' },
}
