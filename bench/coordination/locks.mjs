// @ts-check
/** Locks taken and returned a second. */
import { median, spread, table } from '../measure.mjs'
import { tasksOf } from '../apart.mjs'

const ROUNDS = 3
const ROUND_MS = 1000
/** That want one lock. */
const CLIENTS = 8

/**
 * @typedef {object} Contestant
 * @property {string} module in this folder
 * @property {string} where
 * @property {number} [processes] default 1
 */

/**
 * @typedef {object} Round
 * @property {number} perSecond
 * @property {number} p50 ms
 * @property {number} p99
 * @property {number} cpu µs of the clients
 * @property {number} most of all that were taken, what one client took, in %
 */

const rate = (/** @type {Round[] | undefined} */ rounds) => rounds?.at(-1)?.perSecond.toFixed(0)

const { begin } = tasksOf(new URL('./tasks.mjs', import.meta.url))

/**
 * @param {{ sqlite: string, postgres: string, etcd: string, redis: string }} places
 * @returns {Promise<string[]>} tables in Markdown
 */
export async function locks({ sqlite, postgres, etcd, redis }) {
  /** @type {Record<string, Contestant>} */
  const contestants = {
    'banyan, memory': { module: 'banyan', where: 'memory:' },
    'banyan, sqlite': { module: 'banyan', where: sqlite },
    'banyan, sqlite, 4 processes': { module: 'banyan', where: sqlite, processes: 4 },
    'banyan, postgres': { module: 'banyan', where: postgres },
    'banyan, etcd': { module: 'banyan', where: etcd },
    'etcd3, etcd': { module: 'etcd3', where: etcd },
    'redlock, Redis': { module: 'redlock', where: redis },
  }
  /** @type {Record<string, Round[]>} */
  const alone = {}
  /** @type {Record<string, Round[]>} */
  const contended = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, contestant] of Object.entries(contestants)) {
      const { processes = 1 } = contestant
      ;(alone[name] ??= []).push(await measure(contestant, processes, (index) => `own-${index}`))
      ;(contended[name] ??= []).push(await measure(contestant, CLIENTS, () => 'shared'))
      console.error(`  ${name}: ${rate(alone[name])}, ${rate(contended[name])} locks a second`)
    }
  return [
    '### Lock and unlock, one after the other, a lock that nobody else wants',
    'Of 4 processes each has a lock of its own; the rate is of all.',
    tableOf(alone),
    `### The same with ${CLIENTS} clients that want one lock`,
    'Each has a connection of its own; times are from asking for the lock to having returned it. Ours is first come, first served. The others try again, redlock after 100 to 300 ms as it does by itself, etcd3 after 10 ms as we do for it.',
    tableOf(contended),
  ]
}

/**
 * @param {Contestant} contestant
 * @param {number} clients of all processes
 * @param {(index: number) => string} lockOf which lock those of a process want
 * @returns {Promise<Round>}
 */
async function measure({ module, where, processes = 1 }, clients, lockOf) {
  const running = Array.from({ length: processes }, (_, index) =>
    begin('locks', {
      contestant: module,
      where,
      clients: clients / processes,
      name: lockOf(index),
      ms: ROUND_MS,
    }),
  )
  await Promise.all(running.map(({ ready }) => ready))
  for (const { go } of running) go()
  /** @type {(Round & { counts: number[] })[]} */
  const found = await Promise.all(running.map(({ result }) => result))
  const of = (/** @type {keyof Round} */ key) => found.map((each) => each[key])
  const sum = (/** @type {number[]} */ values) => values.reduce((all, each) => all + each, 0)
  const counts = found.flatMap((each) => each.counts)
  return {
    perSecond: sum(of('perSecond')),
    p50: median(of('p50')),
    p99: Math.max(...of('p99')),
    cpu: median(of('cpu')),
    most: (Math.max(...counts) / sum(counts)) * 100,
  }
}

function tableOf(/** @type {Record<string, Round[]>} */ rounds) {
  const of = (/** @type {Round[] | undefined} */ list = [], /** @type {keyof Round} */ key) =>
    list.map((round) => round[key])
  const middle = (/** @type {string} */ name) => median(of(rounds[name], 'perSecond'))
  const times = (/** @type {number} */ ms) => ms.toFixed(ms < 1 ? 3 : ms < 100 ? 2 : 0)
  return table(
    ['', 'per second', 'x etcd3', 'x redlock', 'p50 ms', 'p99 ms', 'µs of CPU each', 'most of one client'],
    Object.entries(rounds).map(([name, list]) => [
      name,
      spread(of(list, 'perSecond')),
      (middle(name) / middle('etcd3, etcd')).toFixed(2),
      (middle(name) / middle('redlock, Redis')).toFixed(2),
      times(median(of(list, 'p50'))),
      times(median(of(list, 'p99'))),
      median(of(list, 'cpu')).toFixed(0),
      `${median(of(list, 'most')).toFixed(0)} %`,
    ]),
  )
}
