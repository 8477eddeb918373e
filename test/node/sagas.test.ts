import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SagaChange } from '../../src/events/index.js'
import { eventsConfig, specOf, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { parseExposition } from '../support/prometheus.js'
import { AdminSagas, is, SagaWorkshop } from '../support/sagas-node.js'
import { serverSentEvents } from '../support/sse.js'

let workshop: SagaWorkshop
beforeEach(() => {
  workshop = new SagaWorkshop()
})
afterEach(async () => {
  await closeAll()
  workshop[Symbol.dispose]()
})

async function start(sagas: object) {
  const started = await startEvents({}, { sagas })
  const change = (changed: object) => started.node.apply(specOf(eventsConfig({}, { sagas: changed })))
  const state = async () =>
    ((await (await fetch(`${started.admin}/api/state`)).json()) as { sagas?: Record<string, object> }).sagas
  return { ...started, change, state, sagas: new AdminSagas(started.admin) }
}

const is404 = { status: 404, body: { type: 'urn:banyan:problem:saga-unknown', code: 'BANYAN_SAGA_UNKNOWN' } }

describe('sagas of a configuration', () => {
  test('are run, started with an input that is checked, and shown', async () => {
    const { sagas, state } = await start({ fulfilment: { module: workshop.fulfilment(), concurrency: 10 } })
    expect(
      await sagas.post('fulfilment', { id: '17', input: { to: 'Paris' }, metadata: { actor: 'ada' } }),
    ).toEqual({
      status: 201,
      body: { id: 'fulfilment/17', duplicate: false },
    })
    expect(await sagas.post('fulfilment', { id: '17', input: { to: 'Paris' } })).toMatchObject({
      status: 200,
      body: { duplicate: true },
    })
    expect(await sagas.post('fulfilment', { id: '17', input: { to: 'Rome' } })).toMatchObject({
      status: 409,
      body: { code: 'BANYAN_SAGA_EXISTS' },
    })
    expect(await sagas.post('fulfilment', { input: { to: 7 } })).toMatchObject({
      status: 422,
      body: { code: 'BANYAN_INVALID_INPUT' },
    })
    const view = await sagas.until('fulfilment/17', is('completed'))
    expect(view).toMatchObject({
      input: { to: 'Paris' },
      result: { tracking: 'T-1' },
      metadata: { actor: 'ada' },
      steps: [{ name: 'reserve' }, { name: 'ship' }],
    })
    expect(await state()).toMatchObject({
      fulfilment: { versions: [1], running: 0, parked: { count: 0, isComplete: true } },
    })
  })

  test('are removed after their end, if the configuration says when', async () => {
    const { sagas } = await start({ fulfilment: { module: workshop.fulfilment(), keepEnded: '10ms' } })
    await sagas.post('fulfilment', { id: '17', input: { to: 'Paris', waits: true } })
    await sagas.post('fulfilment', { id: '18', input: { to: 'Paris' } })
    for (let status = 200; status === 200;) ({ status } = await sagas.get('/fulfilment/18'))
    expect(await sagas.get('/fulfilment/18')).toMatchObject({
      ...is404,
      body: { detail: 'saga fulfilment/18 has ended, and what was known of it is removed' },
    })
    expect((await sagas.get('')).body).toMatchObject({ sagas: [{ id: 'fulfilment/17', status: 'waiting' }] })
    expect(await sagas.post('fulfilment', { id: '18', input: { to: 'Rome' } })).toMatchObject({
      status: 200,
      body: { duplicate: true },
    })
  })

  test('are measured, and told with how many are parked', async () => {
    workshop.write('locked', '')
    const { sagas, admin, state } = await start({ fulfilment: { module: workshop.fulfilment() } })
    await sagas.post('fulfilment', { id: '1', input: { to: 'Paris' } })
    await sagas.post('fulfilment', { id: '2', input: { to: 'mars' } })
    await sagas.until('fulfilment/1', is('completed'))
    await sagas.until('fulfilment/2', is('parked'))
    expect(await state()).toMatchObject({ fulfilment: { parked: { count: 1, isComplete: true } } })
    const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
    const samplesOf = (name: string) =>
      metrics.get(name)?.samples.map(({ labels, value }) => [Object.values(labels).slice(1), value])
    expect(metrics.get('banyan_saga_parked_total')?.samples).toMatchObject([
      { labels: { banyan_saga: 'fulfilment' }, value: 1 },
    ])
    expect(samplesOf('banyan_saga_parked_current')).toEqual([[[], 1]])
    expect(samplesOf('banyan_saga_running')).toEqual([[[], 0]])
    expect(samplesOf('banyan_saga_calls_total')).toEqual([
      [['run', 'done'], 3],
      [['run', 'terminal'], 1],
      [['compensate', 'unknown'], 2],
    ])
    expect(metrics.has('banyan_saga_duration_seconds')).toBe(true)
  })
})

describe('a change', () => {
  test('of a module, or of what is said of it, comes into force; what is the same goes on', async () => {
    const module = workshop.fulfilment()
    const { sagas, change, state, lines } = await start({ fulfilment: { module } })
    await sagas.post('fulfilment', { id: '1', input: { to: 'Paris', waits: true } })
    await sagas.until('fulfilment/1', is('waiting'))
    workshop.fulfilment({ versions: [1, 2] })
    await change({ fulfilment: { module, concurrency: 5 } })
    await sagas.post('fulfilment', { id: '2', input: { to: 'Rome' } })
    expect(await sagas.until('fulfilment/2', is('completed'))).toMatchObject({ version: 2 })
    await sagas.post('fulfilment/1/signal', { name: 'paid', payload: 5, actor: 'bob' })
    expect(await sagas.until('fulfilment/1', is('completed'))).toMatchObject({
      version: 1,
      result: { tracking: 'T-1', payment: 5 },
    })
    expect(await state()).toMatchObject({ fulfilment: { versions: [1, 2] } })
    await change({})
    await sagas.post('fulfilment', { id: '3', input: { to: 'Oslo' } })
    expect((await sagas.get('/fulfilment/3')).body).toMatchObject({ status: 'running', steps: [] })
    expect(lines.join('')).not.toContain('"level":"error"')
  })

  test('to a module that is wrong is refused, and what runs goes on', async () => {
    const module = workshop.fulfilment()
    const { sagas, change } = await start({ fulfilment: { module } })
    workshop.write('fulfilment.ts', 'export const other = { name: "other", run() {} }')
    await expect(change({ fulfilment: { module } })).rejects.toThrow(
      `sagas.fulfilment: ${module} exports no saga or policy of the name \`fulfilment\`, but other`,
    )
    await sagas.post('fulfilment', { id: '1', input: { to: 'Paris' } })
    await sagas.until('fulfilment/1', is('completed'))
  })
})

describe('an operator', () => {
  test('has a parked saga tried again, passed over or undone', async () => {
    workshop.write('locked', '')
    const { sagas } = await start({ fulfilment: { module: workshop.fulfilment() } })
    for (const id of ['1', '2']) await sagas.post('fulfilment', { id, input: { to: 'mars' } })
    const { parked } = await sagas.until('fulfilment/1', is('parked'))
    expect(parked).toMatchObject({
      reason: 'the compensation of step reserve has failed 2 times: the storehouse is locked',
      remedies: ['retry', 'skip'],
    })
    await sagas.until('fulfilment/2', is('parked'))
    expect((await sagas.get('?status=parked')).body).toMatchObject({
      sagas: [{ status: 'parked' }, { status: 'parked' }],
    })
    expect(
      await sagas.post('fulfilment/2/skip', { reason: 'by hand', actor: 'ada', result: 1 }),
    ).toMatchObject({
      status: 202,
      body: { id: 'fulfilment/2' },
    })
    const skipped = await sagas.until('fulfilment/2', is('compensated'))
    expect(skipped.timeline.map(({ what }) => what)).toContain('skip was asked for by ada: by hand')
    rmSync(workshop.path('locked'))
    await sagas.post('fulfilment/1/retry')
    await sagas.until('fulfilment/1', is('compensated'))
    await sagas.post('fulfilment', { id: '3', input: { to: 'Paris', waits: true } })
    await sagas.until('fulfilment/3', is('waiting'))
    await sagas.post('fulfilment/3/cancel', { reason: 'the customer has thought again' })
    expect(await sagas.until('fulfilment/3', is('compensated'))).toMatchObject({
      failure: { class: 'cancelled', error: { message: 'the customer has thought again' } },
    })
  })

  test('pages through lists', async () => {
    const { sagas } = await start({ fulfilment: { module: workshop.fulfilment() } })
    for (const id of ['1', '2', '3']) await sagas.post('fulfilment', { id, input: { to: 'Paris' } })
    const { body } = await sagas.get('/fulfilment?limit=2')
    expect(body).toMatchObject({ sagas: [{ id: 'fulfilment/3' }, { id: 'fulfilment/2' }] })
    expect((await sagas.get(`?saga=fulfilment&limit=2&before=${String(body['next'])}`)).body).toEqual({
      sagas: [expect.objectContaining({ id: 'fulfilment/1' })],
    })
  })

  test.each([
    [
      '/fulfilment/18',
      { ...is404, body: { detail: 'there is no saga fulfilment/18, did you mean fulfilment/17?' } },
    ],
    [
      '?saga=fulfilmnt',
      { ...is404, body: { detail: expect.stringContaining('did you mean fulfilment?') as string } },
    ],
    [
      '?status=stuck',
      { status: 400, body: { detail: expect.stringContaining('must be one of running') as string } },
    ],
    ['?state=parked', { status: 400 }],
    ['?limit=0', { status: 400 }],
    ['?before=here', { status: 400 }],
    ['/fulfilment/17/retry', { status: 405 }],
    ['/fulfilment/17/restart', { status: 404 }],
    ['/fulfilment/17/retry/now', { status: 404 }],
    ['/fulfilment/%', { status: 400 }],
    ['/a-b/1', { status: 400 }],
  ])('is told what is wrong with %s', async (path, expected) => {
    const { sagas } = await start({ fulfilment: { module: workshop.fulfilment() } })
    await sagas.post('fulfilment', { id: '17', input: { to: 'Paris', waits: true } })
    expect(await sagas.get(path)).toMatchObject(expected)
  })

  test.each([
    ['fulfilment/17/retry', {}, 409, 'saga fulfilment/17 is not parked; it is waiting'],
    ['fulfilment/17/retry', { why: 'x' }, 400, 'the body: why is not an option.'],
    ['fulfilment/17/retry', { payload: 1 }, 400, 'the body: payload is not an option.'],
    ['fulfilment/17/signal', {}, 400, 'the body: name is missing: which signal is it?'],
    ['fulfilment/17/signal', { name: 'paid', actor: 7 }, 400, 'the body: actor must be text, got 7.'],
    ['fulfilment/19/cancel', {}, 404, 'there is no saga fulfilment/19, did you mean fulfilment/17?'],
    ['fulfilment', { metadata: 'x' }, 400, 'the body: metadata must be an object, got "x".'],
    ['other', {}, 404, 'no process has run sagas of the name other, known are fulfilment'],
  ])('is told what is wrong with a request to %s of %j', async (path, body, status, detail) => {
    const { sagas } = await start({ fulfilment: { module: workshop.fulfilment() } })
    await sagas.post('fulfilment', { id: '17', input: { to: 'Paris', waits: true } })
    await sagas.until('fulfilment/17', is('waiting'))
    expect(await sagas.post(path, body)).toMatchObject({ status, body: { detail } })
  })

  test('follows all sagas, or one from its start', async () => {
    const { sagas, admin } = await start({ fulfilment: { module: workshop.fulfilment() } })
    const gone = new AbortController()
    const follow = (path: string, headers: Record<string, string> = {}) =>
      fetch(`${admin}/api/sagas${path}`, {
        headers: { accept: 'text/event-stream', ...headers },
        signal: gone.signal,
      })
    const all = await follow('')
    expect(all.headers.get('content-type')).toBe('text/event-stream')
    await sagas.post('fulfilment', { id: 'a/b', input: { to: 'Paris' } })
    const statuses: string[] = []
    let last = ''
    for await (const { event, id, data } of serverSentEvents(all)) {
      if (event !== 'message' || data === '') continue
      const change = JSON.parse(data) as SagaChange
      expect(id).toBe(change.position)
      if (statuses.length === 0) last = id!
      statuses.push(`${change.saga.id} ${change.saga.status}`)
      if (change.saga.status === 'completed') break
    }
    expect(statuses[0]).toBe('fulfilment/a/b running')
    expect(statuses.at(-1)).toBe('fulfilment/a/b completed')
    const kinds: string[] = []
    for await (const { event, data } of serverSentEvents(await follow('/fulfilment/a%2Fb'))) {
      if (event === 'caught-up') break
      if (event === 'message' && data !== '')
        kinds.push(...(JSON.parse(data) as SagaChange).moments.map(({ kind }) => kind))
    }
    expect(kinds).toEqual(['started', 'begun', 'done', 'begun', 'done', 'ended'])
    let later = 0
    for await (const { event, data } of serverSentEvents(await follow('', { 'last-event-id': last }))) {
      if (event === 'caught-up') break
      if (event === 'message' && data !== '') later++
    }
    expect(later).toBe(statuses.length - 1)
    expect((await follow('/fulfilment/none')).status).toBe(404)
    expect((await follow('?from=nowhere')).status).toBe(400)
    gone.abort()
  })
})
