import { describe, expect, it } from 'vitest'
import {
  informer,
  informers,
  openResources,
  type CacheChange,
  type InformerOptions,
  type Resource,
} from '../../../src/coordination/index.js'
import { world } from '../../support/reachable.js'
import { intercepted, Price } from './kinds.js'

function setUp() {
  const { runtime, store, connect } = world()
  const { coordinator, engine } = connect()
  const api = openResources(coordinator)
  const other = openResources(connect().coordinator)
  const open = (options: InformerOptions = {}) => informer(api, Price, { runtime, ...options })
  return { runtime, store, engine, api, other, open }
}

const price = (name: string, discount = 1, more = {}) => ({
  metadata: { name, ...more },
  spec: { discount },
})

/** What it hears, in short: `added a 1`. */
function heard(cache: {
  on: (event: 'change', listener: (change: CacheChange) => void) => unknown
}): string[] {
  const changes: string[] = []
  cache.on('change', ({ type, key, before, after, initial }) => {
    const discount = (each?: Resource) => (each?.spec as { discount: number } | undefined)?.discount
    const told = [type, key.replace('default/', ''), discount(before), discount(after), initial && 'initial']
    changes.push(told.filter((part) => part !== undefined && part !== false).join(' '))
  })
  return changes
}

describe('an informer', () => {
  it('has what there is, and then what happens', async () => {
    const { api, open, runtime } = setUp()
    await api.create(Price, price('a'))
    const cache = open()
    const changes = heard(cache)
    await cache.synced()
    expect(changes).toEqual(['added a 1 initial'])
    const b = await api.create(Price, price('b'))
    await api.update(Price, { ...b, spec: { discount: 2 } })
    await api.delete(Price, { name: 'a' })
    await runtime.clock.advance(0)
    expect(changes.slice(1)).toEqual(['added b 1', 'changed b 1 2', 'deleted a 1'])
    expect(cache.list().map(({ metadata }) => metadata.name)).toEqual(['b'])
    expect(cache.get({ name: 'b' })).toBe(cache.get('default/b'))
    expect([cache.size, cache.get({ name: 'a' })]).toEqual([1, undefined])
    expect(Object.isFrozen(cache.get({ name: 'b' })!.spec)).toBe(true)
    await cache.close()
    expect(cache.state.kind).toBe('closed')
  })

  it('finds by what a function makes of resources, whenever it is asked first', async () => {
    const { api, open, runtime } = setUp()
    const byTier = (each: Resource) => each.metadata.labels?.['tier']?.split('.')
    const labelled = (tier: string) => ({ labels: { tier } })
    await api.create(Price, price('a', 1, labelled('web')))
    const cache = open()
    await cache.synced()
    const inTier = cache.index(byTier)
    const names = (tier: string) => inTier(tier).map(({ metadata }) => metadata.name)
    const b = await api.create(Price, price('b', 1, labelled('web.api')))
    await runtime.clock.advance(0)
    expect([names('web'), names('api'), names('none')]).toEqual([['a', 'b'], ['b'], []])
    await api.update(Price, { ...b, metadata: { ...b.metadata, labels: { tier: 'api' } } })
    await api.delete(Price, { name: 'a' })
    await runtime.clock.advance(0)
    expect([names('web'), names('api')]).toEqual([[], ['b']])
    await cache.close()
  })

  it('goes on behind what it has seen when its watch breaks, and lists nothing again', async () => {
    const { api, other, runtime } = setUp()
    let lists = 0
    const breaking = intercepted(api, {
      list: (kind, options) => {
        lists++
        return api.list(kind, options)
      },
      async *watch(kind, options) {
        for await (const event of api.watch(kind, options)) {
          yield event
          throw new Error('connection reset')
        }
      },
    })
    const broken = informer(breaking, Price, { runtime })
    const changes = heard(broken)
    await broken.synced()
    for (const name of ['a', 'b', 'c']) await other.create(Price, price(name))
    await runtime.clock.advance('5s')
    expect(changes).toEqual(['added a 1', 'added b 1', 'added c 1'])
    expect(lists).toBe(1)
    await broken.close()
  })

  it('lists again what cannot be watched any more, and tells the differences', async () => {
    const { api, other, open, runtime, engine, store } = setUp()
    const [a] = [await api.create(Price, price('a')), await api.create(Price, price('b'))]
    await api.create(Price, price('same'))
    const cache = open()
    await cache.synced()
    await runtime.clock.advance(0)
    const changes = heard(cache)
    engine.reach = 'away'
    await other.delete(Price, { name: 'b' })
    await other.update(Price, { ...a, spec: { discount: 5 } })
    await other.create(Price, price('c'))
    store.compact()
    await runtime.clock.advance('1s')
    expect(changes).toEqual([])
    engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect(changes.sort()).toEqual(['added c 1', 'changed a 1 5', 'deleted b 1'])
    await cache.close()
  })

  it('tells of another one under the same name that the first is gone', async () => {
    const { api, other, open, runtime, engine, store } = setUp()
    await api.create(Price, price('a'))
    const cache = open()
    await cache.synced()
    const changes = heard(cache)
    engine.reach = 'away'
    await other.delete(Price, { name: 'a' })
    await other.create(Price, price('a', 2))
    store.compact()
    engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect(changes).toEqual(['deleted a 1', 'added a 2'])
    await cache.close()
  })

  it('does not believe a list that is older than what it knows, unless it stays so', async () => {
    const { api, runtime } = setUp()
    await api.create(Price, price('a'))
    const old = await api.list(Price)
    await api.create(Price, price('b'))
    let isOld = false
    const lagging = intercepted(api, {
      list: (kind, options) => (isOld ? Promise.resolve(old as never) : api.list(kind, options)),
    })
    const behind = informer(lagging, Price, { runtime })
    await behind.synced()
    const changes = heard(behind)
    isOld = true
    const refreshed = behind.refresh()
    await runtime.clock.advance('300ms')
    expect([changes, behind.size]).toEqual([[], 2])
    isOld = false
    expect(await runtime.clock.settle(refreshed)).toBe(true)
    expect(changes).toEqual([])
    isOld = true
    expect(await runtime.clock.settle(behind.refresh())).toBe(true)
    expect(changes).toEqual(['deleted b 1', 'added b 1'])
    await behind.close()
  })

  it('begins when the API is back, and says so long why it does not', async () => {
    const { api, engine, runtime } = setUp()
    await api.list(Price)
    engine.reach = 'away'
    const late = informer(api, Price, { runtime })
    const synced = late.synced()
    await runtime.clock.advance('2s')
    expect(late.state).toMatchObject({ kind: 'waiting', failure: { code: 'BANYAN_COORDINATOR_UNAVAILABLE' } })
    engine.reach = 'there'
    await runtime.clock.settle(synced)
    expect(late.size).toBe(0)
    await late.close()
    await expect(late.synced().then(() => late.refresh())).resolves.toBe(false)
  })

  it('ends with the API that it is of', async () => {
    const { api, open, runtime } = setUp()
    const cache = open()
    await cache.synced()
    await api.close()
    await runtime.clock.advance('5s')
    expect(cache.state).toMatchObject({ kind: 'closed', failure: { code: 'BANYAN_COORDINATOR_CLOSED' } })
    const late = informer(api, Price, { runtime })
    await expect(late.synced()).rejects.toMatchObject({ code: 'BANYAN_COORDINATOR_CLOSED' })
  })

  it('has only what is selected', async () => {
    const { api, open, runtime } = setUp()
    const cache = open({ labelSelector: 'tier=web' })
    await cache.synced()
    const changes = heard(cache)
    const a = await api.create(Price, price('a', 1, { labels: { tier: 'web' } }))
    await api.create(Price, price('b'))
    await api.update(Price, { ...a, metadata: { ...a.metadata, labels: {} } })
    await runtime.clock.advance(0)
    expect(changes).toEqual(['added a 1', 'deleted a 1'])
    await cache.close()
    expect(() => informer(api, Price, { labelSelector: '=' })).toThrow(
      expect.objectContaining({ code: 'BANYAN_RESOURCE_BAD_REQUEST' }),
    )
    expect(() => informer(api, Price, { labelselector: 'a' } as object)).toThrow(
      /did you mean `labelSelector`/,
    )
  })

  it('waits until its cache is as it should be, or no longer', async () => {
    const { api, open, runtime } = setUp()
    const cache = open()
    const { metadata } = await api.create(Price, price('a'))
    const has = (version: string) => () => Number(cache.resourceVersion) >= Number(version)
    expect(await runtime.clock.settle(cache.until(has(metadata.resourceVersion)))).toBe(true)
    expect(await runtime.clock.settle(cache.until(has('1000'), { within: '1s' }))).toBe(false)
    const stop = new AbortController()
    const stopped = cache.until(has('1000'), { signal: stop.signal })
    stop.abort()
    expect(await stopped).toBe(false)
    await cache.close()
  })
})

it('informers are one for each kind and selection', async () => {
  const { api, runtime } = setUp()
  const shared = informers(api, { runtime })
  expect(shared.of(Price)).toBe(shared.of(Price))
  expect(shared.of(Price, { namespace: 'a' })).not.toBe(shared.of(Price))
  expect(shared.of(Price, { namespace: 'a' })).toBe(shared.of(Price, { namespace: 'a' }))
  await shared.close()
  expect(() => shared.of(Price)).toThrow(expect.objectContaining({ code: 'BANYAN_COORDINATOR_CLOSED' }))
})
