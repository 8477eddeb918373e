import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Cli, configFile, run } from '../support/cli.js'

const cleanUps: (() => unknown)[] = []
const VARIABLES = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_PROTOCOL',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
  'OTEL_TRACES_SAMPLER',
  'OTEL_METRICS_EXPORTER',
  'OTEL_SDK_DISABLED',
  'NODE_OPTIONS',
]

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  for (const name of VARIABLES) Reflect.deleteProperty(process.env, name)
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Value {
  stringValue?: string
  intValue?: number | string
  doubleValue?: number
}
interface KeyValue {
  key: string
  value: Value
}
interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: KeyValue[]
  status: { code?: number; message?: string }
}
interface OtlpMetric {
  name: string
  unit: string
  sum?: { dataPoints: { attributes: KeyValue[]; asDouble?: number; asInt?: number | string }[] }
  histogram?: { dataPoints: { attributes: KeyValue[]; count: number | string; explicitBounds: number[] }[] }
}
interface Export {
  resourceSpans?: { resource: { attributes: KeyValue[] }; scopeSpans: { spans: OtlpSpan[] }[] }[]
  resourceMetrics?: { resource: { attributes: KeyValue[] }; scopeMetrics: { metrics: OtlpMetric[] }[] }[]
}

/** A collector that speaks OTLP over HTTP with JSON, and keeps what it gets. */
async function collector() {
  const received: { path: string; headers: IncomingMessage['headers']; body: Export }[] = []
  const url = await serve((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (data: Buffer) => chunks.push(data))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Export
      received.push({ path: request.url!, headers: request.headers, body })
      response.setHeader('Content-Type', 'application/json').end('{}')
    })
  })
  return {
    url,
    received,
    spans: () =>
      received
        .flatMap(({ body }) => body.resourceSpans ?? [])
        .flatMap((each) => each.scopeSpans)
        .flatMap((each) => each.spans),
    metrics: () =>
      received
        .flatMap(({ body }) => body.resourceMetrics ?? [])
        .flatMap((each) => each.scopeMetrics)
        .flatMap((each) => each.metrics),
  }
}

const attributesOf = (attributes: KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? Number(value.intValue ?? value.doubleValue),
    ]),
  )

async function startNode(listener: RequestListener, config: object = {}) {
  const endpoint = await serve(listener)
  const file = configFile({
    listen: 0,
    admin: 0,
    services: { web: { endpoints: [endpoint] } },
    routes: { orders: { match: { path: '/orders/:id' }, to: 'web', requestId: true } },
    ...config,
  })
  const node = new Cli('up', '-c', file)
  cleanUps.push(async () => {
    node.process.kill('SIGKILL')
    await node.ended
  })
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  return { node, admin, gateway }
}

describe('OpenTelemetry by the environment', () => {
  test('traces and metrics reach a collector, the last ones when the node ends', async () => {
    const { url, received, spans, metrics } = await collector()
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=abc',
      OTEL_SERVICE_NAME: 'edge',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    })
    const told: (string | undefined)[] = []
    const { node, gateway } = await startNode((request, response) => {
      told.push(request.headers['traceparent'] as string)
      response.end('fine')
    })
    const trace = '0af7651916cd43dd8448eb211c80319c'
    await (
      await fetch(`${gateway}/orders/7`, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } })
    ).text()
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)

    const server = spans().find(({ kind }) => kind === 2)!
    const client = spans().find(({ kind }) => kind === 3)!
    expect(server).toMatchObject({
      traceId: trace,
      parentSpanId: 'b7ad6b7169203331',
      name: 'GET /orders/{id}',
    })
    expect(client).toMatchObject({ traceId: trace, parentSpanId: server.spanId })
    expect(told).toEqual([`00-${trace}-${client.spanId}-01`])
    expect(attributesOf(server.attributes)).toMatchObject({
      'http.route': '/orders/{id}',
      'http.response.status_code': 200,
    })

    const duration = metrics().find(({ name }) => name === 'http.server.request.duration')!
    expect(duration.unit).toBe('s')
    expect(Number(duration.histogram!.dataPoints[0]!.count)).toBe(1)
    expect(duration.histogram!.dataPoints[0]!.explicitBounds).toContain(0.075)
    expect(metrics().map(({ name }) => name)).toContain('nodejs.eventloop.utilization')

    expect(new Set(received.map(({ path }) => path))).toEqual(new Set(['/v1/traces', '/v1/metrics']))
    for (const { headers, body } of received) {
      expect(headers['x-key']).toBe('abc')
      const [resource] = [...(body.resourceSpans ?? []), ...(body.resourceMetrics ?? [])]
      expect(attributesOf(resource!.resource.attributes)).toMatchObject({
        'service.name': 'edge',
        'deployment.environment.name': 'test',
        'service.instance.id': expect.stringMatching(/^[\da-f-]{36}$/) as string,
      })
    }
  })

  test('a sampler that keeps nothing sends nothing, and tells services so', async () => {
    const { url, spans } = await collector()
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_TRACES_SAMPLER: 'always_off',
    })
    const told: (string | undefined)[] = []
    const { node, gateway } = await startNode((request, response) => {
      told.push(request.headers['traceparent'] as string)
      response.end('fine')
    })
    await (await fetch(`${gateway}/orders/7`)).text()
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)
    expect(spans()).toEqual([])
    expect(told[0]).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-00$/)
  })

  test('a collector that is away costs no request and no clean end', async () => {
    Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
    const { node, gateway } = await startNode((_request, response) => void response.end('fine'))
    expect(await (await fetch(`${gateway}/orders/7`)).text()).toBe('fine')
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)
    expect(node.stderr).toContain('OpenTelemetry')
  })

  test('is off where OTEL_SDK_DISABLED says so', async () => {
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_SDK_DISABLED: 'true',
    })
    const told: (string | undefined)[] = []
    const { node, gateway } = await startNode((request, response) => {
      told.push(request.headers['traceparent'] as string | undefined)
      response.end('fine')
    })
    await (await fetch(`${gateway}/orders/7`)).text()
    expect(told).toEqual([undefined])
    expect(node.stderr).not.toContain('OpenTelemetry')
  })
})

test('an export without the packages for it says what to install', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-no-otel-'))
  const hooks = `export async function resolve(name, context, next) {
    if (name.startsWith('@opentelemetry/')) throw Object.assign(new Error(name), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(name, context)
  }`
  writeFileSync(join(folder, 'hooks.mjs'), hooks)
  writeFileSync(
    join(folder, 'register.mjs'),
    `import { register } from 'node:module'\nregister('./hooks.mjs', import.meta.url)`,
  )
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    NODE_OPTIONS: `--import=file://${join(folder, 'register.mjs')}`,
  })
  const { code, stderr } = await run(
    'up',
    '-c',
    configFile({
      listen: 0,
      admin: 0,
      services: { web: { endpoints: ['http://127.0.0.1:1'] } },
      routes: { a: { match: {}, to: 'web' } },
    }),
  )
  expect(code).toBe(1)
  expect(stderr).toContain('npm install @opentelemetry/api @opentelemetry/sdk-node')
  expect(stderr).toContain('[BANYAN_PACKAGE_MISSING]')
})

describe('the access log of a node', () => {
  test('goes to standard output, and is opened anew on SIGHUP where it is a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'banyan-node-log-'))
    const output = join(folder, 'access.log')
    const { node, gateway } = await startNode((_request, response) => void response.end('fine'), {
      accessLog: { output },
    })
    await (await fetch(`${gateway}/orders/1`)).text()
    while (!existsSync(output) || readFileSync(output, 'utf8') === '')
      await (await fetch(`${gateway}/none`)).text()
    renameSync(output, `${output}.1`)
    node.process.kill('SIGHUP')
    while (!existsSync(output)) await (await fetch(`${gateway}/orders/2`)).text()
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)
    expect(readFileSync(`${output}.1`, 'utf8')).toContain('"path":"/orders/1"')
    expect(readFileSync(output, 'utf8')).toContain('"path":"/orders/2"')

    const other = await startNode((_request, response) => void response.end('fine'), { accessLog: true })
    await (await fetch(`${other.gateway}/orders/3`)).text()
    other.node.process.kill('SIGTERM')
    await other.node.ended
    expect(other.node.stdout.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(other.node.stdout)).toMatchObject({ path: '/orders/3', status: 200, route: 'orders' })
  })

  test('that cannot be written is a clear error at the start', async () => {
    const { code, stderr } = await run(
      'up',
      '-c',
      configFile({
        listen: 0,
        admin: 0,
        services: { web: { endpoints: ['http://127.0.0.1:1'] } },
        routes: { a: { match: {}, to: 'web' } },
        accessLog: { output: '/nowhere/access.log' },
      }),
    )
    expect(code).toBe(1)
    expect(stderr).toContain('accessLog.output: cannot write to `/nowhere/access.log`: ENOENT')
    expect(stderr).toContain('[BANYAN_ACCESS_LOG]')
  })
})

describe('banyan explain', () => {
  test('tells which policy refused a request, on which numbers, by the id that the client was given', async () => {
    const { gateway, admin } = await startNode((_request, response) => void response.end('fine'), {
      policies: { strict: { rateLimit: { limit: 1, window: '1h' } } },
      routes: { orders: { match: {}, to: 'web', policy: 'strict', requestId: true } },
    })
    await (await fetch(gateway)).text()
    const refused = await fetch(`${gateway}/orders/7?secret=1`)
    expect(refused.status).toBe(429)
    const id = refused.headers.get('x-request-id')!
    const { code, stdout } = await run('explain', id, '-a', admin)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^GET [\d.:]+\/orders\/7 {2}429 {2}rate-limited\n/)
    expect(stdout).toContain('route orders > service web; 0 tries')
    expect(stdout).toContain('[BANYAN_RATE_LIMITED]')
    expect(stdout).toContain('rate limit: 1 in 1h, 0 left for this caller')
    expect(stdout).not.toContain('secret')
    expect((await run('explain', '-a', admin)).stdout).toContain(id)
    const unknown = await run('explain', 'nobody', '-a', admin)
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('[BANYAN_UNKNOWN_REQUEST]')])
  })
})
