import type { TraceContext } from './trace-context.js'

/** Descriptions of what is measured. Names follow the OpenTelemetry semantic conventions where one exists. */
export interface InstrumentOptions {
  /** One sentence for people. */
  description: string
  /** UCUM unit as OpenTelemetry writes it: `s`, `By`, `{request}`. */
  unit?: string
  /** Attributes of every measurement of this instrument. */
  attributes?: Attributes
  /** Upper bounds of a histogram's buckets, rising. Default: by the unit. */
  bounds?: readonly number[]
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
  /** Its place in the trace: what the next hop is told, and the parent of spans below it. */
  readonly context: TraceContext
  /** False if nobody will see it, so that attributes that cost something to find out can be spared. */
  readonly recording: boolean
  setAttribute(name: string, value: string | number | boolean): void
  /**
   * Marks the work as failed.
   *
   * @param type - few different values: the code of an error, or a status
   * @param message - for people
   */
  fail(type: string, message?: string): void
  end(): void
}

/** What is known of a span when it starts. */
export interface SpanOptions {
  /** Whether the work was asked for from outside, asks somebody else, or neither. Default `internal`. */
  kind?: 'internal' | 'server' | 'client'
  attributes?: Attributes
  /** What asked for the work. Default: nobody, a new trace begins. */
  parent?: TraceContext | undefined
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
  /**
   * A value that is read when somebody asks for it, never pushed. Another of the same name and attributes takes its
   * place.
   *
   * @returns takes the gauge away, unless another has taken its place
   */
  gauge(name: string, options: InstrumentOptions, read: () => number): () => void
  /** Whether anybody traces; without it nobody needs to put together what a span would be told. */
  readonly traces: boolean
  /**
   * Starts a span, or returns `undefined` when nobody traces.
   *
   * @param name - few different values: what is done, not to what
   */
  span(name: string, options?: SpanOptions): Span | undefined
  log(level: LogLevel, message: string, attributes?: Attributes): void
}

const nothing = (): void => undefined
const noInstrument: Counter & Histogram = { add: nothing, record: nothing }

/** Reports nothing and costs nothing measurable. */
export const noTelemetry: Telemetry = {
  counter: () => noInstrument,
  histogram: () => noInstrument,
  gauge: () => nothing,
  traces: false,
  span: () => undefined,
  log: nothing,
}
