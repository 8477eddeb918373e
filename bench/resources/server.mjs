// @ts-check
/** A process that serves resources as an API server of Kubernetes does, for resources-watch.mjs. */
import { createServer } from 'node:http'
import {
  defineResource,
  kubernetesApi,
  openCoordinator,
  openResources,
} from '../../dist/coordination/index.js'
import { nodeListener } from '../../dist/core/index.js'

const Thing = defineResource({
  group: 'bench.example',
  kind: 'Thing',
  spec: { type: 'object', properties: { size: { type: 'integer' }, note: { type: 'string' } } },
  status: { type: 'object', properties: { phase: { type: 'string' } } },
})
const resources = openResources(await openCoordinator(process.argv[2] ?? 'memory:'))
const handler = kubernetesApi(resources, { definitions: [Thing] })
const server = createServer(nodeListener(handler))
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))

/** @type {Record<string, (count: number) => unknown>} */
const tasks = {
  port: () => /** @type {import('node:net').AddressInfo} */ (server.address()).port,
  fill: async (count) => {
    for (let index = 0; index < count; index++)
      await resources.create(Thing, {
        metadata: { name: `thing-${index}`, labels: { app: 'bench', part: `${index % 10}` } },
        spec: { size: index, note: 'x'.repeat(100) },
      })
    await resources.list(Thing, { resourceVersion: '0', limit: 1 })
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
