/** Descriptions of what is measured. Names follow the OpenTelemetry semantic conventions where one exists. */
export interface InstrumentOptions {
  /** One sentence for people. */
  description: string
  /** UCUM unit as OpenTelemetry writes it: `s`, `By`, `{request}`. */
  unit?: string
  /** Attributes of every measurement of this instrument. */
  attributes?: Attributes
}

/** Low-cardinality names and values. */
export type Attributes = Readonly<Record<string, string | number | boolean>>

/** A count that only grows. */
export interface Counter {
  add(amount: number, attributes?: Attributes): void
}

/** A distribution of values. */
export interface Histogram {
  record(value: number, attributes?: Attributes): void
}

/** One timed piece of work. */
export interface Span {
  /** What to tell the next hop, as the W3C `traceparent` field, if the span is to be continued there. */
  readonly traceparent?: string | undefined
  setAttribute(name: string, value: string | number | boolean): void
  /** Ends the span, as failed if an error is given. */
  end(error?: unknown): void
}

/** How much a log line matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * The one hook through which every pattern reports: metrics, spans and structured log lines. Instruments are made
 * once and kept, so that reporting is a plain call; with {@link noTelemetry} that call does nothing.
 */
export interface Telemetry {
  counter(name: string, options: InstrumentOptions): Counter
  histogram(name: string, options: InstrumentOptions): Histogram
  /** A value that is read when somebody asks for it, never pushed. */
  gauge(name: string, options: InstrumentOptions, read: () => number): void
  /**
   * Starts a span, or returns `undefined` when nobody traces.
   *
   * @param parent - the `traceparent` field (W3C Trace Context) of what asked for the work
   */
  span(name: string, attributes?: Attributes, parent?: string): Span | undefined
  log(level: LogLevel, message: string, attributes?: Attributes): void
}

const nothing = (): void => undefined
const noInstrument: Counter & Histogram = { add: nothing, record: nothing }

/** Reports nothing and costs nothing measurable; the default. */
export const noTelemetry: Telemetry = {
  counter: () => noInstrument,
  histogram: () => noInstrument,
  gauge: nothing,
  span: () => undefined,
  log: nothing,
}
