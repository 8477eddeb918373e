// @ts-check
/**
 * What resources cost in each store: writes, reads, lists of many, and how soon a watch in another process hears of a write. Each
 * figure comes from a process of its own; stores take turns, and are real servers with the defaults that they have.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'

/** So that all of it can be tried in a few seconds: SCALE=0.02. */
const SCALE = Number(process.env['SCALE'] ?? 1)
const ROUNDS = 3
const ROUND_MS = 500
const RESOURCES = 100_000 * SCALE
/** In servers that have each write on the disk before the next one: to make more would take minutes. */
const FEWER = 20_000 * SCALE
const LISTS = 5
const WATCHED = { writes: 400, perSecond: 200 }
const CALLS = {
  create: 'create',
  update: 'update',
  merge: 'merge patch',
  apply: 'server-side apply',
  get: 'get',
}
const CONCURRENCIES = [1, 16]

const { apart, begin } = tasksOf(new URL('./resources/tasks.mjs', import.meta.url))

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

/**
 * Fresh stores, by name.
 *
 * @param {(places: Record<string, string>) => Promise<void>} use
 */
async function withPlaces(use) {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-resources-'))
  const postgres = await start('postgres')
  const etcd = await start('etcd')
  try {
    await use({
      memory: 'memory:',
      SQLite: `sqlite:${join(directory, 'store')}`,
      PostgreSQL: `postgres://postgres@127.0.0.1:${postgres.port}/postgres`,
      etcd: `etcd://127.0.0.1:${etcd.port}`,
    })
  } finally {
    await Promise.all([postgres, etcd].map((server) => server.stop()))
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @returns {Promise<string>} tables in Markdown */
export async function resourcesStore() {
  /** @type {Record<string, Record<string, { perSecond: number, p50: number, p99: number }>[]>} */
  const calls = {}
  /** @type {Record<string, { p50: number, p99: number }[]>} */
  const heard = {}
  await withPlaces(async (places) => {
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, where] of Object.entries(places)) {
        const options = { where, round, concurrencies: CONCURRENCIES, ms: ROUND_MS }
        ;(calls[name] ??= []).push(await apart('calls', options))
        ;(heard[name] ??= []).push(await watchLatency(where, `watch-${round}`))
        console.error(`  ${name}: round ${round + 1} of ${ROUNDS}`)
      }
  })
  /** @type {Record<string, any>} */
  const lists = {}
  await withPlaces(async (places) => {
    for (const [name, where] of Object.entries(places)) {
      const resources = /^(postgres|etcd):/.test(where) ? FEWER : RESOURCES
      lists[name] = { resources, ...(await apart('lists', { where, resources, lists: LISTS })) }
      console.error(`  ${name}: ${resources} made in ${(lists[name].fill / 1000).toFixed(1)} s`)
    }
  })
  const rates = (/** @type {number} */ concurrency) => [
    `#### ${concurrency === 1 ? 'One after another' : `${concurrency} at once`}`,
    table(
      ['', ...Object.values(CALLS), 'p50 of an update, ms', 'p99'],
      Object.entries(calls).map(([name, rounds]) => {
        const of = (/** @type {string} */ call) =>
          rounds.flatMap((round) => round[`${call} ${concurrency}`] ?? [])
        const updates = of('update')
        return [
          name,
          ...Object.keys(CALLS).map((call) => spread(of(call).map(({ perSecond }) => perSecond))),
          ms(median(updates.map(({ p50 }) => p50))),
          ms(median(updates.map(({ p99 }) => p99))),
        ]
      }),
    ),
  ]
  return [
    '## Stores of resources',
    `Resources of 100 bytes of text, a number and two labels, with a schema. Medians of ${ROUNDS} rounds, with the lowest and the highest.`,
    '### A second',
    'Each updates what nobody else has under way; an update names the version that it was made from, and an apply has all fields of its manager.',
    ...CONCURRENCIES.flatMap(rates),
    '### From a write until a watch hears of it',
    `${WATCHED.perSecond} creates a second, from just before a create is called until the event, in another process; memory: in the same.`,
    table(
      ['', 'p50 ms', 'p99 ms'],
      Object.entries(heard).map(([name, rounds]) => [
        name,
        spread(
          rounds.map(({ p50 }) => p50),
          ms,
        ),
        spread(
          rounds.map(({ p99 }) => p99),
          ms,
        ),
      ]),
    ),
    '### Many of them',
    `Lists: ms, median of ${LISTS}. Both come from the cache: what is listed as it is now once that has everything that the engine had when it was asked, what is at hand as it is. Pages: each of a whole list, on average.`,
    table(
      ['', 'resources', 'read into a cache, s', 'bytes each', 'all, now', 'all, at hand', 'a page of 500'],
      Object.entries(lists).map(([name, { resources, sync, bytes, fresh, cached, page }]) => [
        name,
        resources.toLocaleString('en'),
        (sync / 1000).toFixed(2),
        bytes.toFixed(0),
        spread(fresh, ms),
        spread(cached, ms),
        spread(page, ms),
      ]),
    ),
  ].join('\n\n')
}

/** @param {string} where @param {string} namespace @returns {Promise<{ p50: number, p99: number }>} */
async function watchLatency(where, namespace) {
  const options = { where, namespace, ...WATCHED }
  if (where === 'memory:') return apart('watch', { ...options, alone: true })
  const watcher = begin('watch', { ...options, alone: false })
  const writer = begin('write', options)
  await Promise.all([watcher.ready, writer.ready])
  watcher.go()
  writer.go()
  await writer.result
  return watcher.result
}
