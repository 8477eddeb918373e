import { afterEach, expect, it } from 'vitest'
import { closeLogs, collect, newDirectory } from '../../../test/support/logs.js'
import {
  archive,
  exportEvents,
  fileLines,
  openLog,
  openReadModels,
  projection,
  START,
  type EventLog,
  type MemoryTables,
  type ReadOptions,
} from '../index.js'
import { memorySnapshots, renamed, repository, upcasters } from './index.js'

const open: EventLog[] = []
afterEach(async () => {
  for (const log of open.splice(0)) await log.close()
  await closeLogs()
})

/** A log in which an older program has left events, as a newer one reads it. */
async function logWith(
  events: readonly { type: string; data?: unknown; schemaVersion?: number }[],
  chains: Parameters<typeof upcasters>[0],
): Promise<EventLog> {
  const log = await openLog('memory:', { transforms: [upcasters(chains)] })
  open.push(log)
  await log.append({
    streams: [{ stream: 'order-1', events: events.map((event) => ({ schemaVersion: 1, ...event })) }],
  })
  return log
}

async function read(log: EventLog): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const { type, data, schemaVersion } of log.read()) seen.push([type, data, schemaVersion])
  return seen
}

const placed = {
  OrderPlaced: {
    1: ({ price }: { price: number }) => ({ total: price }),
    2: ({ total }: { total: number }) => ({ total, currency: 'EUR' }),
  },
}

it('brings each event to the newest version, one step after the other', async () => {
  const log = await logWith(
    [
      { type: 'OrderPlaced', data: { price: 3 } },
      { type: 'OrderPlaced', data: { total: 4 }, schemaVersion: 2 },
      { type: 'OrderPlaced', data: { total: 5, currency: 'USD' }, schemaVersion: 3 },
      { type: 'OrderPaid', data: {} },
    ],
    placed,
  )
  expect(await read(log)).toEqual([
    ['OrderPlaced', { total: 3, currency: 'EUR' }, 3],
    ['OrderPlaced', { total: 4, currency: 'EUR' }, 3],
    ['OrderPlaced', { total: 5, currency: 'USD' }, 3],
    ['OrderPaid', {}, 1],
  ])
})

it('appends at the newest version what says none', async () => {
  const log = await openLog('memory:', { transforms: [upcasters(placed)] })
  open.push(log)
  await log.append({
    streams: [
      {
        stream: 'order-1',
        events: [{ type: 'OrderPlaced', data: { total: 1, currency: 'EUR' } }, { type: 'OrderPaid' }],
      },
    ],
  })
  expect(await read(log)).toEqual([
    ['OrderPlaced', { total: 1, currency: 'EUR' }, 3],
    ['OrderPaid', undefined, 1],
  ])
})

it('follows an event whose type was renamed, into the chain of its new one', async () => {
  const log = await logWith([{ type: 'OrderMade', data: { price: 3 } }], {
    ...placed,
    OrderMade: { 1: renamed('OrderPlaced') },
  })
  expect(await read(log)).toEqual([['OrderPlaced', { total: 3, currency: 'EUR' }, 3]])
})

it('brings up to date whatever is read of the log, however it is read', async () => {
  const log = await logWith(
    [
      { type: 'OrderPlaced', data: { price: 3 } },
      { type: 'OrderPlaced', data: { price: 4 } },
    ],
    placed,
  )
  const newest = { total: 4, currency: 'EUR' }
  const orders = repository(
    log,
    {
      initialState: (): unknown => undefined,
      decide: (event: { type: string; data?: unknown }) => event,
      evolve: (_, { data }) => data,
    },
    { category: 'order', snapshots: { store: memorySnapshots(), version: 1, every: 1 } },
  )
  expect((await orders.load('1')).state).toEqual(newest)
  expect((await orders.load('1', { revision: 0 })).state).toMatchObject({ total: 3 })
  const datas = async (events: AsyncIterable<{ data: unknown }>): Promise<unknown[]> =>
    (await collect(events)).map(({ data }) => data)
  const both = [{ total: 3, currency: 'EUR' }, newest]
  expect(await datas(log.read({}, { backwards: true }))).toEqual(both.toReversed())
  expect(await datas(log.read({ types: ['OrderPlaced'] }))).toEqual(both)
  expect(await datas(orders.history('1'))).toEqual(both)
  expect(await datas(orders.audit('1'))).toEqual(both)
  expect(await datas((await orders.diff('1', { position: START })).events)).toEqual(both)
  for await (const { events } of log.follow()) {
    expect(events.map(({ data }) => data)).toEqual(both)
    break
  }
  const exported = (await collect(exportEvents(log))).map((line) => JSON.parse(line) as object)
  expect(exported).toMatchObject([{ data: both[0] }, { data: newest, banyanschemaversion: 3 }])
  const { file } = await archive(log, { stream: 'order-1', beforeRevision: 1 }, { directory: newDirectory() })
  const [line] = await collect(fileLines(file!))
  expect(JSON.parse(line!)).toMatchObject({ data: both[0] })
})

it('does not guess what a newer program has meant', async () => {
  const log = await logWith(
    [
      { type: 'OrderPlaced', data: { price: 3 } },
      { type: 'OrderPlaced', data: {}, schemaVersion: 4 },
    ],
    placed,
  )
  await expect(read(log)).rejects.toMatchObject({
    code: 'BANYAN_EVENT_NEWER',
    message: expect.stringContaining('order-1@1') as string,
  })
})

it('selects events by the type under which they are shown', async () => {
  const made = Array.from({ length: 20 }, (_, price) => ({ type: 'OrderMade', data: { price } }))
  const log = await logWith([{ type: 'OrderBegun', data: { price: 100 } }, { type: 'Other' }, ...made], {
    ...placed,
    OrderBegun: { 1: renamed('OrderMade') },
    OrderMade: { 1: renamed('OrderPlaced', (data: { price: number }) => ({ total: data.price }), 2) },
  })
  const totals = async (options?: ReadOptions): Promise<number[]> =>
    (
      await collect(log.read<{ type: string; data: { total: number } }>({ types: ['OrderPlaced'] }, options))
    ).map(({ data }) => data.total)
  expect(await totals()).toEqual([100, ...made.keys()])
  expect(await totals({ limit: 2 })).toEqual([100, 0])
  expect(await totals({ limit: 2, backwards: true })).toEqual([19, 18])
  for (const type of ['OrderMade', 'OrderBegun'])
    expect(await collect(log.read({ types: [type] }, { limit: 1 }))).toEqual([])
  for await (const { events, caughtUp } of log.follow({ types: ['OrderPlaced'] }, { batch: 100 })) {
    expect([events.length, caughtUp]).toEqual([21, true])
    break
  }
  const models = await openReadModels('memory:', log)
  const sums = projection<{ type: 'OrderPlaced'; data: { total: number } }, MemoryTables>({
    name: 'sums',
    version: 1,
    schemaVersions: { OrderPlaced: 3 },
    setup: ({ db, table }) => db.create(table('sum')),
    on: {
      OrderPlaced: ({ data }, { db, table }) => {
        const rows = db.table<number>(table('sum'))
        rows.set('all', (rows.get('all') ?? 0) + data.total)
      },
    },
  })
  await models.run(sums).caughtUp()
  expect(await models.query(sums, ({ db, table }) => db.table(table('sum')).get('all'))).toBe(290)
  await models.close()
})

it('shows nothing of other types before an event that it refuses', async () => {
  const log = await logWith(
    [{ type: 'OrderMade' }, { type: 'OrderPlaced' }, { type: 'OrderPlaced', schemaVersion: 9 }],
    { OrderMade: { 1: renamed('OrderBegun') }, OrderPlaced: { 1: (data: unknown) => data } },
  )
  const made = log.read({ types: ['OrderPlaced', 'OrderMade'] })
  const seen: string[] = []
  await expect(
    (async () => {
      for await (const { type } of made) seen.push(type)
    })(),
  ).rejects.toMatchObject({ code: 'BANYAN_EVENT_NEWER' })
  expect(seen).toEqual(['OrderPlaced'])
})

it('refuses steps that lead in a circle, and says which is missing', () => {
  expect(() => upcasters({ A: { 1: renamed('B') }, B: { 1: renamed('A') } })).toThrow(
    'the steps of A lead in a circle',
  )
  expect(() => upcasters({ A: { 1: () => ({}), 3: () => ({}) } })).toThrow('and none for 2')
})

it.each([
  ['throws', () => void JSON.parse('{'), /: Expected property name/],
  [
    'is asynchronous',
    () => Promise.reject(new Error('late')),
    /: it gave a Promise; steps must not be asynchronous$/,
  ],
  ['forgets to return', () => undefined, /: it gave nothing$/],
])('a step that %s is told with the event', async (_, step, why) => {
  const log = await logWith(
    [
      { type: 'OrderPaid', data: {} },
      { type: 'OrderPlaced', data: { price: 3 } },
    ],
    { OrderPlaced: { 1: step } },
  )
  const reading = read(log)
  await expect(reading).rejects.toMatchObject({ code: 'BANYAN_INVALID_EVENT' })
  await expect(reading).rejects.toThrow(why)
  await expect(reading).rejects.toThrow(
    /^the upcaster of OrderPlaced from version 1 does not take the event at position 0*2, order-1@1: /,
  )
})

it('an event without data may stay without', async () => {
  const log = await logWith([{ type: 'OrderClosed' }], { OrderClosed: { 1: (data: unknown) => data } })
  expect(await read(log)).toEqual([['OrderClosed', undefined, 2]])
})
