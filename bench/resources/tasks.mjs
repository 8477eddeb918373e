// @ts-check
/** Stores and clients of resources, in processes of their own. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  informer,
  kubernetesResources,
  openCoordinator,
  openResources,
} from '../../dist/coordination/index.js'
import { runTask, told } from '../apart.mjs'
import { keepInFlight, now, percentiles } from '../events/load.mjs'
import { Thing, thing } from './thing.mjs'

const WARM_MS = 200
/** Calls between two turns of the event loop, at most: in memory nothing ever waits for it. */
const TURN = 100
/** That are written again and again. */
const POOL = 200
const FILLING = 64
const PAGE = 500
const WRITER = { fieldManager: 'bench' }

setFlagsFromString('--expose_gc')
const collect = /** @type {() => void} */ (runInNewContext('gc'))

/** Bytes in use. */
async function held() {
  // Buffers are freed behind the collection that has found them.
  for (let time = 0; time < 3; time++) {
    collect()
    await sleep(50)
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

/** @param {() => Promise<unknown>} work @returns ms that have gone by, and ms of CPU */
async function timed(work) {
  const before = process.cpuUsage()
  const began = performance.now()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: performance.now() - began, cpu: (user + system) / 1000 }
}

/** @param {number} count @param {number} concurrency @param {(index: number) => Promise<unknown>} call */
async function forEach(count, concurrency, call) {
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < count) await call(next++)
    }),
  )
}

/** @param {string} where @param {(coordinator: import('../../dist/coordination/index.js').Coordinator) => Promise<unknown>} use */
async function withCoordinator(where, use) {
  const coordinator = await openCoordinator(where)
  try {
    return await use(coordinator)
  } finally {
    await coordinator.close()
  }
}

/**
 * Calls that each have one of the pool for themselves, so that writers are not in each other's way.
 *
 * @template Item
 * @param {Item[]} pool
 * @param {(item: Item, number: number) => Promise<Item>} call resolves with what is put back
 */
function ofPool(pool, call) {
  return async (/** @type {number} */ number) => {
    const item = /** @type {Item} */ (pool.shift())
    pool.push(await call(item, number))
  }
}

/** @typedef {import('../../dist/coordination/index.js').ResourceApi} Api */

/**
 * What is called again and again, after what it needs was made.
 *
 * @type {Record<string, (api: Api, namespace: string) => Promise<(number: number) => Promise<unknown>>>}
 */
const CALLS = {
  create: async (api, namespace) => (number) => api.create(Thing, thing(number, namespace), WRITER),
  update: async (api, namespace) =>
    ofPool(await made(api, namespace), (last, number) =>
      api.update(Thing, { ...last, spec: { ...last.spec, size: ~number } }, WRITER),
    ),
  merge: async (api, namespace) =>
    ofPool(await made(api, namespace), ({ metadata: { name } }, number) =>
      api.patch(Thing, { name, namespace }, { type: 'merge', patch: { spec: { size: ~number } } }, WRITER),
    ),
  apply: async (api, namespace) => {
    const apply = async (/** @type {number} */ index, /** @type {number} */ size) => {
      const { apiVersion, kind } = Thing
      const { metadata, spec } = thing(index, namespace)
      const patch = { apiVersion, kind, metadata, spec: { ...spec, size } }
      await api.patch(Thing, { name: metadata.name, namespace }, { type: 'apply', patch }, WRITER)
      return index
    }
    await forEach(POOL, FILLING, (index) => apply(index, index))
    return ofPool(
      Array.from({ length: POOL }, (_, index) => index),
      (index, number) => apply(index, ~number),
    )
  },
  get: async (api, namespace) => {
    await made(api, namespace)
    return (number) => api.get(Thing, { name: `thing-${number % POOL}`, namespace })
  },
}

/** @param {Api} api @param {string} namespace */
async function made(api, namespace) {
  const all = new Array(POOL)
  await forEach(POOL, FILLING, async (index) => {
    all[index] = await api.create(Thing, thing(index, namespace), WRITER)
  })
  return all
}

const tasks = {
  /**
   * Calls a second, of each kind in a namespace of its own.
   *
   * @param {{ where: string, round: number, concurrencies: number[], ms: number }} options
   */
  calls: ({ where, round, concurrencies, ms }) =>
    withCoordinator(where, async (coordinator) => {
      const api = openResources(coordinator)
      /** @type {Record<string, { perSecond: number, p50: number, p99: number }>} */
      const found = {}
      for (const [name, prepare] of Object.entries(CALLS))
        for (const concurrency of concurrencies) {
          const call = await prepare(api, `${name}-${concurrency}-${round}`)
          let calls = 0
          const each = async (/** @type {number} */ number) => {
            await call(number)
            if (++calls % TURN === 0) await nextTurn()
          }
          found[`${name} ${concurrency}`] = await keepInFlight(concurrency, ms, each, WARM_MS)
        }
      return found
    }),

  /**
   * Lists of many, and what a cache of them takes.
   *
   * @param {{ where: string, resources: number, lists: number }} options
   */
  lists: ({ where, resources, lists }) =>
    withCoordinator(where, async (coordinator) => {
      const writer = openResources(coordinator)
      const fill = await timed(() =>
        forEach(resources, FILLING, (index) => writer.create(Thing, thing(index), WRITER)),
      )
      await writer.close()
      const before = await held()
      // As in another process: with a cache of its own.
      const api = openResources(coordinator)
      const sync = await timed(() => api.list(Thing, { resourceVersion: '0', limit: 1 }))
      const bytes = (await held()) - before
      /** @type {Record<string, number[]>} */
      const took = { fresh: [], cached: [], page: [] }
      for (let round = -1; round < lists; round++) {
        const fresh = await timed(async () => check((await api.list(Thing)).items.length, resources))
        const cached = await timed(async () =>
          check((await api.list(Thing, { resourceVersion: '0' })).items.length, resources),
        )
        let pages = 0
        const paged = await timed(async () => {
          let count = 0
          /** @type {string | undefined} */
          let token
          do {
            /** @type {import('../../dist/coordination/index.js').ListOptions} */
            const options = { limit: PAGE, ...(token !== undefined && { continue: token }) }
            const { items, metadata } = await api.list(Thing, options)
            count += items.length
            pages++
            token = metadata.continue
          } while (token !== undefined)
          check(count, resources)
        })
        if (round < 0) continue // It warms up.
        took['fresh']?.push(fresh.wall)
        took['cached']?.push(cached.wall)
        took['page']?.push(paged.wall / pages)
      }
      return { fill: fill.wall, sync: sync.wall, bytes: bytes / resources, ...took }
    }),

  /**
   * Notes how long news take from another process, or from this one.
   *
   * @param {{ where: string, namespace: string, writes: number, perSecond: number, alone: boolean }} options
   */
  watch: ({ where, namespace, writes, perSecond, alone }) =>
    withCoordinator(where, async (coordinator) => {
      const api = openResources(coordinator)
      const { metadata } = await api.list(Thing)
      // Those of the first second warm up.
      const all = writes + perSecond
      /** @type {number[]} */
      const late = []
      const watching = (async () => {
        const options = { namespace, resourceVersion: metadata.resourceVersion }
        for await (const { type, object } of api.watch(Thing, options)) {
          if (type !== 'ADDED') continue
          late.push(now() - (object.spec.at ?? NaN))
          if (late.length === all) return
        }
      })()
      if (alone) await createAtRate(openResources(coordinator), namespace, all, perSecond)
      else await told()
      await watching
      return percentiles(late.slice(perSecond))
    }),

  /**
   * Writes what {@link tasks.watch} waits for.
   *
   * @param {{ where: string, namespace: string, writes: number, perSecond: number }} options
   */
  write: ({ where, namespace, writes, perSecond }) =>
    withCoordinator(where, async (coordinator) => {
      const api = openResources(coordinator)
      await api.list(Thing)
      await told()
      await createAtRate(api, namespace, writes + perSecond, perSecond)
    }),

  /**
   * An informer: what it takes to have everything, and to hear of changes.
   *
   * @param {{ contestant: 'banyan' | 'client-node', port: number, resources: number, changes: number }} options
   */
  async informer({ contestant, port, resources, changes }) {
    const { KubeConfig } = await import('@kubernetes/client-node')
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      { name: 'bench', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'bench' },
    )
    const open = contestant === 'banyan' ? openOurs : openTheirs
    /** @type {number[]} */
    const late = []
    let count = 0
    let sum = 0
    /** @type {() => void} */
    let reached = () => undefined
    const hear = (/** @type {Spec} */ spec) => {
      sum += spec.size
      if (count >= resources) late.push(now() - (spec.at ?? NaN))
      if (++count === resources || count === resources + changes) reached()
    }
    const hasAll = new Promise((resolve) => (reached = () => resolve(undefined)))
    const start = await open(config, hear)
    const before = await held()
    /** @type {unknown} */
    let kept
    const sync = await timed(async () => {
      kept = start()
      await hasAll
    })
    const bytes = ((await held()) - before) / resources
    const hasChanges = new Promise((resolve) => (reached = () => resolve(undefined)))
    const changed = await timed(async () => {
      await told()
      await hasChanges
    })
    await kept
    return {
      sync: sync.wall,
      syncCpu: (sync.cpu * 1000) / resources,
      bytes,
      changeCpu: (changed.cpu * 1000) / changes,
      ...percentiles(late),
      sum,
    }
  },
}

/** @typedef {import('./thing.mjs').Spec} Spec */
/** @typedef {(config: import('@kubernetes/client-node').KubeConfig, hear: (spec: Spec) => void) => Promise<() => unknown>} Opens */

/** @type {Opens} */
async function openOurs(config, hear) {
  const api = await kubernetesResources({ kubeConfig: config })
  return () => {
    const things = informer(api, Thing, { namespace: 'default' })
    things.on('change', ({ after }) => after && hear(after.spec))
    return things.synced()
  }
}

/** As its readme shows it, for a custom resource. @type {Opens} */
async function openTheirs(config, hear) {
  const { CustomObjectsApi, makeInformer } = await import('@kubernetes/client-node')
  const { group, version, plural } = Thing
  const custom = config.makeApiClient(CustomObjectsApi)
  const things = makeInformer(
    config,
    `/apis/${group}/${version}/namespaces/default/${plural}`,
    /** @returns {Promise<any>} */
    () => custom.listNamespacedCustomObject({ group, version, namespace: 'default', plural }),
  )
  things.on('change', (/** @type {any} */ object) => hear(object.spec))
  things.on('error', (/** @type {unknown} */ error) => {
    throw error
  })
  return () => things.start()
}

/** @param {number} count @param {number} expected */
function check(count, expected) {
  if (count !== expected) throw new Error(`${count} of ${expected}`)
}

/**
 * Makes resources that say when.
 *
 * @param {Api} api @param {string} namespace @param {number} count @param {number} perSecond
 */
async function createAtRate(api, namespace, count, perSecond) {
  const begun = performance.now()
  for (let number = 0; number < count; number++) {
    const due = begun + (number * 1000) / perSecond
    if (due > performance.now()) await sleep(due - performance.now())
    const { metadata, spec } = thing(number, namespace)
    await api.create(Thing, { metadata, spec: { ...spec, at: now() } }, WRITER)
  }
}

await runTask(import.meta.filename, tasks)
