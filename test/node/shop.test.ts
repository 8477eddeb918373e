import { once } from 'node:events'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCoordinator, readJob, triggerJob } from '../../src/coordination/index.js'
import { run } from '../support/cli.js'
import { Shop } from '../support/shop.js'

/** Long enough to think better of an order, in ms. */
const shop = new Shop({ PACKING: '3000', DAY: '300', FULL: '1000', COPYING: '0.5', MOVE_KEPT: '300' })

beforeAll(() => shop.open(), 60_000)
afterAll(async () => {
  await shop.close()
  shop.remove()
})

/** Things that come by themselves, soon. */
const soon = { timeout: 20_000, interval: 50 }

const place = async (sku: string, customer: string) => {
  const { headers, body } = await shop.post(`/orders/${sku}?customer=${customer}`)
  return { order: String(body['order']), position: headers.get('Log-Position')! }
}

const statusOf = async (order: string): Promise<unknown> =>
  (await shop.ask(`/orders/${order}`)).body['status']

const catalogueAt = async (position: string): Promise<Record<string, { ordered: number; paid: number }>> => {
  const { body } = await shop.ask('/catalog/', { headers: { 'Log-Position': position } })
  const items = body['items'] as { sku: string; ordered: number; paid: number }[]
  return Object.fromEntries(items.map((item) => [item.sku, item]))
}

const told = async (): Promise<string[]> => {
  const { body } = await shop.ask('/notifications/')
  const list = body['notifications'] as { to: string; text: string }[]
  return list.map(({ to, text }) => `${to}: ${text}`).reverse()
}

const parked = async (): Promise<{ key: string; reason: string; heldBack: { count: number } }[]> => {
  const { body } = await shop.ask('/shop/notifications')
  return (
    body['lanes'] as { state: string; key: string; reason: string; heldBack: { count: number } }[]
  ).filter(({ state }) => state === 'parked')
}

interface Leader {
  holder: string
  token: number
}

const reports = async () =>
  (await shop.ask('/reports/')).body as {
    leader?: Leader
    reports: { ordered: number; token: number; pid: number }[]
  }

interface History {
  ordered: number
  found: number
  files: { file: string; buckets: number; orders: number }[]
  moves: { step: string }[]
  isMoving: boolean
}

/** Where orders are; at whatever moment one looks, each is in one file. */
const history = async () => {
  const body = (await shop.ask('/history/')).body as unknown as History
  expect(body.found).toBe(body.ordered)
  return body
}

const filesOf = ({ files }: History): string[] => files.map(({ file, buckets }) => `${file} ${buckets}`)

const atLeast = (least: number) => expect.toSatisfy((count: number) => count >= least) as number

const pidOf = ({ holder }: Leader): number => Number(holder.split(':').at(-1))

describe('the example shop', () => {
  test('an order is placed once, and the catalogue shows it to whoever has placed it', async () => {
    const before = await catalogueAt('0')
    const { order, position } = await place('banyan', 'ada')
    expect((await catalogueAt(position))['banyan']!.ordered).toBe(before['banyan']!.ordered + 1)

    const twice = { method: 'POST', headers: { 'Idempotency-Key': 'request-1' } }
    const [first, second] = [await shop.ask('/orders/fig', twice), await shop.ask('/orders/fig', twice)]
    expect(second.body['order']).toBe(first.body['order'])
    expect(first.body['order']).not.toBe(order)
  })

  test('an order is paid and shipped, which cannot be undone; it can be seen as it was', async () => {
    const { order } = await place('root', 'ada')
    await expect.poll(() => statusOf(order), soon).toBe('shipped')
    expect((await shop.post(`/orders/${order}/undo`)).status).toBe(409)
    expect((await shop.ask(`/orders/${order}?revision=0`)).body).toMatchObject({
      status: 'placed',
      customer: 'ada',
    })
    const { body } = await shop.ask(`/orders/${order}/audit`)
    expect(body['audit']).toMatchObject([
      { type: 'OrderPlaced', actor: 'ada' },
      { type: 'OrderPaid', actor: 'fulfilment' },
      { type: 'OrderShipped', actor: 'shipping', changes: [{ path: '/status' }, { path: '/parcel' }] },
    ])
  })

  test('the last command is undone and done again, and the catalogue follows', async () => {
    const { order } = await place('banyan', 'bob')
    await expect.poll(() => statusOf(order), soon).toBe('paid')
    const { headers } = await shop.post(`/orders/${order}/cancel`)
    const cancelled = await catalogueAt(headers.get('Log-Position')!)
    const undone = await shop.post(`/orders/${order}/undo`)
    expect(undone.body['status']).toBe('paid')
    const { ordered } = (await catalogueAt(undone.headers.get('Log-Position')!))['banyan']!
    expect(ordered).toBe(cancelled['banyan']!.ordered + 1)
    expect((await shop.post(`/orders/${order}/redo`)).body['status']).toBe('cancelled')
    // Whoever fulfils it finds out, and gives it up for good.
    await expect.poll(() => statusOf(order), soon).toBe('closed')
    expect((await shop.post(`/orders/${order}/undo`)).status).toBe(409)
  })

  test('an order can be looked back at from the command line, with its decider', async () => {
    const { order } = await place('fig', 'ada')
    await expect.poll(() => statusOf(order), soon).toBe('paid')
    const back = ['time-travel', `order-${order}`, '--at-revision', '0', '-d', shop.decider, '--json']
    const { stdout } = await shop.banyan('streams', ...back)
    expect(JSON.parse(stdout)).toMatchObject({ state: { status: 'placed', sku: 'fig', customer: 'ada' } })
  })

  test('customers neither pay nor ship, and touch neither stock nor money', async () => {
    const { order } = await place('fig', 'ada')
    const paths = ['pay', 'ship', 'close'].map((what) => `/orders/${order}/${what}`)
    for (const path of [...paths, '/payments/refund', '/inventory/reserve', '/shipping/parcels'])
      expect((await shop.post(path)).status).toBe(401)
  })

  test('customers are told; what cannot be delivered is parked, alone, until it is redriven', async () => {
    const { order: lost } = await place('fig', 'nobody')
    await shop.post(`/orders/${lost}/cancel?customer=nobody`)
    await expect
      .poll(parked, soon)
      .toMatchObject([{ key: `order-${lost}`, reason: 'answered with 422: nobody knows where nobody lives' }])
    const { order } = await place('fig', 'bob')
    await expect.poll(told, soon).toContain(`bob: fig: order placed (order-${order})`)

    // What its operators see, and do.
    const shown = await shop.banyan('subscriptions', 'show', 'notifications')
    expect(shown.stdout).toMatch(new RegExp(`order-${lost} +parked .*nobody knows where nobody lives`))
    await shop.put(4006, '/notifications/addresses/nobody')
    expect(await shop.banyan('subscriptions', 'redrive', 'notifications', '--all')).toMatchObject({ code: 0 })
    await expect
      .poll(told, soon)
      .toEqual(
        expect.arrayContaining([
          `nobody: fig: order placed (order-${lost})`,
          `nobody: fig: order cancelled (order-${lost})`,
        ]),
      )
    expect(await parked()).toEqual([])
  })

  test('the page lets nobody be found, and what was parked go on', async () => {
    await shop.close()
    await shop.open()
    const { order } = await place('fig', 'nobody')
    await expect.poll(parked, soon).toMatchObject([{ key: `order-${order}` }])
    expect((await shop.post('/shop/mend')).body['redriven']).toEqual([`order-${order}`])
    await expect.poll(told, soon).toContain(`nobody: fig: order placed (order-${order})`)
  })

  test('the page is there', async () => {
    const page = await fetch(shop.url)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('The banyan shop')])
    expect((await shop.ask('/shop/live')).body).toMatchObject({ services: { orders: {} } })
  })

  test('who writes the report is killed: the other one does, and the log refuses what comes late', async () => {
    const first = (await reports()).leader!
    const lastReport = async () => (await reports()).reports[0]
    await expect.poll(lastReport, soon).toMatchObject({ token: first.token })
    const { ordered } = (await lastReport())!
    process.kill(pidOf(first), 'SIGKILL')
    await expect.poll(async () => (await reports()).leader?.token, soon).toBeGreaterThan(first.token)
    const second = (await reports()).leader!
    expect(pidOf(second)).not.toBe(pidOf(first))
    await place('fig', 'ada')
    await expect
      .poll(lastReport, soon)
      .toMatchObject({ token: second.token, pid: pidOf(second), ordered: atLeast(ordered + 1) })
    const late = await shop.post('/reports/late')
    expect([late.status, late.body['detail']]).toEqual([
      409,
      expect.stringContaining(`token ${first.token} of the fence "nightly-report" is stale`),
    ])
  }, 60_000)

  test('one more process registers itself and takes its turn; when it leaves nobody notices', async () => {
    const more = await shop.startAgain('reports', '4011')
    const servedBy = async () => {
      const { status, body } = await shop.ask('/reports/')
      return status === 200 ? String(body['servedBy']) : status
    }
    await expect.poll(servedBy, soon).toContain('reports on 4011')
    const over = new AbortController()
    more.once('close', () => over.abort())
    more.kill('SIGTERM')
    while (!over.signal.aborted) expect(await servedBy()).toContain('reports on')
    for (let count = 0; count < 10; count++) expect(await servedBy()).not.toContain('4011')
  })

  test('a job of the shop is run by one of its processes', async () => {
    await using coordinator = await openCoordinator(`sqlite:${shop.data}`)
    await triggerJob(coordinator, 'old-reports', { by: 'ann' })
    const last = async () => (await readJob(coordinator, 'old-reports')).history.find(({ asked }) => asked)
    await expect.poll(last, soon).toMatchObject({ outcome: 'succeeded' })
  })

  test('everything goes on after a kill of all of it, where it was', async () => {
    const { order, position } = await place('root', 'ada')
    const before = await catalogueAt(position)
    const services = ['catalog', 'payments', 'orders', 'shipping', 'notifications', 'inventory']
    const leader = (await reports()).leader!
    for (const name of services) shop.kill(name)
    process.kill(pidOf(leader), 'SIGKILL')
    await shop.close('SIGKILL')
    await shop.open()
    // The process that made the read model is gone; soon another one is sure of it.
    await expect
      .poll(() => catalogueAt(position).catch(() => undefined), soon)
      .toMatchObject({ root: { ordered: before['root']!.ordered } })
    await expect.poll(() => statusOf(order), soon).toBe('shipped')
    await expect.poll(told, soon).toContain(`ada: root: order shipped (order-${order})`)
    await expect.poll(async () => (await reports()).leader?.token, soon).toBeGreaterThan(leader.token)
  }, 60_000)

  test('a third file comes and goes while orders are placed; no order is lost or twice there', async () => {
    expect(filesOf(await history())).toEqual(['a 32', 'b 32'])
    const visitors = Array.from({ length: 24 }, (_, index) => `visitor-${index}`)
    const waiting = [...visitors]
    const steps = new Set<string>()
    /** Looks, and orders something each time, until nothing moves. */
    const resize = async (files: number): Promise<History> => {
      expect((await shop.post(`/shop/files/${files}`)).body).toMatchObject({ files })
      expect(await shop.post('/shop/files/3')).toMatchObject({ status: 409 })
      for (;;) {
        const visitor = waiting.pop()
        const [now] = await Promise.all([history(), visitor && place('fig', visitor)])
        for (const { step } of now.moves) steps.add(step)
        if (!now.isMoving) return now
      }
    }
    for (const visitor of waiting.splice(0, 12)) await place('fig', visitor)
    expect(filesOf(await resize(3))).toEqual(['a 21', 'b 22', 'c 21'])
    expect(steps).toContain('switched')
    expect(shop.orderFiles('a', 'b', 'c').every((file) => file.length > 0)).toBe(true)

    expect(filesOf(await resize(2))).toEqual(['a 32', 'b 32', 'c 0'])
    for (const visitor of waiting.splice(0)) await place('fig', visitor)
    const { ordered } = await history()
    const [a = [], b = [], c] = shop.orderFiles('a', 'b', 'c')
    expect([new Set([...a, ...b]).size, a.length + b.length, c]).toEqual([ordered, ordered, []])
    for (const visitor of visitors)
      expect((await shop.ask(`/history/${visitor}`)).body['orders']).toHaveLength(1)
  }, 60_000)

  /** What the second node serves of resources. */
  const resources = (...command: string[]) =>
    run(...command, '--admin', shop.url.replace('8080', '8083')).then(({ stdout }) => stdout)
  const takeTagOff = () => fetch(`${shop.url.replace('8080', '4001')}/catalog/fig/tag`, { method: 'DELETE' })
  const figCosts = async () => (await shop.look(4001, '/catalog/fig'))['price']

  test('a promotion is kept, also if somebody takes its tag off', async () => {
    const summer = join(import.meta.dirname, '../../examples/shop/summer.yaml')
    expect(await resources('apply', '-f', summer)).toBe('promotion.shop.example/summer created\n')
    await expect.poll(figCosts, soon).toBe(18)
    expect(await (await takeTagOff()).json()).toMatchObject({ price: 24 })
    await expect.poll(figCosts, soon).toBe(18)
    const { body } = await shop.ask('/catalog/fig')
    expect(body).toMatchObject({ price: 18, before: 24, promotion: 'summer' })
  }, 60_000)

  test('both nodes tell the same; each is killed, and the other one goes on with what it has', async () => {
    const tell = (admin: number) =>
      Promise.all(['elections', 'jobs', 'registry'].map((what) => shop.look(admin, `/api/${what}`)))
    const nodes = async () => {
      const { instances } = await shop.look(8083, '/api/registry/nodes')
      return (instances as { id: string; state: string }[]).map(({ id, state }) => `${id} ${state}`)
    }
    await expect.poll(nodes, soon).toEqual(['first passing', 'second passing'])
    // Between the two looks something may happen.
    await expect.poll(async () => isDeepStrictEqual(await tell(8081), await tell(8083)), soon).toBe(true)

    const { order } = await place('root', 'ada')
    shop.kill('first node')
    await expect.poll(() => fetch(shop.url).catch(() => 'gone'), soon).toBe('gone')
    expect((await shop.look(8082, '/reports/'))['leader']).toMatchObject({ token: atLeast(1) })
    await expect.poll(nodes, soon).toEqual(['second passing'])
    // Whichever node has priced, this one does now.
    await takeTagOff()
    await expect.poll(figCosts, soon).toBe(18)
    expect(await resources('delete', 'promotion', 'summer')).toBe('promotion.shop.example/summer deleted\n')
    await expect.poll(figCosts, soon).toBe(24)
    const node = await shop.startAgain('node', '8080')
    try {
      shop.kill('second node')
      expect((await shop.ask(`/orders/${order}?revision=999`)).status).toBe(404)
      await expect.poll(() => statusOf(order), soon).toBe('shipped')
      await expect.poll(told, soon).toContain(`ada: root: order shipped (order-${order})`)
    } finally {
      node.kill('SIGTERM')
      await once(node, 'close')
    }
  }, 60_000)
})
