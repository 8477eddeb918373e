import { describe, expect, it } from 'vitest'
import { controller, garbageCollector, type ResourceApi } from '../../src/coordination/index.js'
import {
  simulateController,
  SimulationError,
  type Choices,
  type ControllerProcess,
  type SimulateControllerOptions,
} from '../../src/testing/index.js'
import { SEED, times } from '../support/effort.js'
import {
  createSales,
  disturbSales,
  makePrices,
  Price,
  Sale,
  salesController,
  salesConverged,
} from './simulate-controller-scenario.js'

const sales = {
  resources: createSales,
  disturb: disturbSales,
  converged: salesConverged,
  firstSeed: SEED,
}

describe('controllers', () => {
  it('converge whatever fails, and work on no key twice at once', async () => {
    const { seeds } = await simulateController({
      ...sales,
      seeds: times(10),
      controllers: { sales: (process) => salesController(process, makePrices) },
    })
    expect(seeds).toBeGreaterThan(0)
  })

  it.each(['election', 'shards'] as const)('of several processes converge, by %s', async (way) => {
    await simulateController({
      ...sales,
      seeds: times(4),
      processes: 3,
      controllers: {
        sales: (process) =>
          salesController(process, makePrices, { [way]: { coordinator: process.coordinator() } }),
      },
    })
  })

  it('clean up before resources go, once for each', async () => {
    // What is outside of the API: it outlives processes.
    let shop: Map<string, number>
    await simulateController({
      firstSeed: SEED,
      seeds: times(8),
      controllers: {
        shop: (process) =>
          salesController(process, async (key, ctx) => {
            if (await ctx.finalizer('shop.example/shop', () => shop.delete(key)))
              shop.set(key, ctx.get()!.spec.discount)
          }),
      },
      resources: async (user) => {
        shop = new Map()
        await createSales(user)
      },
      disturb: disturbWholeSales,
      converged: async (user) => {
        const { items } = await user.list(Sale)
        expect(Object.fromEntries(shop)).toEqual(
          Object.fromEntries(items.map(({ metadata, spec }) => [`default/${metadata.name}`, spec.discount])),
        )
      },
    })
  })

  it('lose no update: what each of two counts is counted', async () => {
    const done = new Map<string, number>()
    const counting = ({ name, api, runtime }: ControllerProcess): unknown =>
      controller({
        name,
        api,
        runtime,
        resource: Sale,
        async reconcile(_, ctx) {
          const sale = ctx.get()!
          const label = `shop.example/${name}`
          const { labels = {} } = sale.metadata
          // Two work on the same map, by updates: who has not seen what the other one did is refused.
          if (labels[label] === String(sale.spec.discount)) return
          const metadata = { ...sale.metadata, labels: { ...labels, [label]: String(sale.spec.discount) } }
          await ctx.api.update(Sale, { ...sale, metadata })
          done.set(name, (done.get(name) ?? 0) + 1)
        },
      })
    await simulateController({
      firstSeed: SEED,
      seeds: times(6),
      controllers: { one: counting, two: counting },
      resources: createSales,
      disturb: async (user, random) => {
        const sale = await user.get(Sale, { name: 'a' })
        await user.update(Sale, { ...sale, spec: { ...sale.spec, discount: random.below(50) } })
      },
      converged: async (user) => {
        for (const { metadata, spec } of (await user.list(Sale)).items)
          expect(metadata.labels).toEqual({
            'shop.example/one': String(spec.discount),
            'shop.example/two': String(spec.discount),
          })
      },
    })
    expect([...done.keys()].sort()).toEqual(['one', 'two'])
  })
})

describe('the garbage collector', () => {
  it('never deletes what is owned, and deletes all that is not any more', async () => {
    /** Names of prices by the uid of their owners. */
    let made: Map<string, string[]>
    let deleted: Set<string>
    await simulateController({
      firstSeed: SEED,
      seeds: times(8),
      controllers: {
        collector: ({ api, runtime }) => garbageCollector(api, [Sale, Price], { runtime }),
      },
      resources: async (user) => {
        made = new Map()
        deleted = new Set()
        await createSales(user)
      },
      disturb: async (user, random) => {
        const sale = await user.get(Sale, { name: random.pick(['a', 'b', 'c']) })
        const { name, uid } = sale.metadata
        const prices = made.get(uid) ?? []
        if (random.chance(0.6)) {
          const { apiVersion, kind } = Sale
          const ownerReferences = [{ apiVersion, kind, name, uid, blockOwnerDeletion: true }]
          const price = `${name}-${prices.length}-${uid.slice(0, 8)}`
          await user.create(Price, { metadata: { name: price, ownerReferences }, spec: { discount: 1 } })
          made.set(uid, [...prices, price])
          return
        }
        const propagationPolicy = random.pick(['Background', 'Foreground', 'Orphan'] as const)
        deleted.add(uid)
        await user.delete(Sale, { name }, { propagationPolicy, preconditions: { uid } })
        // Another one under the same name is no owner of what is there.
        await user.create(Sale, { metadata: { name }, spec: sale.spec })
      },
      converged: async (user) => {
        const owners = new Set((await user.list(Sale)).items.map(({ metadata }) => metadata.uid))
        expect([...deleted].filter((uid) => owners.has(uid))).toEqual([])
        const prices = (await user.list(Price)).items
        for (const { metadata } of prices)
          for (const { uid } of metadata.ownerReferences ?? [])
            expect(owners.has(uid), `${metadata.name} is of nobody`).toBe(true)
        const there = new Set(prices.map(({ metadata }) => metadata.name))
        for (const uid of owners)
          for (const name of made.get(uid) ?? []) expect(there.has(name), `${name} is owned`).toBe(true)
      },
    })
  })
})

/** Deletes sales, makes them again, and changes them. */
async function disturbWholeSales(user: ResourceApi, random: Choices): Promise<void> {
  const name = random.pick(['a', 'b', 'c'])
  const spec = { items: [], discount: random.below(50) }
  if (random.chance(0.4)) await user.delete(Sale, { name })
  else if (random.chance(0.5)) await user.create(Sale, { metadata: { name }, spec })
  else await user.update(Sale, { ...(await user.get(Sale, { name })), spec })
}

async function failureOf(options: Partial<SimulateControllerOptions>): Promise<SimulationError> {
  const all = { ...sales, seeds: 20, firstSeed: 1, ...options } as SimulateControllerOptions
  const error = await simulateController(all).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof SimulationError)) throw error ?? new Error('nothing was found')
  return error
}

describe('the simulator finds a controller that', () => {
  it('is woken by its own writes', async () => {
    const { message } = await failureOf({
      controllers: {
        sales: (process) =>
          salesController(process, async (key, ctx) => {
            await makePrices(key, ctx)
            ctx.setStatus({ checked: (ctx.get()?.status?.checked ?? 0) + 1 })
          }),
      },
    })
    expect(message).toContain('it does not come to rest')
    expect(message).toMatch(/sales writes sales\.shop\.example default\/[abc] again and again/)
    expect(message).toMatch(/ {2}status\.checked: .* by sales \(\d+ times\)/)
    expect(message).toMatch(/run again with BANYAN_SEED=\d+/)
  })

  it('fights with another one', async () => {
    const setting =
      (discount: number) =>
      ({ name, api, runtime }: ControllerProcess): unknown =>
        controller({
          name,
          api,
          runtime,
          resource: Price,
          reconcile: async (_, ctx) => {
            const price = ctx.get()
            if (price && price.spec.discount !== discount)
              await ctx.api.update(Price, { ...price, spec: { discount } })
          },
        })
    const { message } = await failureOf({
      controllers: { low: setting(10), high: setting(20) },
      resources: async (user) => {
        await user.create(Price, { metadata: { name: 'tea' }, spec: { discount: 5 } })
      },
      disturb: () => Promise.resolve(),
      converged: () => Promise.resolve(),
    })
    expect(message).toMatch(/(low and high|high and low) fight over prices\.shop\.example default\/tea/)
    expect(message).toMatch(/spec\.discount: .*(10 → 20 → 10|20 → 10 → 20), by/)
  })

  it('forgets that it has to clean up', async () => {
    let shop: Set<string>
    const { message } = await failureOf({
      controllers: {
        // It is told of the end, and cannot know any more what there was.
        shop: (process) =>
          salesController(process, (key, ctx) => {
            if (ctx.get()) shop.add(`${key} ${ctx.get()!.metadata.uid}`)
            return Promise.resolve()
          }),
      },
      resources: async (user) => {
        shop = new Set()
        await createSales(user)
      },
      disturb: disturbWholeSales,
      converged: async (user) => {
        const { items } = await user.list(Sale)
        const there = items.map(({ metadata }) => `default/${metadata.name} ${metadata.uid}`)
        expect([...shop].sort()).toEqual(there.sort())
      },
    })
    expect(message).toContain('it has come to rest, and is not as it must be: ')
  })

  it('looks at events in place of what is there, and misses deletions', async () => {
    const { message, seed, trace } = await failureOf({
      controllers: { edges: followEdges },
      converged: tagged,
    })
    expect(message).toContain('it has come to rest, and is not as it must be: ')
    const again = await failureOf({
      controllers: { edges: followEdges },
      converged: tagged,
      firstSeed: seed,
      seeds: 1,
    })
    expect(again.trace).toEqual(trace)
  })
})

/** Makes a price of each sale that is told of, and takes it away when its end is told. */
async function followEdges({ api, runtime }: ControllerProcess): Promise<void> {
  for (;;)
    try {
      for await (const event of api.watch(Sale)) {
        const { name } = event.object.metadata as { name: string }
        if (event.type === 'ADDED') await api.create(Price, { metadata: { name }, spec: { discount: 1 } })
        else if (event.type === 'DELETED') await api.delete(Price, { name })
      }
    } catch {
      await new Promise<void>((resolve) => {
        runtime.clock.schedule(runtime.clock.now() + 5000, () => resolve())
      })
    }
}

async function tagged(user: ResourceApi): Promise<void> {
  const namesOf = (items: readonly { metadata: { name: string } }[]): string[] =>
    items.map(({ metadata }) => metadata.name)
  expect(namesOf((await user.list(Price)).items)).toEqual(namesOf((await user.list(Sale)).items))
}
