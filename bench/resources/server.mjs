// @ts-check
/** A process that serves resources as an API server of Kubernetes does, for resources-watch.mjs. */
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { kubernetesApi, openCoordinator, openResources } from '../../dist/coordination/index.js'
import { nodeListener } from '../../dist/core/index.js'
import { now } from '../events/load.mjs'
import { Thing, thing } from './thing.mjs'

/** Changes a second. */
const RATE = 500

const resources = openResources(await openCoordinator(process.argv[2] ?? 'memory:'))
const handler = kubernetesApi(resources, { definitions: [Thing] })
const server = createServer(nodeListener(handler))
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))

/** @type {Record<string, (count: number) => unknown>} */
const tasks = {
  port: () => /** @type {import('node:net').AddressInfo} */ (server.address()).port,
  fill: async (count) => {
    for (let index = 0; index < count; index++) await resources.create(Thing, thing(index))
    await resources.list(Thing, { resourceVersion: '0', limit: 1 })
  },
  /** Changes the first so many, one after another, at a rate, and says in each when. */
  change: async (count) => {
    const begun = performance.now()
    for (let index = 0; index < count; index++) {
      const due = begun + (index * 1000) / RATE
      if (due > performance.now()) await sleep(due - performance.now())
      const patch = { spec: { at: now() } }
      await resources.patch(Thing, { name: `thing-${index}` }, { type: 'merge', patch })
    }
  },
  usage: () => {
    globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
    return { cpu: (user + system) / 1000, rss, held: heapUsed + external + arrayBuffers }
  },
}
process.on(
  'message',
  async (/** @type {{ call: number, task: string, count: number }} */ { call, task, count }) => {
    process.send?.({ call, result: await tasks[task]?.(count) })
  },
)
process.once('disconnect', () => process.exit())
