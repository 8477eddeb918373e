import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../src/testing/index.js'
import {
  openLog,
  runSagas,
  saga,
  sagas,
  terminal,
  type AnySaga,
  type ListedSaga,
  type ListOptions,
  type SagaChange,
  type Sagas,
} from '../../src/events/index.js'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** Each goes as its input says. */
const order = saga<{ how: 'completes' | 'fails' | 'throws' | 'waits' }, string>({
  name: 'order',
  async run({ how }, { step, signal }) {
    await step('reserve', { run: () => 'place 7', compensate: () => undefined })
    if (how === 'fails')
      await step('charge', () => {
        throw terminal('the card was refused')
      })
    if (how === 'throws') throw new TypeError('a mistake')
    if (how === 'waits') return signal<string>('approved', { timeout: '10m' })
    return 'fine'
  },
})
const shop = saga({
  name: 'shop',
  run: (_, { child }) => child('first', order, { how: 'completes' }),
})

async function setUp(definitions: readonly AnySaga[] = [order, shop]) {
  const runtime = virtualRuntime()
  const log = await openLog('memory:', { runtime })
  open.push(() => log.close())
  const all = sagas(log, { runtime })
  if (definitions.length > 0) {
    const runner = await runSagas(log, { definitions, runtime, drain: '1s' })
    open.push(() => runtime.clock.settle(runner.close()))
  }
  const until = (id: string) => runtime.clock.settle(all.outcome(id))
  const start = async (id: string, how: string) => {
    await all.start('order', { how }, { id, metadata: { actor: 'ada' } })
    if (how !== 'waits') await until(`order/${id}`)
    else
      for await (const { changes } of all.follow({ id: `order/${id}`, from: '0' }))
        if (changes.some(({ saga: { status } }) => status === 'waiting')) break
  }
  return { log, all, runtime, until, start }
}

async function listed(all: Sagas, options?: ListOptions): Promise<ListedSaga[]> {
  const found = []
  for await (const one of all.list(options)) found.push(one)
  return found
}

const idsOf = (found: readonly ListedSaga[]): string[] => found.map(({ id }) => id)

describe('a list', () => {
  test('tells sagas by their state, the last first, and goes on where a page ended', async () => {
    const { all, start, until } = await setUp()
    for (const [index, how] of ['completes', 'throws', 'fails', 'throws', 'completes'].entries())
      await start(String(index), how)
    await all.start(shop, undefined, { id: '1' })
    await until('shop/1')
    // Time goes on for nobody else from here.
    await start('5', 'waits')
    expect(idsOf(await listed(all))).toEqual([
      'order/5',
      'order/shop/1/first',
      'shop/1',
      ...['order/4', 'order/3', 'order/2', 'order/1', 'order/0'],
    ])
    expect(idsOf(await listed(all, { saga: 'shop' }))).toEqual(['shop/1'])
    expect(idsOf(await listed(all, { status: 'parked' }))).toEqual(['order/3', 'order/1'])
    expect(idsOf(await listed(all, { status: 'waiting' }))).toEqual(['order/5'])
    expect(idsOf(await listed(all, { status: 'compensated' }))).toEqual(['order/2'])
    expect(idsOf(await listed(all, { saga: 'order', status: 'completed' }))).toEqual([
      'order/shop/1/first',
      'order/4',
      'order/0',
    ])
    const pages: string[][] = []
    for (let before: string | undefined; ;) {
      const page = await listed(all, { saga: 'order', limit: 3, ...(before !== undefined && { before }) })
      if (page.length === 0) break
      pages.push(idsOf(page))
      before = page.at(-1)!.cursor
    }
    expect(pages).toEqual([
      ['order/5', 'order/shop/1/first', 'order/4'],
      ['order/3', 'order/2', 'order/1'],
      ['order/0'],
    ])
  })

  test('of parked ones has each once, however often it was parked, also over pages', async () => {
    const { all, start, until } = await setUp()
    await start('1', 'throws')
    await start('2', 'throws')
    for (const id of ['order/1', 'order/2', 'order/1']) {
      await all.retry(id)
      await until(id)
    }
    const [first] = await listed(all, { status: 'parked', limit: 1 })
    expect(first!.id).toBe('order/1')
    expect(idsOf(await listed(all, { status: 'parked', before: first!.cursor }))).toEqual(['order/2'])
    await all.cancel('order/1')
    await until('order/1')
    expect(idsOf(await listed(all, { status: 'parked' }))).toEqual(['order/2'])
  })

  test('tells what a saga waits for, and until when', async () => {
    const { all, start, runtime } = await setUp()
    const now = runtime.clock.wall()
    await start('1', 'waits')
    expect(await listed(all)).toMatchObject([{ at: 'signal approved', due: now + 600_000 }])
  })
})

describe('by its name', () => {
  test('a saga is started in the highest version that is run, with its deadline', async () => {
    const second = { ...order, version: 2, deadline: '2h' as const }
    const { all } = await setUp([order, second])
    expect(await all.start('order', { how: 'waits' }, { id: '1' })).toEqual({
      id: 'order/1',
      duplicate: false,
    })
    const { version, started, deadline } = await all.show('order/1')
    expect([version, deadline! - started]).toEqual([2, 7_200_000])
  })

  test('what nobody runs is not started, and what is meant is told', async () => {
    const { all } = await setUp()
    await expect(all.start('odrer')).rejects.toMatchObject({
      code: 'BANYAN_SAGA_UNKNOWN',
      message: 'no process has run sagas of the name odrer, did you mean order?',
    })
  })
})

test('of an id that there is not, those are told that may be meant', async () => {
  const { all, start } = await setUp()
  await expect(all.show('order/18')).rejects.toMatchObject({
    message: 'there is no saga order/18: none of the name order was started',
  })
  await start('17', 'completes')
  const messages = ['order/18', 'order/something-else', 'ordre/17'].map((id) =>
    all.retry(id).catch((error: unknown) => (error as Error).message),
  )
  expect(await Promise.all(messages)).toEqual([
    'there is no saga order/18, did you mean order/17?',
    'there is no saga order/something-else; there are others of that name, such as order/17',
    'there is no saga ordre/17: no process has run sagas of the name ordre, did you mean order?',
  ])
})

describe('what is shown', () => {
  test('of a parked saga says what can be done', async () => {
    const { all, start } = await setUp()
    await start('1', 'throws')
    const { parked } = await all.show('order/1')
    expect(parked).toMatchObject({
      reason: 'its code has thrown TypeError: a mistake',
      remedies: ['retry', 'cancel'],
    })
  })

  test('of steps has every try that has failed, and of children their ids', async () => {
    const { all, start, until } = await setUp()
    await start('1', 'fails')
    const { steps, timeline, metadata } = await all.show('order/1')
    expect(metadata).toMatchObject({ actor: 'ada' })
    expect(steps).toMatchObject([
      { name: 'reserve', status: 'done', result: 'place 7', compensable: true, compensated: true },
      {
        name: 'charge',
        status: 'failed',
        failures: [{ direction: 'run', class: 'terminal', error: { message: 'the card was refused' } }],
      },
    ])
    expect(timeline.map(({ kind, step }) => `${kind} ${step ?? ''}`.trim())).toEqual([
      'started',
      'begun reserve',
      'done reserve',
      'begun charge',
      'tried charge',
      'failed charge',
      'failing',
      'compensated reserve',
      'ended',
    ])
    await all.start(shop, undefined, { id: '1' })
    await until('shop/1')
    expect((await all.show('shop/1')).steps).toMatchObject([{ kind: 'child', child: 'order/shop/1/first' }])
    expect((await all.show('order/shop/1/first')).parent).toBe('shop/1')
  })
})

test('followed are all sagas, those of a name, or one, as they are after each event', async () => {
  const { all, start, log } = await setUp()
  const from = await log.head()
  await start('1', 'fails')
  await start('2', 'waits')
  await all.signal('order/2', 'approved', 'yes', { actor: 'bob' })
  // A type of somebody else's that is called like one of a saga's.
  await log.append({ streams: [{ stream: 'race-1', events: [{ type: 'Started' }] }] })
  const follow = async (options: object): Promise<SagaChange[]> => {
    const found: SagaChange[] = []
    for await (const { changes, caughtUp } of all.follow({ from, ...options })) {
      found.push(...changes)
      if (caughtUp && found.some(({ moments }) => moments.some(({ kind }) => kind === 'signalled'))) break
    }
    return found
  }
  const [every, named, one] = await Promise.all([
    follow({}),
    follow({ saga: 'order' }),
    follow({ id: 'order/2' }),
  ])
  const statuses = new Set(every.map(({ saga: { id, status } }) => `${id} ${status}`))
  expect([...statuses].slice(0, 4)).toEqual([
    'order/1 running',
    'order/1 compensating',
    'order/1 compensated',
    'order/2 running',
  ])
  expect(named.slice(0, every.length)).toEqual(every.slice(0, named.length))
  expect(one.every(({ saga: { id } }) => id === 'order/2')).toBe(true)
  expect(one.flatMap(({ moments }) => moments).find(({ kind }) => kind === 'signalled')).toMatchObject({
    what: 'signal approved has come by bob',
    step: 'approved',
    data: 'yes',
  })
})
