import { createHash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { systemClock } from '../../src/core/clock.js'
import { checkSource } from '../../src/node/config/load.js'
import { formatProblem } from '../../src/node/config/problem.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { createLog } from '../../src/node/log.js'
import { Node, type NodeSpec } from '../../src/node/node.js'
import { open } from './gateway.js'

/** An API key that may come to the log. */
export const KEY = 'the-key-of-the-till'

/** How an authenticator knows it. */
export const KEYS = {
  apiKey: { keys: { till: { hash: `sha256:${createHash('sha256').update(KEY).digest('hex')}` } } },
}

/** A configuration with a log and a route `/events/*` to it. */
export function eventsConfig(route: object = {}, more: object = {}): object {
  return {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    events: { driver: 'memory' },
    services: {},
    authenticators: { keys: KEYS },
    routes: { events: { match: { path: '/events/*' }, events: route, access: { by: 'keys' } } },
    ...more,
  }
}

/** What a configuration says, as a node takes it. */
export function specOf(config: object): NodeSpec {
  const loaded = checkSource('test', readYaml(JSON.stringify(config), {}))
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.spec
}

/** A running node with an event log. */
export async function startEvents(route: object = {}, more: object = {}) {
  const lines: string[] = []
  const logged = new PassThrough().on('data', (data: Buffer) => lines.push(data.toString()))
  const node = await Node.create(specOf(eventsConfig(route, more)), createLog(logged, systemClock))
  await node.start()
  open.push({ close: () => node.stop(AbortSignal.abort()) })
  const [url] = node.state().node.listen
  const ask = (
    path: string,
    { headers, ...init }: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
  ) => fetch(`${url!}/events${path}`, { headers: { 'x-api-key': KEY, ...headers }, ...init })
  const admin = /admin on (http:[^"\s]+)/.exec(lines.join(''))?.[1]
  return { node, url: url!, port: Number(new URL(url!).port), ask, lines, admin: admin! }
}

/** One CloudEvent as a client sends it. */
export function cloudEvent(id: string, more: object = {}): string {
  return JSON.stringify({ specversion: '1.0', id, source: '/test', type: 'Happened', data: { id }, ...more })
}

/** The request that appends one CloudEvent. */
export function structured(id: string, headers: Record<string, string> = {}, more: object = {}) {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json', ...headers },
    body: cloudEvent(id, more),
  }
}
