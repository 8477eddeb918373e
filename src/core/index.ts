/**
 * What every plane stands on: time, chance, durations, options, errors, observation. Knows no pattern.
 *
 * @packageDocumentation
 */
export { systemClock, sleep, type Clock, type Timer } from './clock.js'
export { duration, formatDuration, parseDuration, type Duration } from './duration.js'
export { BanyanError, type BanyanErrorOptions } from './errors.js'
export { nodeListener, type NodeListenerOptions } from './node-listener.js'
export type { Unsubscribe } from './observers.js'
export { seededRandom, systemRandom, type Random } from './random.js'
export { systemRuntime, type Runtime } from './runtime.js'
export { stderrTelemetry } from './stderr-telemetry.js'
export {
  noTelemetry,
  type Attributes,
  type Counter,
  type Histogram,
  type InstrumentOptions,
  type LogLevel,
  type Span,
  type SpanOptions,
  type Telemetry,
} from './telemetry.js'
export { formatTraceparent, parseTraceContext, parseTraceState, type TraceContext } from './trace-context.js'
