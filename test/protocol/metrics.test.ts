import { afterEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { Metrics } from '../../src/node/metrics.js'
import type { GatewaySpec } from '../../src/traffic/gateway/index.js'
import { closeAll, get, ok, setUp } from '../support/gateway.js'
import { parseExposition, valueOf } from '../support/prometheus.js'

afterEach(closeAll)

async function measured(spec: Partial<GatewaySpec> & { service?: object } = {}) {
  const metrics = new Metrics(() => undefined)
  const running = await setUp(
    { routes: { orders: { match: { path: '/orders/:id' }, to: 's' } }, ...spec },
    { runtime: { ...systemRuntime, telemetry: metrics } },
  )
  const read = async (name: string, labels: Record<string, string> = {}) =>
    valueOf(parseExposition(await metrics.text()), name, labels)
  const endpoint = {
    banyan_service: 's',
    server_address: running.upstream.url,
  }
  return { ...running, metrics, read, endpoint }
}

const ROUTE = { banyan_route: 'orders', http_route: '/orders/{id}' }
const SERVER = { ...ROUTE, http_request_method: 'GET', url_scheme: 'http' }

describe('a request', () => {
  test('is counted by route, method and status, with the bytes of both bodies', async () => {
    const { client, upstream, read, endpoint } = await measured()
    const asking = await client()
    const peer = upstream.peer()
    for (const status of [200, 200, 404]) {
      asking.send(get('/orders/7'))
      await (await peer).request()
      ;(await peer).reply(`HTTP/1.1 ${status} x\r\nContent-Length: 4\r\n\r\nfine`)
      await asking.responses(1)
    }
    const duration = 'http_server_request_duration_seconds_count'
    expect(await read(duration, { ...SERVER, http_response_status_code: '200' })).toBe(2)
    expect(await read(duration, { ...SERVER, http_response_status_code: '404' })).toBe(1)
    expect(await read('http_server_response_body_size_bytes_sum', ROUTE)).toBe(12)
    expect(await read('http_server_request_body_size_bytes_count', ROUTE)).toBe(3)
    const tries = { ...endpoint, http_request_method: 'GET' }
    const tried = 'http_client_request_duration_seconds_count'
    expect(await read(tried, { ...tries, http_response_status_code: '200' })).toBe(2)
    expect(await read(tried, { ...tries, http_response_status_code: '404', error_type: '404' })).toBe(1)
  })

  test('is active until the last byte of its answer', async () => {
    const { client, upstream, read, endpoint } = await measured()
    const asking = await client()
    asking.send(get('/orders/7'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi')
    await asking.until((text) => text.endsWith('fi'))
    expect(await read('http_server_active_requests', { banyan_route: 'orders' })).toBe(1)
    expect(await read('http_client_active_requests', endpoint)).toBe(1)
    expect(await read('banyan_gateway_connections')).toBe(1)
    peer.reply('ne')
    await asking.responses(1)
    expect(await read('http_server_active_requests', { banyan_route: 'orders' })).toBe(0)
    expect(await read('http_client_active_requests', endpoint)).toBe(0)
  })

  test('that fails says how: the code where the gateway answers, the status where the service did', async () => {
    const { client, upstream, read, endpoint } = await measured()
    const asking = await client()
    asking.send(get('/orders/7'))
    const first = await upstream.peer()
    await first.request()
    first.reply('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    await asking.responses(1)
    asking.send(get('/orders/7'))
    await first.request()
    first.reply('HTTP/1.1 200 O')
    first.socket.end()
    await asking.responses(1)
    const duration = 'http_server_request_duration_seconds_count'
    expect(await read(duration, { ...SERVER, http_response_status_code: '503', error_type: '503' })).toBe(1)
    const broken = { error_type: 'BANYAN_UPSTREAM_RESET' }
    expect(await read(duration, { ...SERVER, http_response_status_code: '502', ...broken })).toBe(1)
    expect(await read('banyan_gateway_problems_total', { ...ROUTE, banyan_problem: 'upstream-reset' })).toBe(
      1,
    )
    const tried = 'http_client_request_duration_seconds_count'
    expect(await read(tried, { ...endpoint, http_request_method: 'GET', ...broken })).toBe(1)
  })

  test('that a client gave up counts as 499', async () => {
    const { client, upstream, read, gateway } = await measured()
    const asking = await client()
    asking.send(get('/orders/7'))
    const peer = await upstream.peer()
    await peer.request()
    asking.destroy()
    await peer.end()
    expect(gateway.state().routes['orders']).toMatchObject({ active: 0 })
    expect(
      await read('http_server_request_duration_seconds_count', {
        ...SERVER,
        http_response_status_code: '499',
        error_type: 'client_aborted',
      }),
    ).toBe(1)
  })
})

describe('what clients decide makes no series', () => {
  test('unknown paths are one, and so are unknown methods', async () => {
    const { client, read } = await measured()
    const asking = await client()
    for (const method of ['BREW', 'MAKE', 'GET'])
      for (const path of ['/a', '/b']) await asking.ask(`${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const unrouted = { url_scheme: 'http', http_response_status_code: '404' }
    const duration = 'http_server_request_duration_seconds_count'
    expect(await read(duration, { ...unrouted, http_request_method: '_OTHER' })).toBe(4)
    expect(await read(duration, { ...unrouted, http_request_method: 'GET' })).toBe(2)
    expect(await read('banyan_gateway_problems_total', { banyan_problem: 'no-route' })).toBe(6)
  })

  test('what is no valid request is counted by its status', async () => {
    const { client, read } = await measured()
    const asking = await client()
    asking.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
    await asking.closed()
    expect(await read('banyan_gateway_invalid_requests_total', { http_response_status_code: '400' })).toBe(1)
  })
})

test('a service that a change takes away takes its gauges with it, and its counts stay', async () => {
  const { gateway, client, upstream, read, endpoint } = await measured()
  const asking = await client()
  asking.send(get('/orders/7'))
  const peer = await upstream.peer()
  await peer.request()
  peer.reply(ok('fine'))
  await asking.responses(1)
  await gateway.apply({
    services: { other: { endpoints: [upstream.url] } },
    routes: { new: { match: {}, to: 'other' } },
  })
  expect(await read('http_client_active_requests', endpoint)).toBeUndefined()
  expect(await read('http_client_active_requests', { ...endpoint, banyan_service: 'other' })).toBe(0)
  expect(await read('http_server_active_requests', { banyan_route: 'orders' })).toBeUndefined()
  expect(await read('http_server_response_body_size_bytes_count', ROUTE)).toBe(1)
})
