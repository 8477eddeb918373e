import { beforeAll, describe, vi } from 'vitest'
import {
  crdOf,
  defineResource,
  kubernetesResources,
  openCoordinator,
  openResources,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { systemClock } from '../../../src/core/clock.js'
import { MemoryCoordination } from '../../../src/drivers/memory/coordinator.js'
import { conformanceKinds } from '../../../src/testing/index.js'
import { runResourceApiConformance } from '../resources/run.js'
import { served } from './served.js'

describe('resources over the Kubernetes API of ours', () => {
  runResourceApiConformance({
    can: ['forget', 'bookmark', 'exceed'],
    open: async () => {
      const opened: AsyncDisposable[] = []
      const store = new MemoryCoordination(systemClock)
      // Each is a server of its own, as it is one that knows what was.
      const connect = async (): Promise<ResourceApi> => {
        const coordinator = await openCoordinator(store.connect())
        const resources = openResources(coordinator, { bookmarkEvery: '500ms' })
        const server = await served(resources, conformanceKinds)
        opened.unshift(server, coordinator)
        return kubernetesResources({ kubeConfig: server.config })
      }
      return {
        api: await connect(),
        connect,
        tools: { forget: connect, bookmark: () => Promise.resolve() },
        dispose: async () => {
          for (const each of opened) await each[Symbol.asyncDispose]()
        },
      }
    },
  })
})

/** A cluster of 1.31 or later, for tests: what it has of the kinds of the suite is deleted. */
const CLUSTER = process.env['BANYAN_TEST_KUBECONFIG']

const Crd = defineResource({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  scope: 'Cluster',
})

describe.skipIf(CLUSTER === undefined)('resources of a real Kubernetes', () => {
  const connect = () => kubernetesResources({ kubeConfig: CLUSTER!, timeout: '10s' })
  beforeAll(async () => {
    await using api = await connect()
    for (const kind of conformanceKinds) {
      const { metadata, spec } = crdOf(kind)
      await api.patch(Crd, metadata, { type: 'apply', patch: { metadata, spec } }, { force: true })
      // It is served a moment after it is there.
      await vi.waitFor(() => api.list(kind), { timeout: 10_000, interval: 100 })
    }
  })
  runResourceApiConformance({
    open: async () => {
      const api = await connect()
      for (const kind of conformanceKinds) {
        const patch = { metadata: { finalizers: null } }
        for (const { object, removed } of await api.deleteCollection(kind))
          if (!removed) await api.patch(kind, object.metadata, { type: 'merge', patch })
      }
      return { api, connect }
    },
  })
})
