import { afterEach, beforeEach, expect, test } from 'vitest'
import { cloudEvent, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { parseExposition } from '../support/prometheus.js'
import { AdminSagas, is, SagaWorkshop } from '../support/sagas-node.js'

let workshop: SagaWorkshop
beforeEach(() => {
  workshop = new SagaWorkshop()
})
afterEach(async () => {
  await closeAll()
  workshop[Symbol.dispose]()
})

/** Of the reaction to a CloudEvent, whose id in the log has its source in front. */
function pathOf(id: string): string {
  return `reserveStock/${encodeURIComponent(`/test ${id}`)}`
}

/** A node with a policy whose reaction fails while there is a file `locked` in the folder. */
async function start() {
  const locked = JSON.stringify(workshop.path('locked'))
  const module = workshop.write(
    'policies.ts',
    `import { existsSync } from 'node:fs'
    export const reserveStock = {
      name: 'reserveStock',
      topic: 'order',
      types: ['OrderPlaced'],
      from: 'start',
      attempts: 2,
      backoff: { base: '1ms', max: '1ms' },
      run({ data }: any, { metadata }: any) {
        if (existsSync(${locked})) throw new Error('the storehouse is locked')
      },
    }`,
  )
  const { admin, node } = await startEvents({}, { sagas: { reserveStock: { module } } })
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${admin}${path}`, init)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const place = async (id: string, correlationId: string): Promise<void> => {
    const answer = await ask(`/api/events/streams/order-${id}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/cloudevents+json' },
      body: cloudEvent(id, { type: 'OrderPlaced', correlationid: correlationId }),
    })
    expect(answer).toMatchObject({ status: 201 })
  }
  return { admin, node, ask, place, sagas: new AdminSagas(admin) }
}

test('a node runs policies of its modules; what is parked is counted, retried and skipped', async () => {
  const { admin, ask, place, sagas } = await start()
  await place('1', 'request')
  expect(await sagas.until(pathOf('1'), is('completed'))).toMatchObject({
    reaction: { event: { stream: 'order-1', revision: 0, type: 'OrderPlaced' }, appended: [] },
  })
  workshop.write('locked', '')
  await place('2', 'request')
  await place('3', 'request')
  await sagas.until(pathOf('2'), is('parked'))
  await sagas.until(pathOf('3'), is('parked'))
  const { sagas: states } = (await ask('/api/state')).body
  expect(states).toMatchObject({ reserveStock: { versions: [1], parked: { count: 2, isComplete: true } } })
  const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
  expect(metrics.get('banyan_saga_parked_current')!.samples).toMatchObject([
    { labels: { banyan_saga: 'reserveStock' }, value: 2 },
  ])
  expect(await sagas.post(`${pathOf('2')}/skip`, { reason: 'done by hand' })).toMatchObject({ status: 202 })
  expect(await sagas.post(`${pathOf('3')}/cancel`)).toMatchObject({ status: 202 })
  await sagas.until(pathOf('2'), is('completed'))
  await sagas.until(pathOf('3'), is('compensated'))
  expect(await sagas.post('reserveStock', { input: { stream: 'order-1', revision: 0 } })).toMatchObject({
    status: 409,
    body: { code: 'BANYAN_SAGA_REFUSED' },
  })
})

test('a trace is told by the admin listener, as far as it is asked for', async () => {
  const { ask, place, sagas } = await start()
  for (const id of ['1', '2']) await place(id, 'a/b')
  for (const id of ['1', '2']) await sagas.until(pathOf(id), is('completed'))
  const tree = (id: string) => ({
    event: { stream: `order-${id}`, id: `/test ${id}` },
    leadsTo: [{ saga: { id: `reserveStock//test ${id}`, status: 'completed' }, leadsTo: [] }],
  })
  const { status, body } = await ask('/api/traces/a%2Fb')
  expect(status).toBe(200)
  expect(body).toMatchObject({ correlationId: 'a/b', isComplete: true, roots: [tree('1'), tree('2')] })
  expect((await ask('/api/traces/a%2Fb?scan=1')).body).toMatchObject({ scanned: 1, isComplete: false })
  expect((await ask(`/api/traces/a%2Fb?from=${body['position'] as string}`)).body).toMatchObject({
    roots: [],
  })
  const wrong: [string, RequestInit, number][] = [
    ['a?limit=0', {}, 400],
    ['a?scan=10000001', {}, 400],
    ['a?from=x', {}, 400],
    ['a?to=7', {}, 400],
    ['%E0', {}, 400],
    ['a', { method: 'POST' }, 405],
    ['a/b', {}, 404],
  ]
  for (const [path, init, expected] of wrong)
    expect([path, (await ask(`/api/traces/${path}`, init)).status]).toEqual([path, expected])
})
