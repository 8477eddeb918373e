import { PassThrough } from 'node:stream'
import { systemClock } from '../../src/core/clock.js'
import { createLog } from '../../src/node/log.js'
import { Node } from '../../src/node/node.js'
import { specOf } from './events-node.js'
import { open } from './gateway.js'

/** A configuration with a coordinator, and a route that answers by itself. */
export function coordinationConfig(coordination: object, more: object = {}): object {
  return {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    services: {},
    coordination,
    routes: { hi: { match: { path: '/*' }, respond: { body: 'hi' } } },
    ...more,
  }
}

/** A running node with a coordinator. */
export async function startCoordination(coordination: object, more: object = {}) {
  const lines: string[] = []
  const logged = new PassThrough().on('data', (data: Buffer) => lines.push(data.toString()))
  const node = await Node.create(
    specOf(coordinationConfig(coordination, more)),
    createLog(logged, systemClock),
  )
  await node.start()
  open.push({ close: () => node.stop(AbortSignal.abort()) })
  const admin = /admin on (http:[^"\s]+)/.exec(lines.join(''))![1]!
  const ask = async (path: string, init: RequestInit = {}): Promise<unknown> =>
    (await fetch(`${admin}${path}`, init)).json()
  return { node, admin, ask, lines }
}
