// @ts-check
/** Captures of the benchmark, each in a process of its own. What they count is in the log when they count it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { captureChanges, openLog } from '../../dist/events/index.js'
import { runTask, told } from '../apart.mjs'

/** @typedef {{ from: string, log: string, rows: number }} Options */

const SLOT = 'banyan_bench'
const TABLES = { items: { topic: 'item' } }

/** Rows a second of a snapshot. */
async function snapshot(/** @type {Options} */ { from, log: where, rows }) {
  const log = await openLog(where)
  const begun = performance.now()
  const capture = await captureChanges({ from, name: 'bench', log, tables: TABLES })
  await capture.caughtUp()
  const took = performance.now() - begun
  await capture.close()
  await log.close()
  return { rate: (rows / took) * 1000 }
}

/** Rows a second of changes that wait. */
async function drain(/** @type {Options} */ { from, log: where, rows }) {
  const log = await openLog(where)
  const begun = performance.now()
  const capture = await captureChanges({ from, name: 'bench', log, tables: TABLES })
  while (capture.status().rows < rows) await sleep(2)
  const took = performance.now() - begun
  await capture.close()
  await log.close()
  return { rate: (rows / took) * 1000 }
}

/** ms from the commit of a row to its event, which follows it. */
async function lag(/** @type {Options} */ { from, log: where, rows }) {
  const log = await openLog(where)
  const capture = await captureChanges({ from, name: 'bench', log, tables: TABLES })
  await capture.caughtUp()
  /** @type {number[]} */
  const lags = []
  const follower = log
    .follow({ category: 'item', types: ['ItemInserted'] }, { from: 'end' })
    [Symbol.asyncIterator]()
  const first = follower.next()
  await told()
  for (let next = await first; ; next = await follower.next()) {
    const now = Date.now()
    for (const { data } of next.value.events) lags.push(now - /** @type {{ at: number }} */ (data).at)
    if (lags.length >= rows) break
  }
  await capture.close()
  await log.close()
  return percentiles(lags)
}

/** The same with pg-logical-replication, of each row as it is given, or appended to the same log. */
async function peer(/** @type {Options & { task: 'drain' | 'lag' }} */ { from, log: where, rows, task }) {
  const { LogicalReplicationService, PgoutputPlugin } = await import('pg-logical-replication')
  const log = where === '' ? undefined : await openLog(where)
  const service = new LogicalReplicationService(
    { connectionString: from },
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  )
  /** @type {number[]} */
  const lags = []
  let count = 0
  /** @type {() => void} */
  let done = () => undefined
  const all = new Promise((resolve) => (done = () => resolve(undefined)))
  /** @type {{ type: string, data: unknown }[]} */
  let open = []
  service.on('data', async (lsn, message) => {
    if (message.tag === 'insert') open.push({ type: 'ItemInserted', data: message.new })
    if (message.tag !== 'commit') return
    const events = open
    open = []
    if (events.length === 0) return
    if (log)
      for (let at = 0; at < events.length; at += 1000) {
        const streams = new Map()
        for (const event of events.slice(at, at + 1000))
          streams.set(`item-${/** @type {any} */ (event.data).id}`, [event])
        const part = Array.from(streams, ([stream, list]) => ({ stream, events: list }))
        await log.append({ id: `${lsn}/${at}`, streams: part })
      }
    await service.acknowledge(lsn)
    const now = Date.now()
    for (const { data } of events) lags.push(now - Number(/** @type {any} */ (data).at))
    count += events.length
    if (count >= rows) done()
  })
  const begun = performance.now()
  void service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [SLOT] }), SLOT)
  await new Promise((resolve) => service.once('start', () => resolve(undefined)))
  if (task === 'lag') await told()
  await all
  const took = performance.now() - begun
  await service.stop()
  await log?.close()
  return { rate: (rows / took) * 1000, ...percentiles(lags) }
}

function percentiles(/** @type {number[]} */ values) {
  const sorted = values.sort((a, b) => a - b)
  const at = (/** @type {number} */ part) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
  return { p50: at(0.5), p99: at(0.99) }
}

await runTask(import.meta.filename, { snapshot, drain, lag, peer })
