import { afterEach, expect, it } from 'vitest'
import { openLog, type EventLog } from '../index.js'
import { renamed, upcasters } from './index.js'

const open: EventLog[] = []
afterEach(async () => {
  for (const log of open.splice(0)) await log.close()
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
    OrderMade: { 1: (data: unknown) => renamed('OrderPlaced', data) },
  })
  expect(await read(log)).toEqual([['OrderPlaced', { total: 3, currency: 'EUR' }, 3]])
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

it('says where upcasters lead in a circle, and which step is missing', async () => {
  const log = await logWith([{ type: 'A', data: {} }], {
    A: { 1: (data: unknown) => renamed('B', data) },
    B: { 1: (data: unknown) => renamed('A', data) },
  })
  await expect(read(log)).rejects.toThrow('lead in a circle, for order-1@0')
  expect(() => upcasters({ A: { 1: () => ({}), 3: () => ({}) } })).toThrow('and none for 2')
})
