import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseExposition, valueOf, type ExposedFamily } from '../../test/support/prometheus.js'
import { Metrics } from './metrics.js'

function metrics(): { metrics: Metrics; read: () => Promise<Map<string, ExposedFamily>> } {
  const metrics = new Metrics(() => undefined)
  return { metrics, read: async () => parseExposition(await metrics.text()) }
}

describe('names', () => {
  test('follow Prometheus: underscores, the unit, `_total` for counts', async () => {
    const { metrics: each, read } = metrics()
    each.counter('banyan.retry.attempts', { description: 'Tries.', unit: '{call}' }).add(1)
    each.counter('banyan.bytes', { description: 'Bytes.', unit: 'By' }).add(2)
    each.histogram('http.server.request.duration', { description: 'Time.', unit: 's' }).record(0.2)
    each.gauge('banyan.breaker.state', { description: 'State.' }, () => 3)
    const families = await read()
    expect(families.get('banyan_retry_attempts_total')).toMatchObject({ type: 'counter', help: 'Tries.' })
    expect(families.get('banyan_bytes_bytes_total')?.type).toBe('counter')
    expect(families.get('http_server_request_duration_seconds')?.type).toBe('histogram')
    expect(valueOf(families, 'banyan_breaker_state')).toBe(3)
  })

  test('the process itself is measured', async () => {
    const families = await metrics().read()
    expect(families.get('process_cpu_seconds_total')?.type).toBe('counter')
    expect(families.get('nodejs_eventloop_lag_p99_seconds')?.type).toBe('gauge')
  })
})

describe('counters', () => {
  test('count what they are given, each set of attributes for itself', async () => {
    const { metrics: each, read } = metrics()
    const counter = each.counter('calls', { description: 'Calls.', attributes: { service: 'a' } })
    counter.add(1)
    counter.add(2)
    counter.add(10, { outcome: 'failure' })
    counter.add(20, { outcome: 'failure' })
    const families = await read()
    expect(valueOf(families, 'calls_total', { service: 'a' })).toBe(3)
    expect(valueOf(families, 'calls_total', { service: 'a', outcome: 'failure' })).toBe(30)
  })

  test('one that is made again goes on counting', async () => {
    const { metrics: each, read } = metrics()
    const make = () => each.counter('calls', { description: 'Calls.', attributes: { service: 'a' } })
    make().add(1)
    make().add(1)
    expect(valueOf(await read(), 'calls_total', { service: 'a' })).toBe(2)
  })

  test('one that is always given attributes has no line without them', async () => {
    const { metrics: each, read } = metrics()
    each.counter('calls', { description: 'Calls.' }).add(1, { outcome: 'x' })
    expect((await read()).get('calls_total')!.samples).toHaveLength(1)
  })
})

describe('histograms', () => {
  test('a value counts in the first bucket it is not above', async () => {
    const { metrics: each, read } = metrics()
    const histogram = each.histogram('h', { description: 'H.', bounds: [1, 2] })
    for (const value of [0, 1, 1.5, 2, 3]) histogram.record(value)
    const families = await read()
    const bucket = (le: string) => valueOf(families, 'h_bucket', { le })
    expect([bucket('1'), bucket('2'), bucket('+Inf')]).toEqual([2, 4, 5])
    expect(valueOf(families, 'h_sum')).toBe(7.5)
    expect(valueOf(families, 'h_count')).toBe(5)
  })

  test('seconds and bytes have the buckets of their unit', async () => {
    const { metrics: each, read } = metrics()
    each.histogram('time', { description: 'T.', unit: 's' }).record(0.3)
    each.histogram('size', { description: 'S.', unit: 'By' }).record(5_000)
    const families = await read()
    expect(valueOf(families, 'time_seconds_bucket', { le: '0.25' })).toBe(0)
    expect(valueOf(families, 'time_seconds_bucket', { le: '0.5' })).toBe(1)
    expect(valueOf(families, 'size_bytes_bucket', { le: '4096' })).toBe(0)
    expect(valueOf(families, 'size_bytes_bucket', { le: '16384' })).toBe(1)
  })

  test('any values: counts and sums are right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 100, noNaN: true })), async (values) => {
        const { metrics: each, read } = metrics()
        const histogram = each.histogram('h', { description: 'H.', bounds: [1, 10] })
        histogram.record(0)
        for (const value of values) histogram.record(value)
        const families = await read()
        expect(valueOf(families, 'h_count')).toBe(values.length + 1)
        expect(valueOf(families, 'h_bucket', { le: '10' })).toBe(
          values.filter((each) => each <= 10).length + 1,
        )
        expect(valueOf(families, 'h_sum')).toBeCloseTo(values.reduce((sum, each) => sum + each, 0))
      }),
      { numRuns: 30 },
    )
  })
})

describe('gauges', () => {
  test('are read when somebody asks', async () => {
    const { metrics: each, read } = metrics()
    let value = 1
    each.gauge('g', { description: 'G.' }, () => value)
    expect(valueOf(await read(), 'g')).toBe(1)
    value = 2
    expect(valueOf(await read(), 'g')).toBe(2)
  })

  test('a later one of the same attributes takes the place of the one before, whose removal then does nothing', async () => {
    const { metrics: each, read } = metrics()
    const removeFirst = each.gauge('g', { description: 'G.' }, () => 1)
    const removeSecond = each.gauge('g', { description: 'G.' }, () => 2)
    removeFirst()
    expect(valueOf(await read(), 'g')).toBe(2)
    removeSecond()
    expect(valueOf(await read(), 'g')).toBeUndefined()
  })
})

describe('the text', () => {
  test('any help and any label value come back as they went in', async () => {
    const nasty = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\\', '"', '\n', 'n', ',', '}', '='),
        fc.string({ minLength: 1, maxLength: 1 }),
      ),
    })
    await fc.assert(
      fc.asyncProperty(nasty, nasty, async (value, help) => {
        fc.pre(!/[\r\u2028\u2029]/.test(value + help))
        const { metrics: each, read } = metrics()
        each.counter('c', { description: `x${help}`, attributes: { a: value } }).add(1)
        const families = await read()
        expect(valueOf(families, 'c_total', { a: value })).toBe(1)
        expect(families.get('c_total')!.help).toBe(`x${help}`)
      }),
      { numRuns: 100 },
    )
  })
})

describe('cardinality', () => {
  test('beyond 2,000 series of one name the rest is counted together', async () => {
    const { metrics: each, read } = metrics()
    const counter = each.counter('c', { description: 'C.' })
    for (let index = 0; index < 2_500; index++) counter.add(1, { id: index })
    counter.add(5, { id: 0 })
    const families = await read()
    expect(families.get('c_total')!.samples).toHaveLength(2_001)
    expect(valueOf(families, 'c_total', { otel_metric_overflow: 'true' })).toBe(500)
    expect(valueOf(families, 'c_total', { id: '0' })).toBe(6)
  })

  test('further gauges are left out, and room that is given back is used again', async () => {
    const { metrics: each, read } = metrics()
    const removals = Array.from({ length: 2_001 }, (_, id) =>
      each.gauge('g', { description: 'G.', attributes: { id } }, () => id),
    )
    expect((await read()).get('g')!.samples).toHaveLength(2_000)
    removals[0]!()
    each.gauge('g', { description: 'G.', attributes: { id: 'new' } }, () => 7)
    expect(valueOf(await read(), 'g', { id: 'new' })).toBe(7)
  })
})
