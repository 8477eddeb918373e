import type { Counter, Histogram, Telemetry } from '../core/telemetry.js'

/** What operators see of the leases of a process. */
export class LeaseMeter {
  readonly #renewals: Counter
  readonly #duration: Histogram
  readonly #attributes: { readonly 'banyan.coordination.driver': string }
  readonly #hideGauge: () => void

  /** @param held - how many are held at this moment */
  constructor(driver: string, telemetry: Telemetry, held: () => number) {
    this.#attributes = { 'banyan.coordination.driver': driver }
    this.#renewals = telemetry.counter('banyan.coordination.renewals', {
      description: 'Renewals of leases by what became of them.',
      unit: '{renewal}',
    })
    this.#duration = telemetry.histogram('banyan.coordination.renewal.duration', {
      description: 'How long the coordinator took to renew the leases of a process.',
      unit: 's',
    })
    this.#hideGauge = telemetry.gauge(
      'banyan.coordination.leases',
      {
        description: 'Leases that this process holds.',
        unit: '{lease}',
        attributes: this.#attributes,
      },
      held,
    )
  }

  /** @param took - ms */
  answered(took: number): void {
    this.#duration.record(took / 1000, this.#attributes)
  }

  renewals(count: number, outcome: 'renewed' | 'lost' | 'failed'): void {
    if (count > 0) this.#renewals.add(count, { ...this.#attributes, 'banyan.outcome': outcome })
  }

  close(): void {
    this.#hideGauge()
  }
}
