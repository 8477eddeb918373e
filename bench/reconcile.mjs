// @ts-check
/** What 100,000 resources take: to be in a cache, to be looked at once, to be kept, and how long a change takes to its effect. */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  controller,
  defineResource,
  informer,
  openCoordinator,
  openResources,
} from '../dist/coordination/index.js'
import { table } from './measure.mjs'

const RESOURCES = 100_000
const CHANGES = 1000
/** Changes a second, so that none waits for another one. */
const RATE = 200
const STEADY_MS = 5000

/** @type {import('../dist/coordination/index.js').ResourceDefinition<{ size: number }, { seen: number }>} */
const Thing = defineResource({
  group: 'bench.example',
  kind: 'Thing',
  status: { type: 'object', properties: { seen: { type: 'integer' } } },
})

setFlagsFromString('--expose_gc')
const collect = /** @type {() => void} */ (runInNewContext('gc'))

/** @returns bytes in use */
function memory() {
  collect()
  return process.memoryUsage().heapUsed
}

/**
 * @param {() => unknown} work
 * @returns ms of CPU, and ms that have gone by
 */
async function time(work) {
  const began = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / 1000, wall: performance.now() - began }
}

/** @returns {Promise<string>} a table in Markdown */
export async function reconcile() {
  const coordinator = await openCoordinator('memory:')
  const writer = openResources(coordinator)
  const made = await time(async () => {
    for (let index = 0; index < RESOURCES; index++)
      await writer.create(Thing, {
        metadata: { name: `thing-${index}`, namespace: `space-${index % 100}`, labels: { tier: 'web' } },
        spec: { size: 0 },
      })
  })
  // As in another process: with a cache of its own.
  const before = memory()
  const api = openResources(coordinator)
  const listed = await time(() => api.list(Thing, { limit: 1 }))
  const ofStore = memory() - before
  const cache = informer(api, Thing)
  const synced = await time(() => cache.synced())
  const ofCache = memory() - before - ofStore
  await cache.close()

  let runs = 0
  /** @type {() => void} */
  let told = () => undefined
  const things = controller({
    name: 'things',
    api,
    resource: Thing,
    concurrency: 16,
    reconcile: (_, ctx) => {
      runs++
      const size = ctx.get()?.spec.size ?? 0
      if (size > 0) ctx.setStatus({ seen: size })
      if (runs >= RESOURCES) told()
    },
  })
  const first = await time(() => new Promise((resolve) => (told = () => resolve(undefined))))
  await sleep(1000)
  collect()
  const steady = await time(() => sleep(STEADY_MS))

  /** When each was asked for, by name. */
  const asked = new Map()
  /** @type {number[]} */
  const effects = []
  const { metadata } = await writer.list(Thing, { limit: 1 })
  const seeing = (async () => {
    const options = { resourceVersion: metadata.resourceVersion }
    for await (const { type, object } of writer.watch(Thing, options)) {
      if (type !== 'MODIFIED' || object.status?.seen !== object.spec.size) continue
      effects.push(performance.now() - asked.get(object.metadata.name))
      if (effects.length === CHANGES) return
    }
  })()
  await sleep(1000)
  collect()
  for (let index = 0; index < CHANGES; index++) {
    const name = `thing-${index}`
    asked.set(name, performance.now())
    const patch = { type: /** @type {const} */ ('merge'), patch: { spec: { size: 1 } } }
    await writer.patch(Thing, { name, namespace: `space-${index % 100}` }, patch)
    await sleep(1000 / RATE)
  }
  await seeing
  effects.sort((a, b) => a - b)
  const at = (/** @type {number} */ part) =>
    `${(effects[Math.floor(part * (CHANGES - 1))] ?? NaN).toFixed(1)} ms`
  await things.close()
  await api.close()
  await writer.close()
  await coordinator.close()
  const each = (/** @type {number} */ bytes) => `${Math.round(bytes / RESOURCES)} bytes each`
  const micros = ({ cpu = 0 }) => `${((cpu * 1000) / RESOURCES).toFixed(1)} µs of CPU each`
  return [
    `## Reconciliation of ${RESOURCES.toLocaleString('en')} resources`,
    'Coordinator in memory, in the same process. The cache of the store is one for all who list and watch; that of an informer has the same objects.',
    table(
      ['', ''],
      [
        ['made, one after another', micros(made)],
        ['read into the cache of the store', `${micros(listed)}, ${each(ofStore)}`],
        ['listed into an informer', `${micros(synced)}, ${each(ofCache)}`],
        [
          'looked at once, with nothing to be done',
          `${micros(first)}, ${(first.wall / 1000).toFixed(1)} s in all`,
        ],
        ['kept, while nothing happens', `${((100 * steady.cpu) / STEADY_MS).toFixed(2)} % of a core`],
        [`from a change to its effect, at ${RATE} changes a second`, `${at(0.5)}, p99 ${at(0.99)}`],
      ],
    ),
  ].join('\n\n')
}
