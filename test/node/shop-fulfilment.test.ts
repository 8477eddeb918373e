import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLog, type EventLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Shop } from '../support/shop.js'

/** Things that come by themselves, when payments have failed often enough. */
const soon = { timeout: 60_000, interval: 100 }

const place = async (shop: Shop, customer: string, sku = 'fig'): Promise<string> =>
  String((await shop.post(`/orders/${sku}?customer=${customer}`)).body['order'])

const sagaOf = async (shop: Shop, order: string): Promise<unknown> =>
  (await shop.ask(`/shop/fulfilment/${order}`)).body['saga']

const statusOf = async (shop: Shop, order: string): Promise<unknown> =>
  (await shop.ask(`/orders/${order}`)).body['status']

/** What was charged and given back for an order, in its order. */
const moneyOf = (shop: Shop, order: string): string[] =>
  shop
    .payments()
    .filter((entry) => entry.order === order)
    .map(({ what, amount }) => `${what} ${amount}`)

describe('orders of the example shop are fulfilled', () => {
  // Three calls of payments in ten fail, some of them after the card was charged, some without an answer.
  const shop = new Shop({ PACKING: '1500', FAILING: '0.3', FULL: '10', COPYING: '1' })

  beforeAll(() => shop.open(), 60_000)
  afterAll(async () => {
    await shop.close()
    shop.remove()
  })

  const freeOf = (sku: string): number => shop.inventory().stock.find((one) => one.sku === sku)!.free

  test('orders are completed, and each card is charged once', async () => {
    const free = freeOf('fig')
    const orders = await Promise.all(Array.from({ length: 12 }, () => place(shop, 'ada')))
    for (const order of orders) await expect.poll(() => sagaOf(shop, order), soon).toBe('completed')
    for (const order of orders) {
      expect(await statusOf(shop, order)).toBe('shipped')
      expect(moneyOf(shop, order)).toEqual(['charge 24'])
    }
    expect(freeOf('fig')).toBe(free - orders.length)
  }, 120_000)

  test('with so many orders there is a third file for them by itself', async () => {
    const buckets = async () =>
      ((await shop.ask('/history/')).body['files'] as { buckets: number }[]).map((file) => file.buckets)
    await expect.poll(buckets, soon).toEqual([21, 22, 21])
  })

  test('the inventory does once what comes twice, and reserves nothing for whom it has released', async () => {
    const free = freeOf('banyan')
    const ask = async (what: string, key: string) => {
      const headers = { 'X-Api-Key': 'shop-fulfilment-key', 'Idempotency-Key': key }
      const body = JSON.stringify({ order: 'twice', sku: 'banyan' })
      const { servedBy, ...said } = (await shop.ask(`/inventory/${what}`, { method: 'POST', headers, body }))
        .body
      expect(servedBy).toContain('inventory')
      return said
    }
    const reserved = { sku: 'banyan', free: free - 1, order: 'twice' }
    expect(await ask('reserve', 'twice/reserve')).toEqual(reserved)
    expect(await ask('reserve', 'twice/reserve')).toEqual(reserved)
    expect(freeOf('banyan')).toBe(free - 1)
    for (const key of ['twice/release', 'twice/release', 'twice/release/again']) await ask('release', key)
    expect(await ask('reserve', 'twice/too late')).toMatchObject({ status: 409 })
    expect(freeOf('banyan')).toBe(free)
  })

  test('a card is refused: the stock is released, and nothing is charged', async () => {
    const free = freeOf('banyan')
    const order = await place(shop, 'broke', 'banyan')
    await expect.poll(() => sagaOf(shop, order), soon).toBe('compensated')
    expect(await statusOf(shop, order)).toBe('closed')
    expect(freeOf('banyan')).toBe(free)
    expect(moneyOf(shop, order).filter((entry) => entry.startsWith('charge'))).toEqual([])
  }, 60_000)

  test('an order is cancelled while it is packed: the money is given back, and the stock released', async () => {
    const free = freeOf('root')
    const order = await place(shop, 'bob', 'root')
    await expect.poll(() => statusOf(shop, order), { ...soon, interval: 10 }).toBe('paid')
    expect((await shop.post(`/orders/${order}/cancel`)).status).toBe(200)
    await expect.poll(() => sagaOf(shop, order), soon).toBe('compensated')
    expect(moneyOf(shop, order)).toEqual(['charge 7', 'refund 7'])
    expect(freeOf('root')).toBe(free)
  }, 60_000)

  test('money that cannot be given back parks an order, until its operator has mended that, or has paid', async () => {
    const orders = [await place(shop, 'ghost'), await place(shop, 'ghost')] as const
    for (const order of orders) await expect.poll(() => sagaOf(shop, order), soon).toBe('parked')
    const listed = await shop.banyan('sagas', 'list', '--status', 'parked')
    for (const order of orders) expect(listed.stdout).toContain(`fulfilment/${order}`)
    const [mended, byHand] = orders
    const shown = await shop.banyan('sagas', 'show', `fulfilment/${mended}`)
    expect(shown.stdout).toContain('the account of ghost is closed, and takes no money back')
    const skipped = await shop.banyan('sagas', 'skip', `fulfilment/${byHand}`, '--yes')
    expect(skipped.code).toBe(0)
    await shop.put(4003, '/payments/accounts/ghost')
    expect(await shop.banyan('sagas', 'retry', `fulfilment/${mended}`)).toMatchObject({ code: 0 })
    for (const order of orders) await expect.poll(() => statusOf(shop, order), soon).toBe('closed')
    expect(moneyOf(shop, mended)).toEqual(['charge 24', 'refund 24'])
    expect(moneyOf(shop, byHand)).toEqual(['charge 24'])
  }, 60_000)

  test('the node is killed in the midst of orders: when it is back, all of them end', async () => {
    const free = freeOf('fig')
    const customers = Array.from({ length: 16 }, (_, index) => (index % 4 === 3 ? 'broke' : 'ada'))
    const placed = customers.map((customer) => place(shop, customer))
    const orders = await Promise.all(placed)
    // Some are charged, some not yet.
    await expect
      .poll(() => orders.filter((order) => moneyOf(shop, order).length > 0).length, soon)
      .toBeGreaterThan(3)
    shop.kill('first node')
    const node = await shop.startAgain('node')
    try {
      for (const [index, order] of orders.entries()) {
        const end = customers[index] === 'broke' ? 'closed' : 'shipped'
        await expect.poll(() => statusOf(shop, order).catch(() => 'no answer'), soon).toBe(end)
        const charges = moneyOf(shop, order).filter((entry) => entry.startsWith('charge'))
        expect(charges).toEqual(end === 'closed' ? [] : ['charge 24'])
      }
      expect(freeOf('fig')).toBe(free - customers.filter((customer) => customer !== 'broke').length)
      await expectTheLogToTellTheTables()
    } finally {
      node.kill('SIGTERM')
      await once(node, 'close')
    }
  }, 120_000)

  /** What the outbox has brought to the log is what the tables of the inventory hold. */
  async function expectTheLogToTellTheTables(): Promise<void> {
    const log = await openLog(`sqlite:${shop.data}`)
    try {
      await expect.poll(() => toldOf(log), soon).toEqual(shop.inventory())
    } finally {
      await log.close()
    }
  }
})

interface StockEvent {
  type: 'StockCounted' | 'StockReserved' | 'StockReleased'
  data: { sku: string; free: number; order: string }
}

/** The tables of the inventory, as its events tell them; each says by how much, and how many are left. */
async function toldOf(log: EventLog): Promise<ReturnType<Shop['inventory']>> {
  const free = new Map<string, number>()
  const reserved = new Map<string, string>()
  for await (const { type, data } of log.read<StockEvent>({ category: 'stock' })) {
    const by = { StockCounted: data.free - (free.get(data.sku) ?? 0), StockReserved: -1, StockReleased: 1 }
    free.set(data.sku, (free.get(data.sku) ?? 0) + by[type])
    expect(free.get(data.sku)).toBe(data.free)
    if (type === 'StockReserved') reserved.set(data.order, data.sku)
    if (type === 'StockReleased') reserved.delete(data.order)
  }
  return {
    stock: [...free].sort().map(([sku, count]) => ({ sku, free: count })),
    reserved: [...reserved].sort().map(([name, sku]) => ({ name, sku })),
  }
}

describe('the processes of the example shop', () => {
  test('a port that is taken is told in one line', async () => {
    const shop = new Shop()
    await shop.open()
    try {
      const refused = await shop.open().catch((error: unknown) => String(error))
      expect(refused).toMatch(/Ports 8080, .* are taken. If another shop is open/)
      expect(refused).not.toMatch(/^\s+at /m)
    } finally {
      await shop.close()
      shop.remove()
    }
  }, 60_000)

  test('all of them end when npm was killed', async () => {
    const shop = new Shop()
    // As a shell that npm runs it in, which knows nothing of it.
    await shop.open('sh', '-c', '"$@"; exit $?', 'npm')
    await shop.close('SIGKILL')
    await expect(fetch(shop.url)).rejects.toThrow()
    shop.remove()
  }, 60_000)
})

describe.skipIf(postgresMissing())('prices of an old system', () => {
  test('what is done to its table is seen in the catalogue, and charged', async () => {
    await using server = await PostgresServer.start()
    const database = await server.database()
    const shop = new Shop({ PACKING: '0', SHOP_POSTGRES: database })
    try {
      await shop.open()
      const item = async () => (await shop.ask('/catalog/fig')).body
      await expect.poll(item, soon).toMatchObject({ price: 24, supplier: 'Ficus & Sons' })
      await server.query(
        "UPDATE shop_price SET price = 31, supplier = 'Fig Ltd' WHERE sku = 'fig'",
        [],
        database,
      )
      await expect.poll(item, soon).toMatchObject({ price: 31, supplier: 'Fig Ltd' })
      const order = await place(shop, 'ada')
      await expect.poll(() => statusOf(shop, order), soon).toBe('shipped')
      expect(moneyOf(shop, order)).toEqual(['charge 31'])
    } finally {
      await shop.close()
      shop.remove()
    }
  }, 90_000)
})
