// @ts-check
/**
 * Commands a second: load a stream, decide, append at the revision that was seen; ours beside Emmett, the same decider on
 * the same engine. Each load runs in a process of its own; rounds of peers take turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 3
const ROUND_MS = 2000

/** Streams of so many events, how many of them, and after how many events there is a snapshot where there are any. */
const STREAMS = [
  // So many that they hardly grow; what is slow gets by with fewer.
  { events: 10, streams: { banyan: 20_000, emmettPostgres: 8000, emmettSqlite: 1000 }, every: 10 },
  { events: 1000, streams: { banyan: 100, emmettPostgres: 100, emmettSqlite: 100 }, every: 100 },
]
/** How many of those streams one handler needs. */
const ALONE = 0.3

const { apart } = tasksOf(new URL('./event-sourcing/tasks.mjs', import.meta.url))

/** @typedef {{ perSecond: number, p50: number, p99: number, blocked: number, events: number }} Load */
/** @typedef {{ contestant: 'banyan' | 'emmettPostgres' | 'emmettSqlite', where: string, snapshots?: boolean }} Contestant */

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : 1)

/** @returns {Promise<string>} tables in Markdown */
export async function eventSourcing() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-event-sourcing-'))
  const server = await start('postgres')
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`
  try {
    const parts = [
      '## Event sourcing',
      'Commands handled: a stream is loaded, a decider decides, one event of 170 B is appended, durably, at the revision ' +
        'that was seen. Emmett has no snapshots; ours are those in memory. Emmett on SQLite gets one command at a time, ' +
        'since it fails where several write at once.',
      await commands('sqlite', {
        'banyan, sqlite': { contestant: 'banyan', where: `sqlite:${join(directory, 'banyan')}` },
        'banyan, sqlite, snapshots': {
          contestant: 'banyan',
          where: `sqlite:${join(directory, 'banyan')}`,
          snapshots: true,
        },
        'Emmett, sqlite': { contestant: 'emmettSqlite', where: join(directory, 'emmett.db') },
      }),
      await commands('PostgreSQL', {
        'banyan, postgres': { contestant: 'banyan', where: url },
        'banyan, postgres, snapshots': { contestant: 'banyan', where: url, snapshots: true },
        'Emmett, postgres': { contestant: 'emmettPostgres', where: url },
      }),
    ]
    return parts.join('\n\n')
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {string} engine
 * @param {Record<string, Contestant>} contestants ours, ours with snapshots, and theirs
 */
async function commands(engine, contestants) {
  let number = 0
  const parts = [`### Commands, ${engine}`]
  for (const { events, streams, every } of STREAMS)
    for (const concurrency of [1, 64]) {
      /** @type {Record<string, Load[]>} */
      const loads = {}
      for (let round = 0; round < ROUNDS; round++)
        for (const [name, { contestant, where, snapshots }] of Object.entries(contestants)) {
          const count = streams[contestant]
          const load = await apart('handle', {
            ...{ contestant, where, concurrency, events, ms: ROUND_MS },
            category: `account${number++}`,
            streams: concurrency === 1 ? count * ALONE : count,
            ...(snapshots && { every }),
          })
          ;(loads[name] ??= []).push(load)
        }
      parts.push(
        `Streams of ${events} events, ${concurrency === 1 ? 'one handler' : `${concurrency} handlers`}, a snapshot every ${every} events:`,
        loadTable(loads),
      )
    }
  return parts.join('\n\n')
}

/** @param {Record<string, Load[]>} loads */
function loadTable(loads) {
  const theirs = medianOf(Object.values(loads).at(-1) ?? [], 'perSecond')
  return table(
    ['', 'commands/s, median (spread)', 'x Emmett', 'p50 ms', 'p99 ms', 'events before, mean'],
    Object.entries(loads).map(([name, list]) => {
      const rate = medianOf(list, 'perSecond')
      return [
        name,
        spread(list.map(({ perSecond }) => perSecond)),
        (rate / theirs).toFixed(2),
        ms(medianOf(list, 'p50')),
        ms(medianOf(list, 'p99')),
        medianOf(list, 'events').toFixed(0),
      ]
    }),
  )
}

/**
 * @param {Load[]} list
 * @param {keyof Load} key
 */
function medianOf(list, key) {
  return median(list.map((load) => load[key]))
}
