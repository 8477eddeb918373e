import { describe, expect, it } from 'vitest'
import {
  controller,
  defineResource,
  informers,
  openResources,
  type Contest,
  type ControllerOptions,
  type ReconcileContext,
  type ReconcileRun,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { coordinationError } from '../../../src/coordination/errors.js'
import { sleep, type Clock } from '../../../src/core/clock.js'
import type { LogLevel } from '../../../src/core/telemetry.js'
import { noTelemetry } from '../../../src/core/telemetry.js'
import { world } from '../../support/reachable.js'
import { intercepted, Price, Sale, Season, type SaleSpec, type SaleStatus } from './kinds.js'

type Context = ReconcileContext<SaleSpec, SaleStatus>
type Options = Partial<ControllerOptions<SaleSpec, SaleStatus>>

function setUp() {
  const { runtime, store, connect } = world()
  const { coordinator, engine } = connect()
  const api = openResources(coordinator)
  const logged: string[] = []
  const telemetry = {
    ...noTelemetry,
    log: (level: LogLevel, message: string) => void logged.push(`${level} ${message}`),
  }
  const observed = { ...runtime, telemetry }
  const start = (options: Options) => {
    const runs: ReconcileRun[] = []
    const running = controller({
      name: 'sales',
      api,
      resource: Sale,
      reconcile: makePrices,
      runtime: observed,
      ...options,
    })
    running.on('run', (run) => runs.push(run))
    return { running, runs, outcomes: () => runs.splice(0).map(({ key, outcome }) => `${key} ${outcome}`) }
  }
  return { runtime, store, engine, coordinator, connect, api, logged, start, clock: runtime.clock }
}

/** Makes a price of each item, and takes away what is none any more. */
async function makePrices(_: string, ctx: Context): Promise<void> {
  const sale = ctx.get()
  if (!sale) return
  const { items, discount } = sale.spec
  const named = (item: string) => `${sale.metadata.name}-${item}`
  for (const item of items) await ctx.apply(Price, { metadata: { name: named(item) }, spec: { discount } })
  const wanted = new Set(items.map(named))
  for (const { metadata } of ctx.owned(Price))
    if (!wanted.has(metadata.name))
      await ctx.api.delete(Price, { name: metadata.name, namespace: metadata.namespace! })
  ctx.setStatus({ prices: items.length })
  ctx.setCondition({ type: 'Ready', status: true })
}

/** The same, whose watches are 3 s behind. */
function withLateNews(api: ResourceApi, clock: Clock): ResourceApi {
  return intercepted(api, {
    async *watch(kind, options) {
      for await (const event of api.watch(kind, options)) {
        await sleep(clock, 3000)
        yield event
      }
    },
  })
}

const sale = (name: string, items: string[], more = {}) => ({
  metadata: { name, ...more },
  spec: { items, discount: 10 },
})

/** Sales whose status is as it is said here, and has a number of prices. */
function ofStatus(properties: object) {
  return defineResource<SaleSpec, SaleStatus>({
    group: 'small.example',
    kind: 'Sale',
    status: { type: 'object', properties: { prices: { type: 'integer' }, ...properties } },
  })
}

function conditionsOf(properties: object) {
  const items = { type: 'object', ...(Object.keys(properties).length > 0 && { properties }) }
  return { type: 'array', items }
}

async function pricesOf(api: ResourceApi): Promise<string[]> {
  const { items } = await api.list(Price)
  return items.map(({ metadata, spec }) => `${metadata.name} ${spec.discount}`)
}

/** What others say something in the status of. */
const Shop = defineResource<{ replicas: number }, { replicas: number }>({
  group: 'shop.example',
  kind: 'Shop',
  status: { type: 'object', properties: { replicas: { type: 'integer' } } },
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
})

describe('a controller', () => {
  it('brings what is there to what is wanted, whatever happens to it', async () => {
    const { api, start, clock } = setUp()
    await api.create(Sale, sale('a', ['x', 'y']))
    const { running } = start({ owns: [Price] })
    await running.ready
    await clock.advance('1s')
    expect(await pricesOf(api)).toEqual(['a-x 10', 'a-y 10'])
    await api.delete(Price, { name: 'a-x' })
    const y = await api.get(Price, { name: 'a-y' })
    await api.update(Price, { ...y, spec: { discount: 99 } })
    await clock.advance('1s')
    expect(await pricesOf(api)).toEqual(['a-x 10', 'a-y 10'])
    const current = await api.get(Sale, { name: 'a' })
    await api.update(Sale, { ...current, spec: { items: ['z'], discount: 20 } })
    await clock.advance('1s')
    expect(await pricesOf(api)).toEqual(['a-z 20'])
    expect((await api.get(Price, { name: 'a-z' })).metadata).toMatchObject({
      ownerReferences: [{ kind: 'Sale', name: 'a', controller: true, blockOwnerDeletion: true }],
      managedFields: [{ manager: 'sales', operation: 'Apply' }],
    })
    expect((await api.get(Sale, { name: 'a' })).status).toMatchObject({
      prices: 1,
      observedGeneration: 2,
      conditions: [{ type: 'Ready', status: 'True', observedGeneration: 2 }],
    })
    expect(running.state).toMatchObject({ kind: 'working', depth: 0, working: 0 })
    await running.close()
    expect(running.state.kind).toBe('closed')
  })

  it('writes a status only if it is another, and then is quiet', async () => {
    const { api, start, clock } = setUp()
    const { running, runs } = start({ owns: [Price] })
    await api.create(Sale, sale('a', ['x']))
    await clock.advance('1m')
    const { metadata } = await api.get(Sale, { name: 'a' })
    const before = runs.length
    expect(before).toBeLessThanOrEqual(3)
    await clock.advance('1h')
    expect(runs).toHaveLength(before)
    running.add({ name: 'a' })
    await clock.advance('1s')
    expect(runs).toHaveLength(before + 1)
    expect((await api.get(Sale, { name: 'a' })).metadata.resourceVersion).toBe(metadata.resourceVersion)
    await running.close()
  })

  it('looks at whom something else concerns, as it was and as it is', async () => {
    const { api, start, clock } = setUp()
    const season = await api.create(Season, {
      metadata: { name: 's', labels: { sale: 'a' } },
      spec: { factor: 2 },
    })
    const factors: string[] = []
    const { running, outcomes } = start({
      reconcile: (key, ctx) => {
        factors.push(`${key} ${ctx.get(Season, { name: 's' })?.spec.factor}`)
      },
      watches: [{ resource: Season, to: ({ metadata }) => [{ name: metadata.labels!['sale']! }] }],
    })
    await clock.advance('1s')
    expect(outcomes()).toEqual(['default/a done'])
    await api.update(Season, { ...season, metadata: { ...season.metadata, labels: { sale: 'b' } } })
    await clock.advance('1s')
    expect(outcomes().sort()).toEqual(['default/a done', 'default/b done'])
    expect(factors).toContain('default/b 2')
    await running.close()
  })

  it('has what the last run of a key has written before the next one, however late news are', async () => {
    const { api, start, clock, runtime } = setUp()
    const late = withLateNews(api, runtime.clock)
    const drawn: number[] = []
    const { running } = start({
      api: late,
      owns: [Price],
      reconcile: async (_, ctx) => {
        drawn.push(ctx.owned(Price).length)
        if (ctx.owned(Price).length < 2)
          await ctx.api.create(Price, ctx.child({ metadata: { generateName: 'p-' }, spec: { discount: 1 } }))
      },
    })
    await clock.advance('1s')
    await api.create(Sale, sale('a', []))
    await clock.advance('1m')
    for (let count = 0; count < 5; count++) running.add('default/a')
    await clock.advance('1m')
    expect(drawn.slice(0, 3)).toEqual([0, 1, 2])
    expect(await pricesOf(api)).toHaveLength(2)
    await clock.settle(running.close())
  })

  it('looks what has come of a write whose answer was lost before the next run of the key', async () => {
    const { api, start, clock, engine } = setUp()
    let creations = 0
    const { running, outcomes } = start({
      api: withLateNews(api, clock),
      owns: [Price],
      reconcile: async (_, ctx) => {
        if (ctx.owned(Price).length > 0) return
        engine.losesAnswers = ++creations === 1
        const price = { metadata: { generateName: 'p-' }, spec: { discount: 1 } }
        await ctx.api.create(Price, ctx.child(price)).finally(() => (engine.losesAnswers = false))
      },
    })
    await api.create(Sale, sale('a', []))
    await clock.advance('1m')
    expect(await pricesOf(api)).toHaveLength(1)
    expect(creations).toBe(1)
    expect(outcomes().slice(0, 2)).toEqual(['default/a failed', 'default/a done'])
    await clock.settle(running.close())
  })

  it('has what it has written as a scale before the next run of the key, also if nobody has answered', async () => {
    const { api, start, clock } = setUp()
    let calls = 0
    const lost = intercepted(withLateNews(api, clock), {
      patchScale: async (...given) => {
        const scale = await api.patchScale(...given)
        if (++calls === 1) throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'connection lost')
        return scale
      },
      get: (kind, name) =>
        calls === 2
          ? Promise.reject(coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'no answer'))
          : api.get(kind, name),
    })
    const seen: (number | undefined)[] = []
    const { running, outcomes } = start({
      api: lost,
      watches: [{ resource: Shop, to: () => [{ name: 'a' }] }],
      reconcile: async (_, ctx) => {
        const replicas = ctx.get(Shop, { name: 's' })?.spec.replicas
        seen.push(replicas)
        if (replicas! < 3)
          await ctx.api.patchScale(
            Shop,
            { name: 's' },
            { type: 'merge', patch: { spec: { replicas: replicas! + 1 } } },
          )
      },
    })
    await api.create(Shop, { metadata: { name: 's' }, spec: { replicas: 1 } })
    await api.create(Sale, sale('a', []))
    await clock.advance('1m')
    expect(seen.slice(0, 3)).toEqual([1, 2, 3])
    expect(outcomes().slice(0, 2)).toEqual(['default/a failed', 'default/a done'])
    await clock.settle(running.close())
  })

  it('tries again later what fails, says so in the status, and goes on with the others', async () => {
    const { api, start, clock, logged } = setUp()
    let isBroken = true
    const { running, runs } = start({
      stalledAfter: 3,
      concurrency: 1,
      reconcile: (key) => {
        if (key === 'default/bad' && isBroken) throw new Error('no such audience')
      },
    })
    await api.create(Sale, sale('bad', []))
    await clock.advance('5ms')
    await api.create(Sale, sale('good', []))
    await clock.advance('1m')
    expect(runs.filter(({ key }) => key === 'default/good').map(({ outcome }) => outcome)).toContain('done')
    const failed = runs.filter(({ outcome }) => outcome === 'failed')
    // 5 ms, doubling: in a minute no more than that, also as a condition is written between.
    expect(failed.length).toBeGreaterThan(10)
    expect(failed.length).toBeLessThan(16)
    expect(failed.at(-1)).toMatchObject({ failures: failed.length, error: new Error('no such audience') })
    expect((await api.get(Sale, { name: 'bad' })).status?.conditions).toMatchObject([
      { type: 'Stalled', status: 'True', reason: 'ReconcileFailed', message: 'no such audience' },
    ])
    expect(logged[0]).toBe('warn controller sales, default/bad has failed: no such audience')
    isBroken = false
    await clock.advance('5m')
    expect((await api.get(Sale, { name: 'bad' })).status?.conditions).toEqual([])
    await running.close()
  })

  it('says of a condition no more than the kind has room for', async () => {
    const { api, start, clock, logged } = setUp()
    const Small = ofStatus({
      conditions: conditionsOf({ type: { type: 'string' }, status: { type: 'string' } }),
    })
    const running = start({ resource: Small, owns: [Price] }).running
    await api.create(Small, sale('a', []))
    await clock.advance('1s')
    const { status, metadata } = await api.get(Small, { name: 'a' })
    expect(status).toEqual({ prices: 0, conditions: [{ type: 'Ready', status: 'True' }] })
    await clock.advance('11h')
    expect((await api.get(Small, { name: 'a' })).metadata.resourceVersion).toBe(metadata.resourceVersion)
    expect(logged).toEqual([])
    await running.close()
  })

  it('says so in a condition, too, when a status is refused', async () => {
    const { api, start, clock } = setUp()
    const Closed = ofStatus({ conditions: conditionsOf({}) })
    const { running, runs } = start({
      resource: Closed,
      reconcile: (_, ctx) => ctx.setStatus({ prices: 'many' as unknown as number }),
    })
    await api.create(Closed, sale('a', []))
    await clock.advance('1m')
    expect(runs.at(-1)).toMatchObject({ outcome: 'failed', error: { code: 'BANYAN_RESOURCE_INVALID' } })
    expect((await api.get(Closed, { name: 'a' })).status?.conditions).toMatchObject([
      { type: 'Stalled', status: 'True', message: expect.stringContaining('status.prices') as string },
    ])
    await running.close()
  })

  it('does not try again what says that nothing can be done, until it changes', async () => {
    const { api, start, clock } = setUp()
    const { running, runs } = start({
      reconcile: (_, ctx) =>
        ctx.get()!.spec.discount > 50 ? { stalled: { reason: 'TooMuch', message: 'at most 50' } } : undefined,
    })
    const a = await api.create(Sale, { ...sale('a', []), spec: { items: [], discount: 60 } })
    await clock.advance('1h')
    expect(runs.length).toBeLessThanOrEqual(2)
    const stalled = await api.get(Sale, { name: 'a' })
    expect(stalled.status?.conditions).toMatchObject([{ type: 'Stalled', status: 'True', reason: 'TooMuch' }])
    await api.update(Sale, { ...stalled, spec: { ...a.spec, discount: 50 } })
    await clock.advance('1s')
    expect((await api.get(Sale, { name: 'a' })).status?.conditions).toEqual([])
    await running.close()
  })

  it('looks again when it is asked to, and at everything from time to time', async () => {
    const { api, start, clock } = setUp()
    const times: number[] = []
    const { running } = start({
      resync: '1h',
      reconcile: () => {
        times.push(clock.now())
        // The second run is that of the status, which says that the first has been.
        return times.length === 2 ? { after: '5m' } : undefined
      },
    })
    await api.create(Sale, sale('a', []))
    await clock.advance('3h')
    expect(times[2]! - times[1]!).toBe(5 * 60_000)
    for (const index of [3, 4]) {
      expect(times[index]! - times[index - 1]!).toBeGreaterThanOrEqual(54 * 60_000)
      expect(times[index]! - times[index - 1]!).toBeLessThanOrEqual(66 * 60_000)
    }
    await running.close()
  })

  it('is run again at once after a conflict, and nobody is told', async () => {
    const { api, start, clock, logged } = setUp()
    const { running, outcomes } = start({
      reconcile: async (_, ctx) => {
        const seen = ctx.get()!
        if (ctx.attempt === 1 && !seen.metadata.labels) {
          await api.update(Sale, { ...seen, metadata: { ...seen.metadata, labels: { by: 'somebody' } } })
          await ctx.api.update(Sale, { ...seen, metadata: { ...seen.metadata, labels: { by: 'me' } } })
        }
      },
    })
    await api.create(Sale, sale('a', []))
    await clock.advance('1s')
    expect(outcomes().slice(0, 2)).toEqual(['default/a conflict', 'default/a done'])
    expect(logged).toEqual([])
    await running.close()
  })

  it('counts conflicts without end as failures, and tells them', async () => {
    const { api, start, clock, logged } = setUp()
    const { running, runs } = start({
      reconcile: async (_, ctx) => {
        await ctx.api.create(Price, { metadata: { name: 'taken' }, spec: { discount: 1 } })
      },
    })
    await api.create(Price, { metadata: { name: 'taken' }, spec: { discount: 2 } })
    await api.create(Sale, sale('a', []))
    await clock.advance('5m')
    expect(runs.slice(0, 10).map(({ outcome }) => outcome)).toEqual(Array<string>(10).fill('conflict'))
    expect(runs.at(-1)).toMatchObject({ outcome: 'failed', failures: runs.length - 10 })
    expect(logged[0]).toContain('default/a has failed')
    expect((await api.get(Sale, { name: 'a' })).status?.conditions).toMatchObject([
      { type: 'Stalled', status: 'True', reason: 'ReconcileFailed' },
    ])
    await running.close()
  })

  it('cleans up before a resource goes, and again if that has failed', async () => {
    const { api, start, clock } = setUp()
    const world = new Set<string>()
    let isBroken = true
    const { running } = start({
      reconcile: async (key, ctx) => {
        const stays = await ctx.finalizer('shop.example/world', () => {
          if (isBroken) throw new Error('cannot')
          world.delete(key)
        })
        if (stays) world.add(key)
      },
    })
    await api.create(Sale, sale('a', []))
    await clock.advance('1s')
    expect((await api.get(Sale, { name: 'a' })).metadata.finalizers).toEqual(['shop.example/world'])
    expect(world.size).toBe(1)
    await api.delete(Sale, { name: 'a' })
    await clock.advance('1s')
    expect(world.size).toBe(1)
    isBroken = false
    await clock.advance('1m')
    expect(world.size).toBe(0)
    await expect(api.get(Sale, { name: 'a' })).rejects.toMatchObject({ code: 'BANYAN_RESOURCE_NOT_FOUND' })
    await running.close()
  })

  it('tells a run that takes too long to end, refuses its writes, and counts it as failed', async () => {
    const { api, start, clock } = setUp()
    const ended: unknown[] = []
    const { running, runs } = start({
      timeout: '1s',
      stalledAfter: 1,
      reconcile: async (_, ctx) => {
        await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
        await ctx.api
          .create(Price, { metadata: { name: 'late' }, spec: { discount: 1 } })
          .catch((error: unknown) => {
            ended.push(error)
            throw error
          })
      },
    })
    await api.create(Sale, sale('a', []))
    await clock.advance('1500ms')
    expect(ended).toMatchObject([{ code: 'BANYAN_RECONCILE_STOPPED' }])
    expect(runs).toMatchObject([{ outcome: 'failed', failures: 1, took: 1000 }])
    expect((await api.get(Sale, { name: 'a' })).status?.conditions).toMatchObject([{ type: 'Stalled' }])
    const closed = running.close()
    await clock.settle(closed)
  })

  it('sees only what is selected, and takes nothing else for gone', async () => {
    const { api, start, clock } = setUp()
    const gone: string[] = []
    const { running } = start({
      selection: { labelSelector: 'tier=web' },
      owns: [Price],
      reconcile: async (key, ctx) => {
        if (!ctx.get()) gone.push(key)
        else await makePrices(key, ctx)
      },
    })
    const other = await api.create(Sale, sale('other', []))
    const owner = { apiVersion: other.apiVersion, kind: 'Sale', name: 'other', uid: other.metadata.uid }
    await api.create(Price, {
      metadata: { name: 'p', ownerReferences: [{ ...owner, controller: true }] },
      spec: { discount: 1 },
    })
    await api.create(Sale, sale('mine', ['x'], { labels: { tier: 'web' } }))
    await clock.advance('1s')
    expect(gone).toEqual([])
    expect(await pricesOf(api)).toEqual(['mine-x 10', 'p 1'])
    await running.close()
  })

  it('shares caches with others that look at the same kind', async () => {
    const { api, start, clock, runtime } = setUp()
    const shared = informers(api, { runtime })
    const one = start({ informers: shared, owns: [Price] })
    const two = start({ name: 'labels', informers: shared, reconcile: () => undefined })
    await api.create(Sale, sale('a', ['x']))
    await clock.advance('1s')
    expect(await pricesOf(api)).toEqual(['a-x 10'])
    expect(two.outcomes()).toContain('default/a done')
    await one.running.close()
    await api.create(Sale, sale('b', ['x']))
    await clock.advance('1s')
    expect(two.outcomes()).toContain('default/b done')
    await two.running.close()
    await shared.close()
  })

  it('refuses what it cannot be', () => {
    const { start, coordinator, runtime } = setUp()
    const refused = (options: Options, text: string) =>
      expect(() => start({ runtime, ...options })).toThrow(
        expect.objectContaining({
          code: 'BANYAN_INVALID_OPTIONS',
          message: expect.stringContaining(text) as string,
        }),
      )
    refused({ reconcil: 1 } as Options, 'did you mean `reconcile`')
    refused({ name: '' }, 'name is missing')
    refused({ election: { coordinator }, shards: { coordinator } }, 'not both')
    refused({ election: {} as never }, 'election.coordinator')
    refused({ concurrency: 0 }, 'concurrency')
    refused({ resync: 'often' as never }, 'resync')
  })

  it('takes what a reconcile cannot say for a failure, and tells which cache it does not have', async () => {
    const { api, start, clock } = setUp()
    const { running, runs } = start({
      reconcile: (key, ctx) =>
        key === 'default/a' ? ({ afer: '5m' } as object) : void ctx.get(Price, { name: 'x' }),
    })
    await api.create(Sale, sale('a', []))
    await api.create(Sale, sale('b', []))
    await clock.advance('1s')
    expect([...new Set(runs.map(({ error }) => (error as Error).message))].sort()).toEqual([
      'controller sales: it has no cache of Price: name it in `owns` or `watches`, or read it with `ctx.api`',
      'reconcile: afer is not an option, did you mean `after`?',
    ])
    await running.close()
  })
})

describe('a contest', () => {
  it('of a controller with another one is told with both names, and slowed down', async () => {
    const { api, start, clock, logged } = setUp()
    const contests: Contest[] = []
    const fixed = (discount: number) => async (_: string, ctx: Context) => {
      const name = ctx.get() && { name: ctx.get()!.metadata.name }
      if (name) await ctx.apply(Price, { metadata: name, spec: { discount } })
    }
    const low = start({ name: 'low', owns: [Price], reconcile: fixed(1) })
    const high = start({ name: 'high', owns: [Price], reconcile: fixed(90) })
    low.running.on('contest', (contest) => contests.push(contest))
    await api.create(Sale, sale('a', []))
    await clock.advance('1m')
    expect(contests).toMatchObject([
      {
        key: 'default/a',
        why: 'FieldConflict',
        resource: 'prices.shop.example default/a',
        fields: ['spec.discount'],
        managers: ['low', 'high'],
        message: 'low and high write spec.discount of prices.shop.example default/a in turns',
      },
    ])
    expect(logged.filter((line) => line.includes('in turns'))).toHaveLength(2)
    expect((await api.get(Sale, { name: 'a' })).status?.conditions).toMatchObject([
      { type: 'Contested', status: 'True', reason: 'FieldConflict' },
    ])
    expect(low.runs.length).toBeLessThan(60)
    await high.running.close()
    await clock.advance('15m')
    expect((await api.get(Sale, { name: 'a' })).status?.conditions).toEqual([])
    await low.running.close()
  })

  it('of a controller with its own writes is told, and slowed down', async () => {
    const { api, start, clock } = setUp()
    const contests: Contest[] = []
    let count = 0
    const { running, runs } = start({ reconcile: (_, ctx) => ctx.setStatus({ prices: ++count }) })
    running.on('contest', (contest) => contests.push(contest))
    await api.create(Sale, sale('a', []))
    await clock.advance('1m')
    expect(contests).toMatchObject([
      {
        why: 'OwnWrites',
        fields: ['status.prices'],
        managers: ['sales'],
        resource: 'sales.shop.example default/a',
      },
    ])
    expect(runs.length).toBeLessThan(120)
    await running.close()
  })

  it('is told whatever else changes in what both write, and slowed down by runs, not by news', async () => {
    const { api, start, clock } = setUp()
    const contests: Contest[] = []
    const fixed = async (_: string, ctx: Context) => {
      const name = ctx.get() && { name: ctx.get()!.metadata.name }
      if (name) await ctx.apply(Shop, { metadata: name, spec: { replicas: 1 } })
    }
    const { running, runs } = start({ owns: [Shop], reconcile: fixed })
    running.on('contest', (contest) => contests.push(contest))
    await api.create(Sale, sale('a', []))
    await clock.advance('1s')
    for (let seconds = 1; seconds <= 60; seconds++) {
      // Some third one counts in the status.
      const changed = await api.get(Shop, { name: 'a' })
      await api.updateStatus(Shop, { ...changed, status: { replicas: seconds } })
      for (const replicas of [5, 6, 7])
        await api.patch(Shop, { name: 'a' }, { type: 'merge', patch: { spec: { replicas } } })
      await clock.advance('1s')
    }
    expect(contests).toMatchObject([{ why: 'FieldConflict', fields: ['spec.replicas'] }])
    // In about a minute: five times, and after 1, 2, 4, 8, 16 s.
    const slowly = runs.filter(({ outcome }) => outcome === 'done').length
    expect(slowly).toBeGreaterThan(10)
    expect(slowly).toBeLessThan(40)
    await running.close()
  })

  it('is none if the same resource is deleted and made again, or one thing is made after the other', async () => {
    const { api, start, clock } = setUp()
    const contests: Contest[] = []
    const { running } = start({
      owns: [Price],
      reconcile: async (_, ctx) => {
        const made = ctx.owned(Price).length
        ctx.setStatus({ prices: made })
        if (ctx.get() && made < ctx.get()!.spec.discount)
          await ctx.api.create(
            Price,
            ctx.child({ metadata: { generateName: `p-${made}-` }, spec: { discount: 1 } }),
          )
      },
    })
    running.on('contest', (contest) => contests.push(contest))
    for (let times = 0; times < 8; times++) {
      await api.create(Sale, { ...sale('a', []), spec: { items: [], discount: 0 } })
      await clock.advance('10s')
      await api.delete(Sale, { name: 'a' })
      await clock.advance('10s')
    }
    await api.create(Sale, { ...sale('b', []), spec: { items: [], discount: 150 } })
    await clock.advance('1s')
    expect(contests).toEqual([])
    expect((await api.get(Sale, { name: 'b' })).status?.prices).toBe(150)
    await running.close()
  })

  it('is none if a resource changes often, or somebody undoes something by hand', async () => {
    const { api, start, clock } = setUp()
    const contests: Contest[] = []
    const { running } = start({ owns: [Price] })
    running.on('contest', (contest) => contests.push(contest))
    await api.create(Sale, sale('a', ['x']))
    await clock.advance('1s')
    for (let discount = 11; discount < 50; discount++) {
      const current = await api.get(Sale, { name: 'a' })
      await api.update(Sale, { ...current, spec: { ...current.spec, discount } })
      await clock.advance('1s')
    }
    for (let times = 0; times < 4; times++) {
      await api.delete(Price, { name: 'a-x' })
      await clock.advance('1s')
    }
    expect(await pricesOf(api)).toEqual(['a-x 49'])
    expect(contests).toEqual([])
    await running.close()
  })
})

describe('of many controllers', () => {
  /** Counts who is in a reconcile of a key at the same time. */
  const watched = () => {
    const busy = new Map<string, string>()
    const by = new Map<string, Set<string>>()
    const twice: string[] = []
    const reconcile = (who: string) => async (key: string, ctx: Context) => {
      if (busy.has(key)) twice.push(key)
      busy.set(key, who)
      by.set(key, (by.get(key) ?? new Set()).add(who))
      try {
        await makePrices(key, ctx)
      } finally {
        busy.delete(key)
      }
    }
    return { reconcile, by, twice }
  }

  it('one works under an election, and another one goes on when it is gone', async () => {
    const { api, start, clock, connect } = setUp()
    const { reconcile, by, twice } = watched()
    await api.create(Sale, sale('a', ['x']))
    const tokens: (number | undefined)[] = []
    const all = ['one', 'two'].map((who) => {
      const { coordinator, engine } = connect()
      const own = openResources(coordinator)
      const { running } = start({
        api: own,
        owns: [Price],
        election: { coordinator, holder: who },
        reconcile: async (key, ctx) => {
          tokens.push(ctx.token)
          await reconcile(who)(key, ctx)
        },
      })
      return { who, running, engine, coordinator }
    })
    await clock.advance('5s')
    const leaders = all.filter(({ running }) => running.state.kind === 'working')
    expect(leaders).toHaveLength(1)
    const first = leaders[0]!
    const second = all.find((each) => each !== first)!
    expect([...by.get('default/a')!]).toEqual([first.who])
    first.engine.reach = 'away'
    await api.create(Sale, sale('b', ['y']))
    await clock.advance('1m')
    expect(second.running.state.kind).toBe('working')
    expect(first.running.state.kind).toBe('standby')
    expect([...by.get('default/b')!]).toEqual([second.who])
    expect(await pricesOf(api)).toEqual(['a-x 10', 'b-y 10'])
    expect(twice).toEqual([])
    const [before, after] = [tokens[0]!, tokens.at(-1)!]
    expect(after).toBeGreaterThan(before)
    first.engine.reach = 'there'
    for (const { running } of all) await clock.settle(running.close())
  })

  it('each has its part of the keys under shards, and those who are left have them all', async () => {
    const { api, start, clock, connect } = setUp()
    const { reconcile, by, twice } = watched()
    const keys = Array.from({ length: 40 }, (_, index) => `s${index}`)
    for (const key of keys) await api.create(Sale, sale(key, ['x']))
    const all = ['one', 'two', 'three'].map((who) => {
      const { coordinator } = connect()
      const { running } = start({
        api: openResources(coordinator),
        owns: [Price],
        shards: { coordinator, worker: who, buckets: 16 },
        reconcile: reconcile(who),
      })
      return running
    })
    await clock.advance('1m')
    expect(await pricesOf(api)).toHaveLength(40)
    const workers = new Set([...by.values()].flatMap((each) => [...each]))
    expect(workers.size).toBe(3)
    await clock.settle(all[0]!.close())
    for (const { metadata } of (await api.list(Price)).items) await api.delete(Price, { name: metadata.name })
    await clock.advance('1m')
    expect(await pricesOf(api)).toHaveLength(40)
    expect(twice).toEqual([])
    for (const running of all) await clock.settle(running.close())
  })

  it('who takes over has all that was written before, however late its news are', async () => {
    const { api, start, clock, connect } = setUp()
    const part = (who: string, through: (own: ResourceApi) => ResourceApi) => {
      const { coordinator } = connect()
      return start({
        api: through(openResources(coordinator)),
        owns: [Price],
        election: { coordinator, holder: who },
        reconcile: async (_, ctx) => {
          if (!ctx.get() || ctx.owned(Price).length > 0) return
          const price = { metadata: { generateName: 'p-' }, spec: { discount: 1 } }
          await ctx.api.create(Price, ctx.child(price))
        },
      }).running
    }
    const first = part('one', (own) => own)
    await clock.advance('5s')
    const second = part('two', (own) =>
      intercepted(own, {
        async *watch(kind, options) {
          for await (const event of own.watch(kind, options)) {
            if (kind.kind === Price.kind) await sleep(clock, 60_000)
            yield event
          }
        },
      }),
    )
    await clock.advance('1s')
    await api.create(Sale, sale('a', []))
    await clock.advance('1s')
    expect([first.state.kind, second.state.kind]).toEqual(['working', 'standby'])
    await clock.settle(first.close())
    await clock.advance('30s')
    expect(second.state.kind).toBe('working')
    expect(await pricesOf(api)).toHaveLength(1)
    await clock.settle(second.close())
  })

  it('a key is handed over when the work on it has ended, also if it does not hear that it has to', async () => {
    const { api, start, clock, connect } = setUp()
    const busy = new Set<string>()
    const by = new Set<string>()
    const twice: string[] = []
    const part = (worker: string) => {
      const { coordinator } = connect()
      return start({
        api: openResources(coordinator),
        shards: { coordinator, worker, buckets: 4, settle: '500ms' },
        reconcile: async (key) => {
          if (busy.has(key)) twice.push(key)
          busy.add(key)
          by.add(worker)
          await sleep(clock, 3000)
          busy.delete(key)
          return { after: 1 }
        },
      }).running
    }
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await api.create(Sale, sale(name, []))
    const first = part('one')
    await clock.advance('10s')
    const second = part('two')
    await clock.advance('20s')
    expect(by.size).toBe(2)
    expect(twice).toEqual([])
    await clock.settle(Promise.all([first.close(), second.close()]))
  })
})
