import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { metrics as sdkMetrics, tracing } from '@opentelemetry/sdk-node'
import { afterEach, describe, expect, test } from 'vitest'
import { formatTraceparent, parseTraceContext } from '../../core/trace-context.js'
import { combined } from './combined.js'
import { openTelemetry } from './opentelemetry.js'
import { Metrics } from '../metrics.js'

const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } =
  sdkMetrics
const { AlwaysOffSampler, AlwaysOnSampler, InMemorySpanExporter, ParentBasedSampler, SimpleSpanProcessor } =
  tracing

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

function tracerSetUp(sampler = new AlwaysOnSampler() as tracing.Sampler) {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new tracing.BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: sampler }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  cleanUps.push(() => tracerProvider.shutdown())
  return { telemetry: openTelemetry({ tracerProvider }), spans: () => exporter.getFinishedSpans() }
}

function meterSetUp() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  cleanUps.push(() => meterProvider.shutdown())
  const read = async () => {
    exporter.reset()
    await reader.forceFlush()
    const metrics =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]))
  }
  return { telemetry: openTelemetry({ meterProvider }), read }
}

describe('spans', () => {
  test('go on where the trace of the wire is, and say what the next hop is told', () => {
    const { telemetry, spans } = tracerSetUp()
    const parent = parseTraceContext('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'a=1,b=2')!
    const server = telemetry.span('GET /', {
      kind: 'server',
      parent,
      attributes: { 'http.request.method': 'GET' },
    })!
    const client = telemetry.span('GET', { kind: 'client', parent: server.context })!
    client.end()
    server.setAttribute('http.response.status_code', 200)
    server.end()
    const [inner, outer] = spans()
    expect(outer).toMatchObject({
      name: 'GET /',
      kind: SpanKind.SERVER,
      attributes: { 'http.request.method': 'GET', 'http.response.status_code': 200 },
      status: { code: SpanStatusCode.UNSET },
      parentSpanContext: { traceId: parent.traceId, spanId: parent.spanId, isRemote: true },
      instrumentationScope: { name: 'banyan' },
    })
    expect(inner).toMatchObject({
      kind: SpanKind.CLIENT,
      parentSpanContext: { spanId: outer!.spanContext().spanId, isRemote: false },
    })
    expect(client.context).toMatchObject({ traceId: parent.traceId, state: 'a=1,b=2', sampled: true })
    expect(formatTraceparent(client.context)).toBe(`00-${parent.traceId}-${inner!.spanContext().spanId}-01`)
  })

  test('without a parent begin a trace, whatever is active around', () => {
    const { telemetry, spans } = tracerSetUp()
    const foreign = trace.wrapSpanContext({ traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), traceFlags: 1 })
    context.with(trace.setSpan(context.active(), foreign), () => telemetry.span('a')!.end())
    expect(spans()[0]!.parentSpanContext).toBeUndefined()
  })

  test('that failed say so, with few kinds of failures', () => {
    const { telemetry, spans } = tracerSetUp()
    const span = telemetry.span('a')!
    span.fail('BANYAN_TIMEOUT', 'took longer than 2s')
    span.end()
    expect(spans()[0]).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'took longer than 2s' },
      attributes: { 'error.type': 'BANYAN_TIMEOUT' },
    })
  })

  test('that nobody keeps are not recording, and tell the next hop so', () => {
    const { telemetry } = tracerSetUp(new AlwaysOffSampler())
    const span = telemetry.span('a')!
    expect(span.recording).toBe(false)
    expect(span.context.sampled).toBe(false)
  })

  test('a long state passes too', () => {
    const { telemetry } = tracerSetUp()
    const state = Array.from({ length: 20 }, (_, index) => `m${index}=${'x'.repeat(60)}`).join(',')
    const parent = parseTraceContext('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', state)!
    expect(telemetry.span('a', { parent })!.context.state).toBe(state)
  })

  test('are not made without somebody who makes them', () => {
    const telemetry = openTelemetry({})
    expect(telemetry.traces).toBe(false)
    expect(telemetry.span('a')).toBeUndefined()
  })
})

describe('measurements', () => {
  test('counters, histograms with their buckets, gauges', async () => {
    const { telemetry, read } = meterSetUp()
    const counter = telemetry.counter('calls', {
      description: 'Calls.',
      unit: '{call}',
      attributes: { a: 1 },
    })
    counter.add(2)
    counter.add(3, { b: 'x' })
    telemetry.counter('calls', { description: 'Calls.', unit: '{call}', attributes: { a: 1 } }).add(1)
    const histogram = telemetry.histogram('time', { description: 'T.', unit: 's', attributes: { a: 1 } })
    histogram.record(0.3)
    histogram.record(0.3, { b: 'x' })
    let asked = 0
    const remove = telemetry.gauge('level', { description: 'L.' }, () => {
      asked++
      return 7
    })
    const metrics = await read()
    expect(metrics.get('calls')).toMatchObject({
      descriptor: { unit: '{call}', description: 'Calls.' },
      isMonotonic: true,
      dataPoints: [
        { attributes: { a: 1 }, value: 3 },
        { attributes: { a: 1, b: 'x' }, value: 3 },
      ],
    })
    const buckets = metrics.get('time')!.dataPoints[0]!.value as {
      buckets: { boundaries: number[]; counts: number[] }
    }
    expect(buckets.buckets.boundaries).toContain(0.075)
    expect(buckets.buckets.counts[buckets.buckets.boundaries.indexOf(0.5)]).toBe(1)
    expect(metrics.get('level')!.dataPoints).toMatchObject([{ value: 7 }])
    remove()
    await read()
    expect(asked).toBe(1)
  })

  test('go to two places at once, the log lines to the first', async () => {
    const { telemetry, read } = meterSetUp()
    const lines: string[] = []
    const metrics = new Metrics((_level, message) => lines.push(message))
    const both = combined(metrics, telemetry)
    both.counter('calls', { description: 'C.' }).add(4)
    both.histogram('time', { description: 'T.', unit: 's' }).record(1)
    const remove = both.gauge('level', { description: 'L.' }, () => 7)
    both.log('info', 'hello')
    expect(lines).toEqual(['hello'])
    expect((await read()).get('calls')!.dataPoints).toMatchObject([{ value: 4 }])
    const text = await metrics.text()
    expect(text).toContain('\ncalls_total 4\n')
    expect(text).toContain('\ntime_seconds_count 1\n')
    expect(text).toContain('\nlevel 7\n')
    remove()
    expect(await metrics.text()).not.toContain('\nlevel 7\n')
  })
})
