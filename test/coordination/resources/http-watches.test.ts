import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { noTelemetry } from '../../../src/core/telemetry.js'
import { virtualClock } from '../../../src/testing/index.js'
import { kubernetesServer } from '../../support/kubernetes-server.js'
import { recordingTelemetry } from '../../support/telemetry.js'
import { Promotion } from './promotion.js'

const PROMOTIONS = '/apis/shop.example/v1/namespaces/default/promotions'

/** A server whose watches can be counted. */
async function open(options: Parameters<typeof kubernetesServer>[1] = {}) {
  let watches = (): number => 0
  const telemetry = {
    ...noTelemetry,
    gauge: (_: string, __: object, read: () => number) => {
      watches = read
      return () => undefined
    },
  }
  const server = await kubernetesServer([Promotion], { telemetry, ...options })
  /** Resolves when so many are under way. */
  const reached = async (count: number, wait = () => Promise.resolve()): Promise<void> => {
    while (watches() !== count) {
      await wait()
      await new Promise(setImmediate)
    }
  }
  return { ...server, [Symbol.asyncDispose]: server[Symbol.asyncDispose].bind(server), reached }
}

it('a watch ends when its client goes away', async () => {
  await using server = await open()
  const quiet = await server.watch(`${PROMOTIONS}?watch=1`)
  const told = await server.watch(`${PROMOTIONS}?watch=1`)
  await server.reached(2)
  await quiet.close()
  await server.reached(1)
  await server.ask('POST', PROMOTIONS, { metadata: { name: 'a' }, spec: { discount: 10 } })
  await told.next()
  await told.close()
  await server.reached(0)
})

it('all who watch are told the same, in order', async () => {
  await using server = await open()
  const watches = await Promise.all(
    Array.from({ length: 50 }, () => server.watch(`${PROMOTIONS}?watch=1&resourceVersion=0`)),
  )
  await server.reached(50)
  const made = await server.ask('POST', PROMOTIONS, { metadata: { name: 'a' }, spec: { discount: 10 } })
  await server.ask('DELETE', `${PROMOTIONS}/a`)
  for (const watch of watches) {
    expect(await watch.next()).toEqual({ type: 'ADDED', object: made.body })
    expect(await watch.next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'a' } } })
    await watch.close()
  }
  await server.reached(0)
})

it('a client that does not read is cut off, and holds nobody up', async () => {
  const clock = virtualClock()
  await using server = await open({ listener: { clock } })
  // More than the buffers of connections have room for.
  const codes = ['x'.repeat(250_000)]
  for (let count = 0; count < 80; count++)
    await server.api.create(Promotion, { metadata: { name: `p-${count}` }, spec: { discount: 10, codes } })
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.pause()
  socket.write(`GET ${PROMOTIONS}?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await server.reached(1)
  const now = 'sendInitialEvents=false&resourceVersionMatch=NotOlderThan'
  const reader = await server.watch(`${PROMOTIONS}?watch=1&${now}`)
  await server.reached(2)
  await server.ask('DELETE', `${PROMOTIONS}/p-0`)
  expect(await reader.next()).toMatchObject({ type: 'DELETED' })
  await server.reached(1, () => clock.advance('1m'))
  socket.destroy()
  await reader.close()
})

it('requests are measured, and traced', async () => {
  const { telemetry, spans, counts } = recordingTelemetry()
  await using server = await kubernetesServer([Promotion], { telemetry })
  const trace = '0af7651916cd43dd8448eb211c80319c'
  await server.ask('GET', `${PROMOTIONS}/a`, undefined, { traceparent: `00-${trace}-b7ad6b7169203331-01` })
  await server.ask('GET', '/apis')
  const [first, second] = spans.filter(({ name }) => name === 'banyan.resources.request')
  expect(first).toMatchObject({
    context: { traceId: trace },
    attributes: {
      ...{ 'banyan.verb': 'get', 'banyan.resource': 'promotions.shop.example' },
      'http.response.status_code': 404,
    },
    ended: true,
  })
  expect(second).toMatchObject({ attributes: { 'banyan.resource': '' } })
  expect([...counts.keys()].filter((name) => name.startsWith('banyan.resources.request'))).toEqual([
    'banyan.resources.request.duration{banyan.resource=promotions.shop.example,banyan.verb=get,http.response.status_code=404}',
    'banyan.resources.request.duration{banyan.resource=,banyan.verb=get,http.response.status_code=200}',
  ])
})
