import { describe, expect, it } from 'vitest'
import { openResources, type ResourceApi, type ResourceEvent } from '../../../src/coordination/index.js'
import { KEYSPACE } from '../../../src/coordination/keyspace.js'
import { world } from '../../support/reachable.js'
import { Promotion } from './promotion.js'

function setUp(options = {}) {
  const { runtime, store, connect } = world()
  const { coordinator, engine } = connect()
  return { runtime, store, engine, coordinator, api: openResources(coordinator, options), connect }
}

async function create(api: ResourceApi, ...names: string[]): Promise<void> {
  for (const name of names) await api.create(Promotion, { metadata: { name }, spec: { discount: 1 } })
}

describe('watches of resources', () => {
  it('that are too slow are told so, and hold nobody up', async () => {
    const { api } = setUp({ window: 3 })
    const slow = api.watch(Promotion)[Symbol.asyncIterator]()
    const quick = api.watch(Promotion)[Symbol.asyncIterator]()
    const first = [slow.next(), quick.next()]
    await create(api, 'a')
    await Promise.all(first)
    for (const name of ['b', 'c', 'd', 'e', 'f']) {
      await create(api, name)
      expect((await quick.next()).value).toMatchObject({ type: 'ADDED', object: { metadata: { name } } })
    }
    await expect(slow.next()).rejects.toMatchObject({ reason: 'Expired', status: 410 })
    await api.close()
  })

  it('are told to list again when the engine has forgotten what comes next', async () => {
    const { api, engine, store, runtime, connect } = setUp()
    await create(api, 'a')
    const watch = api.watch(Promotion)[Symbol.asyncIterator]()
    await watch.next()
    engine.reach = 'away'
    await create(openResources(connect().coordinator), 'b')
    store.compact()
    const next = watch.next()
    next.catch(() => undefined)
    engine.reach = 'there'
    await runtime.clock.advance('10s')
    await expect(next).rejects.toMatchObject({ reason: 'Expired' })
    const { items } = await api.list(Promotion, { resourceVersion: '0' })
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b'])
    await api.close()
  })

  it('share one watch of the engine', async () => {
    const { api, engine } = setUp()
    await create(api, 'a')
    await api.list(Promotion, { resourceVersion: '0' })
    const before = engine.asked.list
    for (let count = 0; count < 10; count++) {
      const watch = api.watch(Promotion, { resourceVersion: '0' })[Symbol.asyncIterator]()
      await watch.next()
      await watch.return?.()
    }
    expect(engine.asked.list).toBe(before)
    await api.close()
  })

  it('hear from time to time how far everything was told, if they ask for it', async () => {
    const { api, runtime } = setUp({ bookmarkEvery: '10s' })
    await create(api, 'a')
    const { metadata } = await api.list(Promotion)
    const { resourceVersion } = metadata
    const watch = api.watch(Promotion, { resourceVersion, allowWatchBookmarks: true })[Symbol.asyncIterator]()
    const told: ResourceEvent[] = []
    void watch.next().then(({ value }) => told.push(value as ResourceEvent))
    await runtime.clock.advance('7s')
    expect(told).toEqual([])
    await runtime.clock.advance('3s')
    expect(told).toEqual([
      {
        type: 'BOOKMARK',
        object: { apiVersion: 'shop.example/v1', kind: 'Promotion', metadata: { resourceVersion } },
      },
    ])
    await api.close()
  })
})

describe('resources that cannot be read', () => {
  it('hide no others', async () => {
    const { api, coordinator } = setUp()
    await create(api, 'a')
    await coordinator.put(`${KEYSPACE.resources}shop.example/promotions/default/b`, 'nonsense')
    await expect(api.get(Promotion, { name: 'b' })).rejects.toMatchObject({
      code: 'BANYAN_COORDINATOR_CORRUPT',
    })
    for (const resourceVersion of [{}, { resourceVersion: '0' }])
      expect((await api.list(Promotion, resourceVersion)).items).toHaveLength(1)
    await api.close()
  })
})
