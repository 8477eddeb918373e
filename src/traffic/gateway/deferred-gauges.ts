import type {
  Attributes,
  Counter,
  Histogram,
  InstrumentOptions,
  LogLevel,
  Span,
  Telemetry,
} from '../../core/telemetry.js'

interface Gauge {
  name: string
  options: InstrumentOptions
  read: () => number
  remove: (() => void) | undefined
}

/**
 * Telemetry for something that is not in force yet: its gauges are kept back until then, and vanish with it, so that
 * a successor of the same name and what it replaces never stand in each other's place.
 */
export class DeferredGauges implements Telemetry {
  readonly #telemetry: Telemetry
  readonly #gauges = new Set<Gauge>()
  #shown = false

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
  }

  show(): void {
    if (this.#shown) return
    this.#shown = true
    for (const gauge of this.#gauges) this.#register(gauge)
  }

  hide(): void {
    this.#shown = false
    for (const gauge of this.#gauges) {
      gauge.remove?.()
      gauge.remove = undefined
    }
  }

  gauge(name: string, options: InstrumentOptions, read: () => number): () => void {
    const gauge: Gauge = { name, options, read, remove: undefined }
    this.#gauges.add(gauge)
    if (this.#shown) this.#register(gauge)
    return () => {
      gauge.remove?.()
      this.#gauges.delete(gauge)
    }
  }

  counter(name: string, options: InstrumentOptions): Counter {
    return this.#telemetry.counter(name, options)
  }

  histogram(name: string, options: InstrumentOptions): Histogram {
    return this.#telemetry.histogram(name, options)
  }

  get traces(): boolean {
    return this.#telemetry.traces
  }

  span(...given: Parameters<Telemetry['span']>): Span | undefined {
    return this.#telemetry.span(...given)
  }

  log(level: LogLevel, message: string, attributes?: Attributes): void {
    this.#telemetry.log(level, message, attributes)
  }

  #register(gauge: Gauge): void {
    gauge.remove = this.#telemetry.gauge(gauge.name, gauge.options, gauge.read)
  }
}
