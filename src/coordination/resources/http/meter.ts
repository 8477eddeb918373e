import type { Histogram, Telemetry } from '../../../core/telemetry.js'

/** What operators see of the API. */
export class Meter {
  readonly #duration: Histogram
  #watching = 0

  /** @param closing - takes what is shown away */
  constructor(telemetry: Telemetry, closing: AbortSignal) {
    this.#duration = telemetry.histogram('banyan.resources.request.duration', {
      description:
        'How long requests for resources took until their answer began, by verb, resource and status.',
      unit: 's',
    })
    const hide = telemetry.gauge(
      'banyan.resources.watches',
      { description: 'Watches of resources that are under way over HTTP.', unit: '{watch}' },
      () => this.#watching,
    )
    closing.addEventListener('abort', hide, { once: true })
  }

  /** @param took - ms */
  answered(verb: string, resource: string, status: number, took: number): void {
    this.#duration.record(took / 1000, {
      'banyan.verb': verb,
      'banyan.resource': resource,
      'http.response.status_code': status,
    })
  }

  /** @param change - one more or one less */
  watches(change: 1 | -1): void {
    this.#watching += change
  }
}
