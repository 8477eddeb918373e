import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Meter,
  type MeterProvider,
  type Span as ApiSpan,
  type Tracer,
  type TracerProvider,
  type TraceState,
} from '@opentelemetry/api'
import type {
  Counter,
  Histogram,
  InstrumentOptions,
  LogLevel,
  Span,
  SpanOptions,
  Telemetry,
} from '../../core/telemetry.js'
import type { Attributes } from '../../core/telemetry.js'
import type { TraceContext } from '../../core/trace-context.js'
import { version } from '../version.js'
import { defaultBounds } from './bounds.js'
import { SeriesTable } from './series-table.js'

/** Where {@link openTelemetry} reports to. */
export interface OpenTelemetryOptions {
  /** Makes the spans. Default: there are none. */
  tracerProvider?: TracerProvider
  /** Keeps the measurements. Default: nothing is measured. */
  meterProvider?: MeterProvider
  /** Gets log lines. Default: nobody does. */
  log?: (level: LogLevel, message: string, attributes?: Attributes) => void
}

const SCOPE = 'banyan'
const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT } as const

/**
 * Reports to OpenTelemetry, as the `telemetry` of a `runtime`: spans with their parents from the wire, counters and
 * gauges that are read when they are exported, histograms with the buckets their instrument asks for.
 *
 * Needs the package `@opentelemetry/api`, and providers from an SDK. Traces and metrics follow the semantic conventions
 * for HTTP; docs/traffic/observability.md lists them.
 *
 * ```ts
 * const telemetry = openTelemetry({ tracerProvider: trace.getTracerProvider(), meterProvider: metrics.getMeterProvider() })
 * const breaker = circuitBreaker({ runtime: { ...systemRuntime, telemetry } })
 * ```
 */
export function openTelemetry(options: OpenTelemetryOptions): Telemetry {
  return new OpenTelemetry(options)
}

class OpenTelemetry implements Telemetry {
  readonly traces: boolean
  readonly #tracer: Tracer | undefined
  readonly #meter: Meter | undefined
  readonly #log: OpenTelemetryOptions['log']
  readonly #counters = new Map<string, SeriesTable<{ value: number }>>()
  readonly #gauges = new Map<string, SeriesTable<() => number>>()
  readonly #histograms = new Map<string, ReturnType<Meter['createHistogram']>>()

  constructor({ tracerProvider, meterProvider, log }: OpenTelemetryOptions) {
    this.#tracer = tracerProvider?.getTracer(SCOPE, version)
    this.#meter = meterProvider?.getMeter(SCOPE, version)
    this.#log = log
    this.traces = this.#tracer !== undefined
  }

  counter(name: string, options: InstrumentOptions): Counter {
    const { attributes: own = {} } = options
    const table = this.#countersOf(name, options)
    const cell = (attributes: Attributes): { value: number } => table.get(attributes, () => ({ value: 0 }))
    // Made on first use: a counter that is always given further attributes has no series without them.
    let plain: { value: number } | undefined
    return {
      add(amount, attributes) {
        const counted = attributes ? cell({ ...own, ...attributes }) : (plain ??= cell(own))
        counted.value += amount
      },
    }
  }

  histogram(name: string, options: InstrumentOptions): Histogram {
    const { description, unit, bounds = defaultBounds(unit), attributes: own = {} } = options
    let histogram = this.#histograms.get(name)
    if (!histogram && this.#meter) {
      const advice = { explicitBucketBoundaries: [...bounds] }
      histogram = this.#meter.createHistogram(name, {
        description,
        ...(unit === undefined ? {} : { unit }),
        advice,
      })
      this.#histograms.set(name, histogram)
    }
    return {
      record: (value, attributes) => histogram?.record(value, attributes ? { ...own, ...attributes } : own),
    }
  }

  gauge(name: string, options: InstrumentOptions, read: () => number): () => void {
    const { description, unit, attributes = {} } = options
    let table = this.#gauges.get(name)
    if (!table) {
      const made = new SeriesTable<() => number>()
      table = made
      this.#gauges.set(name, made)
      this.#meter
        ?.createObservableGauge(name, { description, ...(unit === undefined ? {} : { unit }) })
        .addCallback((result) => made.each((each, of) => result.observe(each(), of)))
    }
    return table.put(attributes, read)
  }

  span(name: string, { kind = 'internal', attributes = {}, parent }: SpanOptions = {}): Span | undefined {
    const span = this.#tracer?.startSpan(
      name,
      { kind: KINDS[kind], attributes },
      parent ? contextOf(parent, kind === 'server') : ROOT_CONTEXT,
    )
    return span && new BridgedSpan(span)
  }

  log(level: LogLevel, message: string, attributes?: Attributes): void {
    this.#log?.(level, message, attributes)
  }

  /** The counts of one name: plain numbers here, so that counting costs an addition, read when they are exported. */
  #countersOf(name: string, { description, unit }: InstrumentOptions): SeriesTable<{ value: number }> {
    const known = this.#counters.get(name)
    if (known) return known
    const table = new SeriesTable<{ value: number }>()
    this.#counters.set(name, table)
    this.#meter
      ?.createObservableCounter(name, { description, ...(unit === undefined ? {} : { unit }) })
      .addCallback((result) => table.each(({ value }, of) => result.observe(value, of)))
    return table
  }
}

class BridgedSpan implements Span {
  readonly context: TraceContext
  readonly recording: boolean
  readonly #span: ApiSpan

  constructor(span: ApiSpan) {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext()
    const state = traceState?.serialize()
    this.#span = span
    this.recording = span.isRecording()
    this.context = {
      traceId,
      spanId,
      sampled: (traceFlags & TraceFlags.SAMPLED) !== 0,
      state: state === '' ? undefined : state,
    }
  }

  setAttribute(name: string, value: string | number | boolean): void {
    this.#span.setAttribute(name, value)
  }

  fail(type: string, message?: string): void {
    this.#span.setAttribute('error.type', type)
    this.#span.setStatus({ code: SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) })
  }

  end(): void {
    this.#span.end()
  }
}

/** A parent as the tracer takes it. */
function contextOf({ traceId, spanId, sampled, state }: TraceContext, isRemote: boolean): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    isRemote,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    ...(state === undefined ? {} : { traceState: new Members(state.split(',')) }),
  })
}

/** A `tracestate` that has been checked; the API's own forgets what is longer than 512 characters. */
class Members implements TraceState {
  readonly #members: readonly string[]

  constructor(members: readonly string[]) {
    this.#members = members
  }

  get(key: string): string | undefined {
    return this.#members.find((member) => member.startsWith(`${key}=`))?.slice(key.length + 1)
  }

  /** A member that is changed moves to the front. */
  set(key: string, value: string): TraceState {
    return new Members([`${key}=${value}`, ...this.#without(key)])
  }

  unset(key: string): TraceState {
    return new Members(this.#without(key))
  }

  serialize(): string {
    return this.#members.join(',')
  }

  #without(key: string): string[] {
    return this.#members.filter((member) => !member.startsWith(`${key}=`))
  }
}
