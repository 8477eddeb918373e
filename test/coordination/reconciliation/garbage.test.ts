import { expect, it } from 'vitest'
import {
  garbageCollector,
  openResources,
  type GarbageCollectorOptions,
  type OwnerReference,
  type Resource,
  type ResourceApi,
  type ResourceDefinition,
} from '../../../src/coordination/index.js'
import { KEYSPACE } from '../../../src/coordination/keyspace.js'
import { sleep, type Clock } from '../../../src/core/clock.js'
import { world } from '../../support/reachable.js'
import { intercepted, Price, Sale, Season } from './kinds.js'

const ALL = [Sale, Price, Season] as readonly ResourceDefinition[]

function setUp(kinds = ALL) {
  const { runtime, connect } = world()
  const { coordinator, engine } = connect()
  const api = openResources(coordinator)
  const collector = (options: GarbageCollectorOptions = {}, through = api) =>
    garbageCollector(through, kinds, { runtime, ...options })
  return { api, engine, coordinator, connect, collector, clock: runtime.clock }
}

const owner = (
  { apiVersion, kind, metadata }: Resource,
  more: Partial<OwnerReference> = {},
): OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  ...more,
})

const makeSale = (api: ResourceApi, name: string, more = {}) =>
  api.create(Sale, { metadata: { name, ...more }, spec: { items: [], discount: 1 } })

const makePrice = (api: ResourceApi, name: string, owners: readonly OwnerReference[], more = {}) =>
  api.create(Price, { metadata: { name, ownerReferences: owners, ...more }, spec: { discount: 1 } })

async function names(api: ResourceApi): Promise<string[]> {
  const lists = await Promise.all([api.list(Sale), api.list(Price), api.list(Season)])
  return lists.flatMap(({ items }) => items.map(({ metadata }) => metadata.name)).sort()
}

it('what belongs to nobody any more goes, with all that belongs to it', async () => {
  const { api, collector, clock } = setUp()
  const running = collector()
  const sale = await makeSale(api, 'sale')
  const price = await makePrice(api, 'price', [owner(sale)])
  await makePrice(api, 'part', [owner(price)])
  await makePrice(api, 'other', [])
  await clock.advance('1s')
  expect(await names(api)).toEqual(['other', 'part', 'price', 'sale'])
  await api.delete(Sale, { name: 'sale' })
  await clock.advance('1s')
  expect(await names(api)).toEqual(['other'])
  await running.close()
})

it('what went while nobody collected is found, and an owner is who has the uid', async () => {
  const { api, collector, clock } = setUp()
  const sale = await makeSale(api, 'sale')
  await makePrice(api, 'old', [owner(sale)])
  await api.delete(Sale, { name: 'sale' })
  const again = await makeSale(api, 'sale')
  await makePrice(api, 'new', [owner(again)])
  const running = collector()
  await clock.advance('1s')
  expect(await names(api)).toEqual(['new', 'sale'])
  await running.close()
})

it('who has an owner left stays, and the one that is gone is taken out', async () => {
  const { api, collector, clock } = setUp()
  const [one, two] = [await makeSale(api, 'one'), await makeSale(api, 'two')]
  await makePrice(api, 'price', [owner(one), owner(two)])
  const running = collector()
  await clock.advance('1s')
  await api.delete(Sale, { name: 'one' })
  await clock.advance('1s')
  const { metadata } = await api.get(Price, { name: 'price' })
  expect(metadata.ownerReferences).toEqual([owner(two)])
  await running.close()
})

it('in the foreground an owner waits for those that block it, however deep', async () => {
  const { api, collector, clock } = setUp()
  const block = { blockOwnerDeletion: true }
  const sale = await makeSale(api, 'sale')
  const price = await makePrice(api, 'price', [owner(sale, block)])
  const part = await makePrice(api, 'part', [owner(price, block)], { finalizers: ['shop.example/hold'] })
  await makePrice(api, 'free', [owner(sale)])
  const running = collector()
  await clock.advance('1s')
  await api.delete(Sale, { name: 'sale' }, { propagationPolicy: 'Foreground' })
  await clock.advance('1s')
  expect(await names(api)).toEqual(['part', 'price', 'sale'])
  const held = await api.get(Price, { name: 'part' })
  expect(held.metadata).toMatchObject({
    uid: part.metadata.uid,
    deletionTimestamp: expect.any(String) as string,
  })
  await api.update(Price, { ...held, metadata: { ...held.metadata, finalizers: [] } })
  await clock.advance('1s')
  expect(await names(api)).toEqual([])
  await running.close()
})

it('orphans stay, without their owner', async () => {
  const { api, collector, clock } = setUp()
  const sale = await makeSale(api, 'sale')
  await makePrice(api, 'price', [owner(sale)])
  const running = collector()
  await clock.advance('1s')
  // Not in the cache when the deletion is seen.
  const late = makePrice(api, 'late', [owner(sale)])
  await api.delete(Sale, { name: 'sale' }, { propagationPolicy: 'Orphan' })
  await late
  await clock.advance('1s')
  expect(await names(api)).toEqual(['late', 'price'])
  for (const name of ['late', 'price'])
    expect((await api.get(Price, { name })).metadata.ownerReferences).toBeUndefined()
  await running.close()
})

it('a circle is told, stays while nobody deletes one of it, and goes then, in the foreground too', async () => {
  for (const propagationPolicy of ['Background', 'Foreground'] as const) {
    const { api, collector, clock } = setUp()
    const block = { blockOwnerDeletion: true }
    const a = await makePrice(api, 'a', [])
    const b = await makePrice(api, 'b', [owner(a, block)])
    await api.update(Price, { ...a, metadata: { ...a.metadata, ownerReferences: [owner(b, block)] } })
    const running = collector()
    await clock.advance('1m')
    expect(await names(api)).toEqual(['a', 'b'])
    expect(running.problems).toMatchObject([
      { name: 'a', reason: 'OwnerCycle', message: 'it belongs to itself, by the Price default/b' },
      { name: 'b', reason: 'OwnerCycle' },
    ])
    await api.delete(Price, { name: 'a' }, { propagationPolicy })
    await clock.advance('1m')
    expect(await names(api)).toEqual([])
    expect(running.problems).toEqual([])
    await running.close()
  }
})

it('an owner in another namespace, or of a kind that nobody knows, is told and never taken for gone', async () => {
  const { api, collector, clock } = setUp()
  const elsewhere = await makeSale(api, 'sale', { namespace: 'other' })
  const season = await api.create(Season, { metadata: { name: 'summer' }, spec: { factor: 1 } })
  await makePrice(api, 'a', [owner(elsewhere)])
  await makePrice(api, 'b', [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'd', uid: 'u' }])
  await makePrice(api, 'c', [owner(season)])
  await api.create(Season, {
    metadata: { name: 'd', ownerReferences: [owner(elsewhere)] },
    spec: { factor: 1 },
  })
  const running = collector()
  await clock.advance('1m')
  expect(await names(api)).toEqual(['a', 'b', 'c', 'd', 'sale', 'summer'])
  expect(running.problems.map(({ name, reason }) => `${name} ${reason}`).sort()).toEqual([
    'a OwnerElsewhere',
    'b UnknownOwner',
    'd OwnerElsewhere',
  ])
  await api.delete(Season, { name: 'summer' })
  await clock.advance('1m')
  expect(await names(api)).not.toContain('c')
  await running.close()
})

/** The same, in whose caches owners are long not there. */
const withLateSales = (api: ResourceApi, clock: Clock): ResourceApi =>
  intercepted(api, {
    async *watch(kind, options) {
      for await (const event of api.watch(kind, options)) {
        if ((kind as ResourceDefinition) === Sale) await sleep(clock, 60_000)
        yield event
      }
    },
  })

it('what another resource says of an owner where it is not makes nobody lose it', async () => {
  const { api, collector, clock } = setUp()
  const running = collector({}, withLateSales(api, clock))
  await clock.advance('1s')
  const sale = await makeSale(api, 'sale')
  await makePrice(api, 'wrong', [owner(sale, { name: 'nobody' })])
  await clock.advance('1s')
  await makePrice(api, 'right', [owner(sale)])
  await clock.advance('1s')
  expect(await names(api)).toEqual(['right', 'sale'])
  await clock.settle(running.close())
})

it('nothing is remembered of an owner that is back, as its creation has arrived twice', async () => {
  const { api, collector, clock, coordinator } = setUp()
  const running = collector({}, withLateSales(api, clock))
  await clock.advance('1s')
  const sale = await makeSale(api, 'sale')
  const key = `${KEYSPACE.resources}shop.example/sales/default/sale`
  const { value } = (await coordinator.get(key))!
  await api.delete(Sale, { name: 'sale' })
  await makePrice(api, 'old', [owner(sale)])
  await clock.advance('1s')
  expect(await names(api)).toEqual([])
  await coordinator.put(key, value)
  await makePrice(api, 'new', [owner(sale)])
  await clock.advance('1s')
  expect(await names(api)).toEqual(['new', 'sale'])
  await clock.settle(running.close())
})

it('an empty list of owners is none, whoever sends it', async () => {
  const { api, collector, clock } = setUp()
  const withEmpty = <Each extends Resource>(each: Each): Each => ({
    ...each,
    metadata: { ...each.metadata, ownerReferences: [] },
  })
  const through = intercepted(api, {
    get: async (kind, name) => withEmpty(await api.get(kind, name)),
    list: async (kind, options) => {
      const list = await api.list(kind, options)
      return { ...list, items: list.items.map(withEmpty) }
    },
  })
  await makePrice(api, 'price', [])
  const running = collector({}, through)
  await clock.advance('1s')
  expect(await names(api)).toEqual(['price'])
  await running.close()
})

it('nothing goes while nobody can say whether its owner is there, or if it was given another one meanwhile', async () => {
  const { api, collector, clock } = setUp()
  let isAway = true
  let meanwhile: (() => Promise<unknown>) | undefined
  const doubtful = intercepted(api, {
    get: async (kind, name) => {
      if ((kind as ResourceDefinition) === Sale && isAway) throw new Error('no answer')
      const found = await api.get(kind, name)
      return found
    },
    delete: async (kind, name, options) => {
      await meanwhile?.()
      return api.delete(kind, name, options)
    },
  })
  const [sale, other] = [await makeSale(api, 'sale'), await makeSale(api, 'other')]
  const price = await makePrice(api, 'price', [owner(sale)])
  const running = collector({}, doubtful)
  await clock.advance('1s')
  await api.delete(Sale, { name: 'sale' })
  await clock.advance('10s')
  expect(await names(api)).toContain('price')
  meanwhile = () => {
    meanwhile = undefined
    return api.update(Price, {
      ...price,
      metadata: { ...price.metadata, ownerReferences: [owner(sale), owner(other)] },
    })
  }
  isAway = false
  await clock.advance('1m')
  expect((await api.get(Price, { name: 'price' })).metadata.ownerReferences).toEqual([owner(other)])
  await running.close()
})

it('what waits for finalizers for long is told, also by a condition', async () => {
  const { api, collector, clock } = setUp()
  await makeSale(api, 'sale', { finalizers: ['shop.example/nobody'] })
  await api.delete(Sale, { name: 'sale' })
  const running = collector({ stuckAfter: '10m' })
  await clock.advance('9m')
  expect(running.problems).toEqual([])
  await clock.advance('2m')
  expect(running.problems).toMatchObject([
    { resource: 'sales.shop.example', namespace: 'default', name: 'sale', reason: 'FinalizersRemain' },
  ])
  const stuck = await api.get(Sale, { name: 'sale' })
  expect(stuck.status?.conditions).toMatchObject([{ type: 'DeletionBlocked', status: 'True' }])
  await clock.advance('1h')
  expect(await api.get(Sale, { name: 'sale' })).toEqual(stuck)
  await api.update(Sale, { ...stuck, metadata: { ...stuck.metadata, finalizers: [] } })
  await clock.advance('1s')
  expect(running.problems).toEqual([])
  await running.close()
})

it('of many collectors one works, and another one goes on', async () => {
  const { connect, clock, api } = setUp()
  const all = ['one', 'two'].map((holder) => {
    const { coordinator, engine } = connect()
    const through = openResources(coordinator)
    return {
      engine,
      running: garbageCollector(through, ALL, {
        election: { coordinator, holder },
        runtime: coordinator.runtime,
      }),
    }
  })
  await clock.advance('5s')
  const first = all.find(({ running }) => running.state === 'working')!
  const second = all.find((each) => each !== first)!
  expect(second.running.state).toBe('standby')
  const sale = await makeSale(api, 'sale')
  await makePrice(api, 'price', [owner(sale)])
  first.engine.reach = 'away'
  await api.delete(Sale, { name: 'sale' })
  await clock.advance('1m')
  expect(await names(api)).toEqual([])
  expect(second.running.state).toBe('working')
  first.engine.reach = 'there'
  for (const { running } of all) await clock.settle(running.close())
})
