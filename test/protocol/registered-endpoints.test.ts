import { afterEach, expect, test } from 'vitest'
import { Gateway, type EndpointSource, type FoundEndpoint } from '../../src/traffic/gateway/index.js'
import { FleetMember, until } from '../support/fleet.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

/** A registry that the test plays: one set of endpoints for each name, unknown at first. */
class PlayedSource implements EndpointSource {
  readonly #found = new Map<string, readonly FoundEndpoint[]>()
  readonly #listeners = new Map<string, Set<() => void>>()

  set(service: string, ...endpoints: (string | FoundEndpoint)[]): void {
    const found = endpoints.map((each) =>
      typeof each === 'string' ? { url: each, weight: 1, zone: undefined } : each,
    )
    this.#found.set(service, found)
    for (const listener of this.#listeners.get(service) ?? []) listener()
  }

  /** Names that somebody follows. */
  get followed(): string[] {
    return [...this.#listeners].flatMap(([name, listeners]) => (listeners.size > 0 ? name : []))
  }

  follow({ service }: { service: string }, onChange: () => void) {
    const found = this.#found
    const listeners = this.#listeners.get(service) ?? new Set()
    this.#listeners.set(service, listeners.add(onChange))
    return {
      get endpoints() {
        return found.get(service)
      },
      state: () => ({ service, known: found.has(service), doubted: 0 }),
      close: () => void listeners.delete(onChange),
    }
  }
}

async function start(service: object) {
  const source = new PlayedSource()
  const routes = { all: { match: {}, to: 'orders' } }
  const gateway = await Gateway.open({ services: { orders: service }, routes }, { source })
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const ask = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status
  const names = (): string[] => gateway.state().services['orders']!.endpoints.map(({ url }) => url)
  const change = async (to: object): Promise<void> => {
    const prepared = await gateway.prepare({ services: { orders: to }, routes })
    prepared.commit()
  }
  return { source, gateway, ask, names, change }
}

test('registered endpoints take requests as they come, and none as they go', async () => {
  const [one, two] = [await FleetMember.open(), await FleetMember.open()]
  const { source, gateway, ask, names } = await start({ registry: 'shop-orders', balance: 'round-robin' })
  expect(gateway.waiting).toEqual(['orders'])
  expect(await ask()).toBe(503)
  source.set('shop-orders', one.url)
  expect(gateway.waiting).toEqual([])
  expect(await ask()).toBe(200)
  source.set('shop-orders', one.url, two.url)
  for (let each = 0; each < 4; each++) expect(await ask()).toBe(200)
  expect(two.requests).toBe(2)
  source.set('shop-orders', two.url)
  for (let each = 0; each < 4; each++) expect(await ask()).toBe(200)
  expect([one.requests, two.requests]).toEqual([3, 6])
  expect(names()).toEqual([two.url])
  source.set('shop-orders')
  expect(await ask()).toBe(503)
  expect(gateway.state().services['orders']!.registry).toEqual({
    service: 'shop-orders',
    known: true,
    doubted: 0,
  })
})

test('a request on an endpoint that goes is answered', async () => {
  const member = await FleetMember.open()
  let answer = (): void => undefined
  member.answer = (response) => (answer = () => response.end('late'))
  const { source, ask } = await start({ registry: 'orders' })
  source.set('orders', member.url)
  const asked = ask()
  await until(() => member.requests === 1)
  source.set('orders')
  answer()
  expect(await asked).toBe(200)
})

test('endpoints of the configuration are used while nobody is registered', async () => {
  const [fixed, registered] = [await FleetMember.open(), await FleetMember.open()]
  const { source, gateway, ask } = await start({ registry: 'orders', endpoints: [fixed.url] })
  expect(gateway.waiting).toEqual([])
  expect(await ask()).toBe(200)
  source.set('orders', registered.url)
  expect(await ask()).toBe(200)
  source.set('orders')
  expect(await ask()).toBe(200)
  expect([fixed.requests, registered.requests]).toEqual([2, 1])
})

test('weights and zones are followed, on the same connections', async () => {
  const [one, two] = [await FleetMember.open(), await FleetMember.open()]
  const { source, gateway, ask } = await start({ registry: 'orders' })
  const found = (url: string, weight: number) => ({ url, weight, zone: 'eu' })
  source.set('orders', found(one.url, 1), found(two.url, 0))
  for (let each = 0; each < 5; each++) await ask()
  expect([one.requests, two.requests]).toEqual([5, 0])
  source.set('orders', found(one.url, 0), found(two.url, 1))
  for (let each = 0; each < 5; each++) await ask()
  expect([one.requests, two.requests]).toEqual([5, 5])
  expect(gateway.state().services['orders']!.endpoints).toMatchObject([
    { url: one.url, weight: 0, zone: 'eu', requests: 5, connections: { opened: 1 } },
    { url: two.url, weight: 1, zone: 'eu' },
  ])
})

test('what comes and goes without end has few names: that of one that has gone is used again', async () => {
  const source = new PlayedSource()
  const gateway = await Gateway.open(
    {
      services: { orders: { registry: 'shop', policy: 'careful' } },
      policies: { careful: { breaker: {} } },
      routes: { all: { match: {}, to: 'orders' } },
    },
    { source },
  )
  open.push(gateway)
  source.set('shop', 'http://10.0.0.1', 'http://10.0.0.2')
  expect([...gateway.breakers.keys()]).toEqual(['orders shop #1', 'orders shop #2'])
  source.set('shop', 'http://10.0.0.2', 'http://10.0.0.3')
  expect([...gateway.breakers.keys()]).toEqual(['orders shop #2', 'orders shop #1'])
})

test('another name is followed with a change of the configuration, and the one before until it has answered', async () => {
  const [one, two] = [await FleetMember.open(), await FleetMember.open()]
  const { source, ask, change } = await start({ registry: 'orders' })
  source.set('orders', one.url)
  expect(await ask()).toBe(200)
  await change({ registry: { service: 'orders-v2' } })
  expect(source.followed).toEqual(['orders', 'orders-v2'])
  expect(await ask()).toBe(200)
  expect(one.requests).toBe(2)
  source.set('orders-v2', two.url)
  expect(await ask()).toBe(200)
  expect(two.requests).toBe(1)
  expect(source.followed).toEqual(['orders-v2'])
  await change({ endpoints: [one.url] })
  expect(await ask()).toBe(200)
  expect(one.requests).toBe(3)
  expect(source.followed).toEqual([])
})

test('a gateway that knows no registry refuses a service that is there', async () => {
  const spec = { services: { orders: { registry: 'orders' } }, routes: { all: { match: {}, to: 'orders' } } }
  await expect(Gateway.open(spec)).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
    message: 'services.orders.registry: there is no registry to look in',
  })
})

test('an endpoint that registers as well and fails is ejected as any other', async () => {
  const fleet = [await FleetMember.open(), await FleetMember.open(), await FleetMember.open()]
  fleet[1]!.fail()
  const { source, gateway, ask } = await start({
    registry: 'orders',
    balance: 'round-robin',
    outliers: { consecutiveErrors: 3 },
  })
  source.set('orders', ...fleet.map(({ url }) => url))
  while (gateway.state().services['orders']!.health.ejected === 0) await ask()
  const failed = fleet[1]!.requests
  for (let each = 0; each < 10; each++) expect(await ask()).toBe(200)
  expect(fleet[1]!.requests).toBe(failed)
})
