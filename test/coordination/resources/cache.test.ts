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

describe('lists of resources', () => {
  const many = 600

  /** Resources of which there are many, and how many entries are read from the engine when more than one is. */
  async function setUpMany() {
    const { coordinator, connect, runtime } = setUp()
    const api = openResources(coordinator)
    await create(api, 'first')
    const { value } = (await coordinator.get(`${KEYSPACE.resources}shop.example/promotions/default/first`))!
    for (let number = 1; number < many; number++) {
      const name = `promotion-${number}`
      const key = `${KEYSPACE.resources}shop.example/promotions/default/${name}`
      await coordinator.put(key, value.replace('"first"', `"${name}"`))
    }
    const asked = { entries: 0 }
    const list = coordinator.list.bind(coordinator)
    coordinator.list = async (prefix) => {
      const listing = await list(prefix)
      if (listing.entries.length > 1) asked.entries += listing.entries.length
      return listing
    }
    const ofAnother = openResources(connect().coordinator)
    return { api, coordinator, runtime, asked, ofAnother }
  }

  it('are read from the engine once if they are long, and are new all the same', async () => {
    const { api, coordinator, asked, ofAnother } = await setUpMany()
    for (const name of ['a', 'b', 'c']) {
      await create(ofAnother, name)
      // Of this the cache of promotions hears nothing.
      await coordinator.put('other', name)
      const { items, metadata } = await api.list(Promotion, { limit: 3 })
      expect(items.map((each) => each.metadata.name)).toContain(name)
      expect(Number(metadata.resourceVersion)).toBeGreaterThanOrEqual(
        Number(items.find((each) => each.metadata.name === name)!.metadata.resourceVersion),
      )
    }
    expect(asked.entries).toBe(many + 1)
    await api.close()
  })

  it('are read from the engine if what has changed does not come', async () => {
    const { coordinator, runtime, asked, ofAnother } = await setUpMany()
    coordinator.watch = async function* (_, { signal } = {}) {
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))
      yield* []
    }
    const api = openResources(coordinator)
    await api.list(Promotion, { resourceVersion: '0' })
    await create(ofAnother, 'a')
    const listed = api.list(Promotion, { limit: 1 })
    await runtime.clock.advance('10s')
    expect((await listed).items).toMatchObject([{ metadata: { name: 'a' } }])
    // Twice; the second time also the new one, and the mark that was waited for.
    expect(asked.entries).toBe(many + many + 2)
    await api.close()
  })

  it('fail as everything does while the engine is away, also before they were read for the first time', async () => {
    const { api, engine, runtime } = setUp()
    engine.reach = 'away'
    const unavailable = expect.objectContaining({ code: 'BANYAN_COORDINATOR_UNAVAILABLE' }) as object
    const failed: unknown[] = []
    for (const options of [{}, { resourceVersion: '0' }])
      void api.list(Promotion, options).catch((error: unknown) => failed.push(error))
    const watch = api.watch(Promotion)[Symbol.asyncIterator]()
    void watch.next().catch((error: unknown) => failed.push(error))
    await runtime.clock.advance('10s')
    expect(failed).toEqual([unavailable, unavailable, unavailable])
    engine.reach = 'there'
    await runtime.clock.advance('10s')
    expect((await api.list(Promotion)).items).toEqual([])
    await api.close()
  })
})
