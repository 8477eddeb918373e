// @ts-check
/** What the queue of reconciliation takes: keys that come and are taken, keys that were there, keys for later. By CPU time. */
import { setImmediate as turn } from 'node:timers/promises'
import { workQueue } from '../dist/coordination/reconciliation/queue/work-queue.js'
import { virtualRuntime } from '../dist/testing/index.js'
import { spread, table } from './measure.mjs'

const ROUNDS = 7
const KEYS = 100_000

const keys = Array.from({ length: KEYS }, (_, index) => `namespace-${index % 50}/resource-${index}`)
/** @param {number} index */
const keyAt = (index) => /** @type {string} */ (keys[index % KEYS])

/** @typedef {ReturnType<typeof workQueue>} Queue */

/** @param {Queue} queue @param {number} count */
async function takeSome(queue, count) {
  for (let index = 0; index < count; index++) (await queue.take())?.done()
}

/**
 * One row for each: what is counted, and what is done with a new queue that `before` has filled.
 *
 * @type {{ name: string, count: number, before?: (queue: Queue) => void, work: (queue: Queue) => unknown }[]}
 */
const TASKS = [
  {
    name: '`add`, `take`, `done`, one key after another',
    count: KEYS,
    work: async (queue) => {
      for (const key of keys) {
        queue.add(key)
        await takeSome(queue, 1)
      }
    },
  },
  {
    name: 'the same, ten workers wait',
    count: KEYS,
    work: async (queue) => {
      const workers = Array.from({ length: 10 }, async () => {
        for (let item = await queue.take(); item; item = await queue.take()) item.done()
      })
      for (const [index, key] of keys.entries()) {
        queue.add(key)
        if (index % 10 === 9) await turn()
      }
      queue.shutDown()
      await Promise.all(workers)
    },
  },
  {
    name: '`add` of 100,000 keys',
    count: KEYS,
    work: (queue) => keys.forEach((key) => queue.add(key)),
  },
  {
    name: '`add` of keys that wait already',
    count: 10 * KEYS,
    before: (queue) => keys.forEach((key) => queue.add(key)),
    work: (queue) => {
      for (let index = 0; index < 10 * KEYS; index++) queue.add(keyAt(index))
    },
  },
  {
    name: '`take`, `done` of 100,000 that wait, of ten priorities',
    count: KEYS,
    before: (queue) => keys.forEach((key, index) => queue.add(key, { priority: -10 * (index % 10) })),
    work: (queue) => takeSome(queue, KEYS),
  },
  {
    name: '`addAfter` of 100,000, none like the other',
    count: KEYS,
    work: (queue) => keys.forEach((key, index) => queue.addAfter(key, 1 + ((index * 7919) % 60_000))),
  },
  {
    name: '`retry` of 100,000',
    count: KEYS,
    work: (queue) => keys.forEach((key) => queue.retry(key)),
  },
]

/** @param {(typeof TASKS)[number]} task @returns {Promise<number>} keys a second of CPU */
async function measure({ count, before, work }) {
  const queue = workQueue({ runtime: virtualRuntime() })
  before?.(queue)
  const start = process.cpuUsage()
  await work(queue)
  const { user, system } = process.cpuUsage(start)
  await queue.close()
  return (count * 1e6) / (user + system)
}

/** @returns {Promise<string>} a table in Markdown */
export async function workQueues() {
  const rows = []
  for (const task of TASKS) {
    const rates = []
    for (let round = 0; round < ROUNDS; round++) rates.push(await measure(task))
    rows.push([task.name, spread(rates, (rate) => (rate / 1e6).toFixed(2))])
  }
  return [
    '## Work queue of reconciliation',
    `By CPU time of the process. Median of ${ROUNDS} rounds (lowest – highest).`,
    table(['', 'million keys a second'], rows),
  ].join('\n\n')
}
