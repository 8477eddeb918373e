import { metrics, trace } from '@opentelemetry/api'
import { metrics as sdkMetrics } from '@opentelemetry/sdk-node'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import * as core from '../../src/core/index.js'
import * as bridge from '../../src/node/telemetry/opentelemetry.js'
import * as traffic from '../../src/traffic/index.js'
import { blockOf, startExample } from '../support/example.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

test('the example logs, counts and explains', async () => {
  const server = createServer((_request, response) => void response.end('fine'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => server.close() }, { close: () => server.closeAllConnections() })
  const log = join(mkdtempSync(join(tmpdir(), 'banyan-example-')), 'access.log')
  const orders = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { node, ports } = await startExample('traffic/observability.md', {
    env: { ORDERS: orders, ACCESS_LOG: log },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0'),
  })
  const ask = () =>
    fetch(`http://127.0.0.1:${ports[0]}/orders/7?page=2&user=anna`, { headers: { 'X-Tenant': 'blue' } })
  for (const answer of [await ask(), await ask()]) expect(await answer.text()).toBe('fine')
  const refused = await ask()
  expect(refused.status).toBe(429)
  expect(node.state().routes['orders']).toMatchObject({
    requests: 3,
    lastProblem: { reason: 'rate-limited' },
  })
  await node.stop(AbortSignal.abort())
  expect(existsSync(log)).toBe(true)
  const lines = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatchObject({
    path: '/orders/7',
    query: 'page=2&user=***',
    route: 'orders',
    endpoint: orders,
    status: 200,
    headers: { 'x-tenant': 'blue' },
  })
  expect(lines[2]).toMatchObject({
    status: 429,
    problem: 'rate-limited',
    requestId: refused.headers.get('x-request-id'),
  })
})

test('the example in a program reports to OpenTelemetry', async () => {
  const exporter = new sdkMetrics.InMemoryMetricExporter(sdkMetrics.AggregationTemporality.CUMULATIVE)
  const reader = new sdkMetrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new sdkMetrics.MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  open.push({ close: () => metrics.disable() }, { close: () => provider.shutdown() })
  const code = blockOf('traffic/observability.md', 'ts').replace(/^import .*\n/gm, '')
  const modules = { metrics, trace, ...core, ...bridge, ...traffic }
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the code of the page, as it stands
  const make = new Function(...Object.keys(modules), `${code}\nreturn breaker`) as (
    ...values: unknown[]
  ) => traffic.CircuitBreaker
  const breaker = make(...Object.values(modules))
  expect(await breaker.execute(() => 7)).toBe(7)
  await reader.forceFlush()
  const exported = exporter
    .getMetrics()
    .flatMap((each) => each.scopeMetrics)
    .flatMap((each) => each.metrics)
  const calls = exported.find(({ descriptor }) => descriptor.name === 'banyan.breaker.calls')
  expect(calls?.dataPoints).toMatchObject([
    { value: 1, attributes: { 'banyan.policy': 'payments', 'banyan.outcome': 'success' } },
  ])
})
