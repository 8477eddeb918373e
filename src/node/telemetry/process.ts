import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Telemetry } from '../../core/telemetry.js'

/** ms between two looks at the event loop. */
const RESOLUTION_MS = 20

/**
 * Measures the process itself, with the names of the OpenTelemetry conventions. For exporters that bring nothing of
 * their own; the Prometheus text has prom-client's.
 */
export function processGauges(telemetry: Telemetry): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const seconds = (nanoseconds: number): number => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0)
  const gauge = (name: string, description: string, unit: string, read: () => number): void =>
    void telemetry.gauge(name, { description, unit }, read)
  gauge('nodejs.eventloop.delay.p50', 'Median delay of the event loop.', 's', () =>
    seconds(delay.percentile(50)),
  )
  gauge('nodejs.eventloop.delay.p99', 'Delay of the event loop, 99th percentile.', 's', () =>
    seconds(delay.percentile(99)),
  )
  gauge('nodejs.eventloop.delay.max', 'Longest delay of the event loop since the last reading.', 's', () => {
    const longest = seconds(delay.max)
    delay.reset()
    return longest
  })
  let last = performance.eventLoopUtilization()
  gauge(
    'nodejs.eventloop.utilization',
    'Share of time the event loop was busy since the last reading.',
    '1',
    () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
  )
  gauge('process.memory.usage', 'Physical memory of the process.', 'By', () => process.memoryUsage.rss())
  gauge('v8js.memory.heap.used', 'Used heap of V8.', 'By', () => process.memoryUsage().heapUsed)
  let used = process.cpuUsage()
  let at = performance.now()
  gauge('process.cpu.utilization', 'Processors used since the last reading.', '1', () => {
    const { user, system } = process.cpuUsage(used)
    const elapsed = performance.now() - at
    used = process.cpuUsage()
    at = performance.now()
    return elapsed > 0 ? (user + system) / 1000 / elapsed : 0
  })
  gauge('process.uptime', 'Time since the process started.', 's', () => process.uptime())
}
