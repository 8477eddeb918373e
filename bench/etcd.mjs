// @ts-check
/**
 * Locks and keys in etcd, beside the package etcd3. Clients run in processes of their own, against one etcd with the defaults
 * that it has, and take turns.
 */
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 3
const ROUND_MS = 3000
const CONTESTANTS = ['banyan', 'etcd3']
const LOADS = /** @type {const} */ ([
  { what: 'locked', title: 'lock and unlock' },
  { what: 'put', title: 'put of 100 B' },
  { what: 'get', title: 'get' },
])
const CONCURRENCIES = [1, 64]

/** @typedef {{ perSecond: number, p50: number, p99: number, cpu: number }} Round `cpu`: µs of the client */

const { apart } = tasksOf(new URL('./etcd/tasks.mjs', import.meta.url))

/** @returns {Promise<string>} tables in Markdown */
export async function etcd() {
  const server = await start('etcd')
  try {
    const parts = ['## Locks and keys in etcd']
    for (const { what, title } of LOADS)
      for (const concurrency of CONCURRENCIES) {
        /** @type {Record<string, Round[]>} */
        const rounds = {}
        for (let round = 0; round < ROUNDS; round++)
          for (const contestant of CONTESTANTS)
            (rounds[contestant] ??= []).push(
              await apart('load', { contestant, port: server.port, what, concurrency, ms: ROUND_MS }),
            )
        parts.push(`### ${title}, ${concurrency === 1 ? 'one after the other' : `${concurrency} at a time`}`)
        parts.push(tableOf(rounds))
      }
    return parts.join('\n\n')
  } finally {
    await server.stop()
  }
}

function tableOf(/** @type {Record<string, Round[]>} */ rounds) {
  const of = (/** @type {Round[]} */ list, /** @type {keyof Round} */ key) => list.map((round) => round[key])
  const peer = median(of(rounds['etcd3'] ?? [], 'perSecond'))
  return table(
    ['', 'per second', 'beside etcd3', 'p50 ms', 'p99 ms', 'µs of CPU each'],
    Object.entries(rounds).map(([name, list]) => [
      name,
      spread(of(list, 'perSecond')),
      (median(of(list, 'perSecond')) / peer).toFixed(2),
      median(of(list, 'p50')).toFixed(2),
      median(of(list, 'p99')).toFixed(2),
      median(of(list, 'cpu')).toFixed(0),
    ]),
  )
}
