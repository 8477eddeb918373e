import type { Counter, Histogram, InstrumentOptions, Telemetry } from '../../core/telemetry.js'

/** Reports to two places. The first gets the log lines, the second makes the spans. */
export function combined(first: Telemetry, second: Telemetry): Telemetry {
  return {
    traces: second.traces,
    counter(name: string, options: InstrumentOptions): Counter {
      const [a, b] = [first.counter(name, options), second.counter(name, options)]
      return {
        add(amount, attributes) {
          a.add(amount, attributes)
          b.add(amount, attributes)
        },
      }
    },
    histogram(name: string, options: InstrumentOptions): Histogram {
      const [a, b] = [first.histogram(name, options), second.histogram(name, options)]
      return {
        record(value, attributes) {
          a.record(value, attributes)
          b.record(value, attributes)
        },
      }
    },
    gauge(name, options, read) {
      const removals = [first.gauge(name, options, read), second.gauge(name, options, read)]
      return () => {
        for (const remove of removals) remove()
      }
    },
    span: (name, options) => second.span(name, options),
    log: (level, message, attributes) => first.log(level, message, attributes),
  }
}
