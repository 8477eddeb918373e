import {
  noTelemetry,
  type Attributes,
  type Span,
  type SpanOptions,
  type Telemetry,
} from '../../src/core/telemetry.js'
import type { TraceContext } from '../../src/core/trace-context.js'

/** A span as a test looks at it. */
export interface RecordedSpan extends SpanOptions {
  name: string
  context: TraceContext
  attributes: Record<string, string | number | boolean>
  failed: { type: string; message: string | undefined } | undefined
  ended: boolean
}

/** Telemetry that keeps its spans and counts; ids are numbers in order. */
export function recordingTelemetry(): {
  telemetry: Telemetry
  spans: RecordedSpan[]
  /** What was counted, by name and attributes: `name{a=b}`. */
  counts: Map<string, number>
  /** Waits until that many spans have ended. */
  ended: (count: number) => Promise<void>
} {
  const spans: RecordedSpan[] = []
  const counts = new Map<string, number>()
  let changed = (): void => undefined
  const count = (name: string, amount: number, attributes: Attributes): void => {
    const labels = Object.entries(attributes).map(([key, value]) => `${key}=${value}`)
    const key = `${name}{${labels.sort().join(',')}}`
    counts.set(key, (counts.get(key) ?? 0) + amount)
  }
  const telemetry: Telemetry = {
    ...noTelemetry,
    traces: true,
    counter: (name, { attributes: own = {} }) => ({
      add: (amount, attributes) => count(name, amount, { ...own, ...attributes }),
    }),
    histogram: (name, { attributes: own = {} }) => ({
      record: (_, attributes) => count(name, 1, { ...own, ...attributes }),
    }),
    span(name, options = {}): Span {
      const { parent } = options
      const recorded: RecordedSpan = {
        ...options,
        name,
        context: {
          traceId: parent?.traceId ?? `${spans.length + 1}`.padStart(32, 'a'),
          spanId: `${spans.length + 1}`.padStart(16, 'b'),
          sampled: parent?.sampled ?? true,
          state: parent?.state,
        },
        attributes: { ...options.attributes },
        failed: undefined,
        ended: false,
      }
      spans.push(recorded)
      return {
        context: recorded.context,
        recording: true,
        setAttribute: (key, value) => {
          recorded.attributes[key] = value
        },
        fail: (type, message) => {
          recorded.failed = { type, message }
        },
        end: () => {
          if (recorded.ended) throw new Error(`${name} ended twice`)
          recorded.ended = true
          changed()
        },
      }
    },
  }
  return {
    telemetry,
    spans,
    counts,
    async ended(wanted) {
      while (spans.filter((span) => span.ended).length < wanted)
        await new Promise<void>((resolve) => {
          changed = resolve
        })
    },
  }
}
