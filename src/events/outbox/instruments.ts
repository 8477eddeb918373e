import type { Counter, Histogram } from '../../core/telemetry.js'
import type { Runtime } from '../../core/runtime.js'

/**
 * What a relay measures, by `banyan.outbox`:
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.outbox.relayed` | `{message}` | messages that it has brought to the log |
 * | `banyan.outbox.lag` | s | from the publishing of a message until it was in the log |
 * | `banyan.outbox.failures` | `{failure}` | tries that failed, as the log or the database was not there |
 */
export class OutboxInstruments {
  readonly relayed: Counter
  readonly lag: Histogram
  readonly failures: Counter

  constructor({ telemetry }: Runtime, name: string) {
    const attributes = { 'banyan.outbox': name }
    const counter = (metric: string, description: string, unit: string): Counter =>
      telemetry.counter(`banyan.outbox.${metric}`, { description, unit, attributes })
    this.relayed = counter('relayed', 'Messages that were brought to the log.', '{message}')
    this.failures = counter('failures', 'Tries of a relay that failed.', '{failure}')
    this.lag = telemetry.histogram('banyan.outbox.lag', {
      description: 'From the publishing of a message until it was in the log.',
      unit: 's',
      attributes,
    })
  }
}
