import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { kubernetesApi, type ResourceApi, type ResourceDefinition } from '../../../src/coordination/index.js'
import type { KubernetesConfig } from '../../../src/coordination/index.js'
import { nodeListener } from '../../../src/core/node-listener.js'
import { configOf } from './server.js'

/** Resources, served as Kubernetes serves them. */
export interface Served extends AsyncDisposable {
  readonly url: string
  readonly config: KubernetesConfig
  /** Ends all connections; it is there for new ones. */
  cut(): void
}

export async function served(
  resources: ResourceApi,
  definitions: readonly ResourceDefinition[],
): Promise<Served> {
  const server = createServer(nodeListener(kubernetesApi(resources, { definitions })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    config: configOf(url),
    cut: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      await resources.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
