import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  kubernetesApi,
  openResources,
  type KubernetesApiOptions,
  type ResourceApi,
  type ResourceDefinition,
} from '../../src/coordination/index.js'
import { nodeListener, type NodeListenerOptions } from '../../src/core/node-listener.js'
import type { Telemetry } from '../../src/core/telemetry.js'
import { world, type World } from './reachable.js'

/** An API server of Kubernetes kinds, on virtual time, over a store in memory. */
export interface KubernetesServer extends AsyncDisposable {
  readonly url: string
  readonly api: ResourceApi
  readonly world: World
  /** What stands between the API and its store. */
  readonly engine: ReturnType<World['connect']>['engine']
  /** Asks for JSON. A body that is no text is sent as JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Events of a watch, one by one. */
  watch(path: string, headers?: Record<string, string>): Promise<Watching>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

export interface Event {
  readonly type: string
  readonly object: unknown
}

export interface Watching {
  readonly status: number
  readonly headers: Headers
  /** Undefined at the end. */
  next(): Promise<Event | undefined>
  /** Goes away. */
  close(): Promise<void>
}

export async function kubernetesServer(
  definitions: readonly ResourceDefinition[],
  options: Omit<KubernetesApiOptions, 'definitions'> & {
    listener?: NodeListenerOptions
    window?: number
    telemetry?: Telemetry
  } = {},
): Promise<KubernetesServer> {
  const { listener, window = 1000, telemetry, ...others } = options
  const place = world()
  const runtime = { ...place.runtime, ...(telemetry && { telemetry }) }
  const { coordinator, engine } = place.connect()
  const api = openResources(coordinator, { window })
  const handler = kubernetesApi(api, { definitions, runtime, ...others })
  const server = createServer(nodeListener(handler, listener))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url, api, world: place, engine },
    async ask(method, path, body, headers = {}) {
      const response = await fetch(url + path, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      const isJson =
        text !== '' && response.headers.get('content-type')?.startsWith('application/json') === true
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? (JSON.parse(text) as unknown) : text,
      }
    },
    async watch(path, headers = {}) {
      const left = new AbortController()
      const response = await fetch(url + path, { headers, signal: left.signal })
      const lines = linesOf(response.body as unknown as AsyncIterable<Uint8Array>)
      return {
        ...{ status: response.status, headers: response.headers },
        async next() {
          const line = await lines.next()
          return line.done === true ? undefined : (JSON.parse(line.value) as Event)
        },
        close() {
          left.abort()
          return Promise.resolve()
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await api.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await coordinator.close()
    },
  }
}

async function* linesOf(parts: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const part of parts) {
    text += decoder.decode(part, { stream: true })
    const lines = text.split('\n')
    text = lines.pop()!
    yield* lines
  }
}
