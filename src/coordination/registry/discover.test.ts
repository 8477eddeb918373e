import { describe, expect, it } from 'vitest'
import { world, type World } from '../../../test/support/reachable.js'
import type { Coordinator } from '../coordinator.js'
import { discover, type Discovery } from './discover.js'
import type { RegisterOptions } from './options.js'
import { register, type Registration } from './register.js'

/** Registers instances `0`, `1`, ..., each in a process of its own. */
async function fleet({ connect }: World, count: number, more: Partial<RegisterOptions> = {}) {
  const processes = Array.from({ length: count }, connect)
  const registrations = processes.map(({ coordinator }, index) =>
    register(coordinator, { service: 'orders', address: `http://10.0.0.${index}`, id: `${index}`, ...more }),
  )
  await Promise.all(registrations.map(({ ready }) => ready))
  return { processes, registrations }
}

const ids = (discovery: Discovery): string[] =>
  discovery
    .instances()
    .map(({ id }) => id)
    .sort()

async function open(coordinator: Coordinator, options = {}): Promise<Discovery> {
  const discovery = discover(coordinator, 'orders', options)
  await discovery.ready
  return discovery
}

/** How often each is picked, in percent. */
function shares(discovery: Discovery): Record<string, number> {
  const counts: Record<string, number> = {}
  const draws = 4000
  for (let draw = 0; draw < draws; draw++) {
    const { id } = discovery.pick()!
    counts[id] = (counts[id] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).map(([id, count]) => [id, (100 * count) / draws]))
}

describe('discover', () => {
  it('knows who is there, who comes, who changes and who goes', async () => {
    const here = world()
    const { registrations } = await fleet(here, 2)
    const discovery = await open(here.connect().coordinator)
    const told: string[] = []
    discovery.on('change', ({ added, updated, removed }) => {
      for (const [what, which] of Object.entries({ added, updated, removed }))
        told.push(...which.map(({ id }) => `${what} ${id}`))
    })
    expect(ids(discovery)).toEqual(['0', '1'])
    await registrations[0]!.update({ weight: 2 })
    const third = register(here.connect().coordinator, { service: 'orders', address: 'x', id: '2' })
    await third.ready
    await here.runtime.clock.advance('1s')
    expect(ids(discovery)).toEqual(['0', '1', '2'])
    const closed = third.close()
    await here.runtime.clock.advance('1s')
    expect(ids(discovery)).toEqual(['0', '1'])
    await here.runtime.clock.settle(closed)
    expect(told).toEqual(['updated 0', 'added 2', 'removed 2'])
    expect(discovery.get('0')?.weight).toBe(2)
    expect(discovery.get('2')).toBeUndefined()
    await discovery.close()
  })

  it('gives those that were asked for', async () => {
    const here = world()
    const { coordinator } = here.connect()
    const make = (id: string, more: Partial<RegisterOptions>): Registration =>
      register(coordinator, { service: 'orders', address: id, id, ...more })
    const all = [
      make('a', { tags: ['v1', 'eu'] }),
      make('b', { tags: ['v1'], metadata: { gpu: true } }),
      make('c', { tags: ['v2'] }),
    ]
    await Promise.all(all.map(({ ready }) => ready))
    all[2]!.setHealth('critical')
    await all[2]!.update({})
    expect(ids(await open(coordinator))).toEqual(['a', 'b'])
    expect(ids(await open(coordinator, { tag: 'v1' }))).toEqual(['a', 'b'])
    expect(ids(await open(coordinator, { tag: ['v1', 'eu'] }))).toEqual(['a'])
    expect(ids(await open(coordinator, { tag: 'v2' }))).toEqual([])
    expect(ids(await open(coordinator, { tag: 'v2', healthy: false }))).toEqual(['c'])
    const where = ({ metadata }: { metadata: Record<string, unknown> }): boolean => metadata['gpu'] === true
    expect(ids(await open(coordinator, { where }))).toEqual(['b'])
  })

  it('gives each state of who watches, and the last one to who is slow', async () => {
    const here = world()
    const { coordinator } = here.connect()
    const discovery = discover(coordinator, 'orders')
    const stop = new AbortController()
    const seen: string[][] = []
    const watching = (async () => {
      for await (const instances of discovery.watch({ signal: stop.signal })) {
        seen.push(instances.map(({ id }) => id))
        if (seen.length === 2) await here.runtime.clock.advance('1s')
      }
    })()
    await here.runtime.clock.advance('1s')
    for (const id of ['a', 'b', 'c'])
      await register(coordinator, { service: 'orders', address: id, id }).ready
    await here.runtime.clock.advance('2s')
    stop.abort()
    await watching
    expect(seen[0]).toEqual([])
    expect(seen.at(-1)).toEqual(['a', 'b', 'c'])
    await discovery.close()
  })

  it('picks by weight', async () => {
    const here = world()
    const { registrations } = await fleet(here, 3)
    await registrations[0]!.update({ weight: 3 })
    await registrations[1]!.update({ weight: 0 })
    const discovery = await open(here.connect().coordinator)
    const picked = shares(discovery)
    expect(picked['1']).toBeUndefined()
    expect(picked['0']).toBeCloseTo(75, -1)
    expect(picked['2']).toBeCloseTo(25, -1)
  })

  it('picks in the own zone, and elsewhere as far as that cannot bear it', async () => {
    const here = world()
    const { registrations } = await fleet(here, 4, { zone: 'eu' })
    await register(here.connect().coordinator, { service: 'orders', address: 'x', id: 'us', zone: 'us' })
      .ready
    const discovery = await open(here.connect().coordinator, { zone: 'eu' })
    expect(shares(discovery)['us']).toBeUndefined()
    const fail = async (index: number): Promise<void> => {
      registrations[index]!.setHealth('critical')
      await registrations[index]!.update({})
      await here.runtime.clock.advance(0)
    }
    await fail(0)
    expect(shares(discovery)['us']).toBeUndefined()
    await fail(1)
    await fail(2)
    // One of four can bear 35 %; the others are spread over both that are left.
    expect(shares(discovery)['us']).toBeCloseTo(32.5, -1)
    await fail(3)
    expect(shares(discovery)).toEqual({ us: 100 })
    expect((await open(here.connect().coordinator, { zone: 'asia' })).pick()?.id).toBe('us')
  })

  it('picks none where none is', async () => {
    const discovery = await open(world().connect().coordinator)
    expect(discovery.pick()).toBeUndefined()
  })

  it('passes over what is no instance, and leaves out what it does not know', async () => {
    const { coordinator } = world().connect()
    await coordinator.put('banyan/services/orders/a', 'nonsense')
    await coordinator.put('banyan/services/orders/b/c', '{"address":"x"}')
    await coordinator.put('banyan/services/orders/d', '{"address":"d","state":"new","weight":"much"}')
    const discovery = await open(coordinator, { healthy: false })
    expect(discovery.instances()).toMatchObject([{ id: 'd', address: 'd', state: 'critical', weight: 1 }])
  })
})

describe('what vanishes', () => {
  it('is gone at once if it is one of several', async () => {
    const here = world()
    const { processes } = await fleet(here, 3)
    const discovery = await open(here.connect().coordinator)
    processes[0]!.engine.reach = 'away'
    await here.runtime.clock.advance('13s')
    expect(ids(discovery)).toEqual(['1', '2'])
  })

  it('is gone at once if it was draining, whoever goes with it', async () => {
    const here = world()
    const { registrations } = await fleet(here, 3, { drain: 0 })
    const discovery = await open(here.connect().coordinator, { healthy: false })
    await here.runtime.clock.settle(Promise.all(registrations.map((each) => each.close())))
    await here.runtime.clock.advance(0)
    expect(ids(discovery)).toEqual([])
  })

  it.each([
    ['the engine was away for everybody', true],
    ['the instances could not reach it', false],
  ])('is kept where all vanish because %s, and is itself again when it comes back', async (_, everybody) => {
    const here = world()
    const { processes } = await fleet(here, 3)
    const { coordinator, engine } = here.connect()
    const discovery = await open(coordinator)
    let told = 0
    discovery.on('change', ({ removed }) => (told += removed.length))
    const engines = [...processes.map((each) => each.engine), ...(everybody ? [engine] : [])]
    for (const each of engines) each.reach = 'away'
    await here.runtime.clock.advance(everybody ? '1m' : '30s')
    if (everybody) expect(discovery.stale?.problem).toBe('connection refused')
    else expect(discovery.doubted).toBe(3)
    expect(ids(discovery)).toEqual(['0', '1', '2'])
    engine.reach = 'there'
    await here.runtime.clock.advance('5s')
    expect(discovery.doubted).toBe(3)
    expect(discovery.instances().every(({ doubted }) => doubted)).toBe(true)
    for (const each of engines) each.reach = 'there'
    await here.runtime.clock.advance('10s')
    expect(discovery.doubted).toBe(0)
    await here.runtime.clock.advance('5m')
    expect(ids(discovery)).toEqual(['0', '1', '2'])
    // Where nothing is known of an outage, the first of several is believed to be gone until the next goes.
    expect(told).toBe(everybody ? 0 : 1)
  })

  it('is gone in the end if it does not come back', async () => {
    const here = world()
    const { processes } = await fleet(here, 3)
    const { coordinator, engine } = here.connect()
    const discovery = await open(coordinator)
    for (const each of processes) each.engine.reach = 'away'
    engine.reach = 'away'
    await here.runtime.clock.advance('1m')
    engine.reach = 'there'
    await here.runtime.clock.advance('20s')
    processes[0]!.engine.reach = 'there'
    await here.runtime.clock.advance('5s')
    expect(ids(discovery)).toEqual(['0', '1', '2'])
    await here.runtime.clock.advance('15s')
    expect(ids(discovery)).toEqual(['0'])
  })

  it('is gone at once where the registry is to be believed', async () => {
    const here = world()
    const { processes } = await fleet(here, 3)
    const discovery = await open(here.connect().coordinator, { panic: false })
    for (const each of processes) each.engine.reach = 'away'
    await here.runtime.clock.advance('15s')
    expect(ids(discovery)).toEqual([])
  })

  it('comes in a trickle after an outage, and is kept all the same', async () => {
    const here = world()
    const { processes } = await fleet(here, 6)
    const { coordinator, engine } = here.connect()
    const discovery = await open(coordinator)
    engine.reach = 'away'
    await here.runtime.clock.advance('5s')
    for (const each of processes) {
      each.engine.reach = 'away'
      await here.runtime.clock.advance('2s')
    }
    engine.reach = 'there'
    await here.runtime.clock.advance('15s')
    expect(ids(discovery)).toHaveLength(6)
  })

  it('before an outage stays gone in it', async () => {
    const here = world()
    const { processes } = await fleet(here, 2)
    const { coordinator, engine } = here.connect()
    const discovery = await open(coordinator)
    processes[0]!.engine.reach = 'away'
    await here.runtime.clock.advance('1m')
    expect(ids(discovery)).toEqual(['1'])
    engine.reach = 'away'
    processes[1]!.engine.reach = 'away'
    await here.runtime.clock.advance('1m')
    engine.reach = 'there'
    await here.runtime.clock.advance('10s')
    expect(ids(discovery)).toEqual(['1'])
  })

  it('can be looked for while the engine is away', async () => {
    const here = world()
    await fleet(here, 2)
    const { coordinator, engine } = here.connect()
    engine.reach = 'away'
    const discovery = discover(coordinator, 'orders')
    await here.runtime.clock.advance('10s')
    expect(ids(discovery)).toEqual([])
    expect(discovery.stale).toBeDefined()
    engine.reach = 'there'
    await here.runtime.clock.settle(discovery.ready)
    expect(ids(discovery)).toEqual(['0', '1'])
    await discovery.close()
  })
})
