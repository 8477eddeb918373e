// @ts-check
/**
 * What it costs a client to have everything in memory: the informer beside that of @kubernetes/client-node, against the same
 * server. Each client is a process of its own, and they take turns.
 */
import { fork } from 'node:child_process'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'

/** So that all of it can be tried in a few seconds: SCALE=0.02. */
const SCALE = Number(process.env['SCALE'] ?? 1)
const ROUNDS = 3
const RESOURCES = 100_000 * SCALE
const CHANGES = 4000 * SCALE
const CONTESTANTS = /** @type {const} */ (['banyan', 'client-node'])
const SERVER = new URL('./resources/server.mjs', import.meta.url)

/** @typedef {{ sync: number, syncCpu: number, bytes: number, changeCpu: number, p50: number, p99: number, sum: number }} Round */

const { begin } = tasksOf(new URL('./resources/tasks.mjs', import.meta.url))

/** @returns {Promise<string>} a table in Markdown */
export async function informers() {
  const server = fork(SERVER, ['memory:'])
  /** @returns {Promise<any>} */
  const ask = (/** @type {string} */ task, /** @type {number} */ count = 0) =>
    new Promise((resolve) => {
      server.once('message', (/** @type {{ result: unknown }} */ { result }) => resolve(result))
      server.send({ call: 0, task, count })
    })
  /** @type {Record<string, Round[]>} */
  const rounds = {}
  try {
    const port = await ask('port')
    await ask('fill', RESOURCES)
    for (let round = 0; round < ROUNDS; round++)
      for (const contestant of CONTESTANTS) {
        const client = begin('informer', { contestant, port, resources: RESOURCES, changes: CHANGES })
        await client.ready
        client.go()
        await ask('change', CHANGES)
        const found = await client.result
        console.error(`  ${contestant}: ${JSON.stringify(found)}`)
        ;(rounds[contestant] ??= []).push(found)
      }
  } finally {
    server.disconnect()
  }
  if (new Set(Object.values(rounds).map(([first]) => first?.sum)).size !== 1)
    throw new Error('they have not seen the same')
  /** @type {(title: string, key: keyof Round, write?: (value: number) => string) => string[]} */
  const row = (title, key, write) => {
    const [ours = [], theirs = []] = CONTESTANTS.map((name) => (rounds[name] ?? []).map((each) => each[key]))
    return [title, spread(ours, write), spread(theirs, write), (median(ours) / median(theirs)).toFixed(2)]
  }
  const two = (/** @type {number} */ value) => value.toFixed(2)
  return [
    `## Informers of ${RESOURCES.toLocaleString('en')} resources, over HTTP`,
    `The same server, which keeps them in memory; ours through the driver for Kubernetes. Both call a listener for each resource. Medians of ${ROUNDS} rounds, with the lowest and the highest; ${CHANGES} changes at 500 a second.`,
    table(
      ['', ...CONTESTANTS, 'ratio'],
      [
        row('until it has all, s', 'sync', (value) => two(value / 1000)),
        row('for that, µs of CPU each', 'syncCpu', (value) => value.toFixed(1)),
        row('bytes each, kept', 'bytes'),
        row('µs of CPU for each change', 'changeCpu'),
        row('from before a change is written until the listener is called: p50, ms', 'p50', two),
        row('p99, ms', 'p99', two),
      ],
    ),
    'Published elsewhere, for informers of client-go (Go), whose objects are larger: 16.3 KiB for each of 200,000 custom resources, or 6.3 KiB without managed fields and templates, with 0.015 of a core while nothing happens (openkruise/agents#724); about 7 KB and 119 allocations for each of 16,000 pods that are cut down already (cilium/cilium#48750).',
  ].join('\n\n')
}
