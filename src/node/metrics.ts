import {
  collectDefaultMetrics,
  Registry,
  type Metric,
  type MetricObjectWithValues,
  type MetricValue,
} from 'prom-client'
import type {
  Attributes,
  Counter,
  Histogram,
  InstrumentOptions,
  LogLevel,
  Telemetry,
} from '../core/telemetry.js'
import { defaultBounds } from './telemetry/bounds.js'

/** Series of one name beyond which measurements go into one of overflow (OpenTelemetry's limit and label). */
const MOST_SERIES = 2_000
const OVERFLOW = { otel_metric_overflow: 'true' }

type Labels = Record<string, string | number>

interface Sample {
  metricName: string
  labels: Labels
  value: number
}

/** One line of attributes of an instrument. */
interface Series {
  samples(name: string): Sample[]
}

/** All series of one name. */
interface Family {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  bounds: readonly number[]
  /** By their labels as JSON. */
  series: Map<string, Series>
}

/**
 * Takes what the patterns report and shows it as Prometheus text. Counting is the addition to a number: prom-client
 * formats what is asked for, and measures the process.
 *
 * A name has at most 2,000 series; what further ones would have counted goes into one with the label
 * `otel_metric_overflow="true"`, and further gauges are left out.
 */
export class Metrics implements Telemetry {
  readonly #registry = new Registry()
  readonly #families = new Map<string, Family>()
  readonly #log: (level: LogLevel, message: string, attributes: Attributes) => void

  /**
   * @param log - where log lines go
   */
  constructor(log: (level: LogLevel, message: string, attributes: Attributes) => void) {
    this.#log = log
    collectDefaultMetrics({ register: this.#registry })
  }

  /** The Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  /** The same as data, for whoever adds up several processes. */
  json(): Promise<MetricObjectWithValues<MetricValue<string>>[]> {
    return this.#registry.getMetricsAsJSON()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  counter(name: string, options: InstrumentOptions): Counter {
    const family = this.#family(name, 'counter', options)
    const own = options.attributes ?? {}
    // Made on first use: a counter that is always given further attributes has no line without them.
    let plain: CounterSeries | undefined
    return {
      add(amount, attributes) {
        const series = attributes
          ? counterSeries(family, { ...own, ...attributes })
          : (plain ??= counterSeries(family, own))
        series.value += amount
      },
    }
  }

  histogram(name: string, options: InstrumentOptions): Histogram {
    const family = this.#family(name, 'histogram', options)
    const own = options.attributes ?? {}
    let plain: HistogramSeries | undefined
    return {
      record(value, attributes) {
        const series = attributes
          ? histogramSeries(family, { ...own, ...attributes })
          : (plain ??= histogramSeries(family, own))
        series.record(value)
      },
    }
  }

  gauge(name: string, options: InstrumentOptions, read: () => number): () => void {
    const family = this.#family(name, 'gauge', options)
    const labels = labelsOf(options.attributes ?? {})
    const key = JSON.stringify(labels)
    const series: Series = { samples: (metricName) => [{ metricName, labels, value: read() }] }
    if (family.series.size < MOST_SERIES || family.series.has(key)) family.series.set(key, series)
    return () => {
      // Unless another has taken its place.
      if (family.series.get(key) === series) family.series.delete(key)
    }
  }

  readonly traces = false

  span(): undefined {
    return undefined
  }

  log(level: LogLevel, message: string, attributes: Attributes = {}): void {
    this.#log(level, message, attributes)
  }

  #family(name: string, type: Family['type'], options: InstrumentOptions): Family {
    const known = this.#families.get(name)
    if (known) return known
    const family: Family = {
      name: exposedName(name, type, options.unit),
      help: options.description,
      type,
      bounds: options.bounds ?? defaultBounds(options.unit),
      series: new Map(),
    }
    this.#families.set(name, family)
    const metric = {
      name: family.name,
      get: () => ({
        name: family.name,
        help: family.help,
        type,
        aggregator: 'sum',
        values: [...family.series.values()].flatMap((series) => series.samples(family.name)),
      }),
    }
    // A collector of our own: prom-client formats it, the numbers stay plain fields on our side.
    this.#registry.registerMetric(metric as unknown as Metric)
    return family
  }
}

class CounterSeries implements Series {
  value = 0
  readonly #labels: Labels

  constructor(labels: Labels) {
    this.#labels = labels
  }

  samples(metricName: string): Sample[] {
    return [{ metricName, labels: this.#labels, value: this.value }]
  }
}

class HistogramSeries implements Series {
  readonly #labels: Labels
  readonly #bounds: readonly number[]
  readonly #buckets: Float64Array
  #sum = 0

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels
    this.#bounds = bounds
    this.#buckets = new Float64Array(bounds.length + 1)
  }

  record(value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.#buckets[bucket]! += 1
    this.#sum += value
  }

  samples(name: string): Sample[] {
    const labels = this.#labels
    let count = 0
    const samples = Array.from(this.#buckets, (amount, index) => {
      count += amount
      return {
        metricName: `${name}_bucket`,
        labels: { ...labels, le: this.#bounds[index] ?? '+Inf' },
        value: count,
      }
    })
    return [
      ...samples,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
}

function counterSeries(family: Family, attributes: Attributes): CounterSeries {
  return seriesOf(family, attributes, (labels) => new CounterSeries(labels))
}

function histogramSeries(family: Family, attributes: Attributes): HistogramSeries {
  return seriesOf(family, attributes, (labels) => new HistogramSeries(labels, family.bounds))
}

function seriesOf<S extends Series>(family: Family, attributes: Attributes, make: (labels: Labels) => S): S {
  let labels = labelsOf(attributes)
  let key = JSON.stringify(labels)
  const known = family.series.get(key)
  if (known) return known as S
  if (family.series.size >= MOST_SERIES) {
    labels = OVERFLOW
    key = JSON.stringify(labels)
    const overflow = family.series.get(key)
    if (overflow) return overflow as S
  }
  const series = make(labels)
  family.series.set(key, series)
  return series
}

function labelsOf(attributes: Attributes): Labels {
  return Object.fromEntries(
    Object.entries(attributes)
      .map(
        ([name, value]) =>
          [name.replace(/\W/g, '_'), typeof value === 'number' ? value : String(value)] as const,
      )
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** An OpenTelemetry name as Prometheus writes it: underscores, the unit, `_total` for counts. */
function exposedName(name: string, type: Family['type'], unit: string | undefined): string {
  const base = name.replace(/\W/g, '_').replace(/^(?=\d)/, '_')
  const suffix = unit === 's' ? '_seconds' : unit === 'By' ? '_bytes' : ''
  return base + suffix + (type === 'counter' ? '_total' : '')
}
