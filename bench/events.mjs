// @ts-check
/**
 * The event log: durable appends beside a plain file, JetStream and Emmett; following; and whether anything costs more in
 * a log of ten million events. Each load runs in a process of its own; rounds of peers take turns.
 *
 * GROWTH_EVENTS=1000000 takes a smaller log for the last part, 0 leaves it out.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { apart, begin } from './events/apart.mjs'
import { growth } from './events/growth.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 3
const ROUND_MS = 3000
const IN_FLIGHT = 256
const POSTGRES_IN_FLIGHT = 64
const CATCH_UP = { embedded: 1_000_000, postgres: 200_000 }
const RATE = 10_000
const RATE_MS = 5000
const SLOW_DISK_MS = 20
const GROWTH_EVENTS = Number(process.env['GROWTH_EVENTS'] ?? 10_000_000)

/** @typedef {{ perSecond: number, p50: number, p99: number, blocked: number }} Load */

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : 1)
const times = (/** @type {number} */ value) => `${value.toFixed(2)} x`
const thousands = (/** @type {number} */ value) => `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k`

/** @returns {Promise<string>} tables in Markdown */
export async function events() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-events-'))
  try {
    const parts = [
      '## Event log',
      await appends(directory),
      await onPostgres(),
      await following(directory),
      ...(GROWTH_EVENTS > 0 ? [await growth(directory, GROWTH_EVENTS)] : []),
    ]
    return parts.join('\n\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function appends(/** @type {string} */ directory) {
  const jetStream = await start('nats')
  const options = { concurrency: IN_FLIGHT, ms: ROUND_MS }
  let number = 0
  const fresh = () => join(directory, `append-${number++}`)
  const loads = await rounds({
    'plain file, group write and fdatasync': () => apart('appendFile', { ...options, where: fresh() }),
    'banyan, sqlite': () => apart('appendBanyan', { ...options, where: `sqlite:${fresh()}` }),
    'JetStream, file storage (answers before the disk)': () =>
      apart('appendJetStream', { ...options, where: String(jetStream.port) }),
  })
  await jetStream.stop()
  const slow = slowDisk(directory)
  if (slow) {
    const env = { LD_PRELOAD: slow, SLOW_DISK_MS: String(SLOW_DISK_MS) }
    Object.assign(
      loads,
      await rounds({
        [`plain file, fsync takes ${SLOW_DISK_MS} ms longer`]: () =>
          apart('appendFile', { ...options, where: fresh() }, env),
        [`banyan, sqlite, fsync takes ${SLOW_DISK_MS} ms longer`]: () =>
          apart('appendBanyan', { ...options, where: `sqlite:${fresh()}` }, env),
      }),
    )
  }
  const [file, banyan, stream] = Object.values(loads)
  const ours = Object.entries(loads).filter(([name]) => name.startsWith('banyan'))
  return [
    `### Durable appends, 170 B of JSON, ${IN_FLIGHT} in flight`,
    loadTable(loads),
    table(
      ['ratio', 'goal', 'measured'],
      [
        ['sqlite / plain file', '>= 0.5', times(ratio(banyan, file))],
        ['sqlite / JetStream', '>= 4', times(ratio(banyan, stream))],
        [
          'event loop, longest stop in ms, also on the slow disk',
          '<= 10',
          ours.map(([, list]) => ms(median(list.map(({ blocked }) => blocked)))).join(', '),
        ],
      ],
    ),
  ].join('\n\n')
}

async function onPostgres() {
  const server = await start('postgres')
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`
  const options = { concurrency: POSTGRES_IN_FLIGHT, ms: ROUND_MS, where: url }
  const loads = await rounds({
    'banyan, postgres': () => apart('appendBanyan', options),
    'Emmett, postgres': () => apart('appendEmmett', options),
  })
  const [banyan, emmett] = Object.values(loads)
  await apart('fill', { where: url, events: CATCH_UP.postgres, perStream: 10 })
  const caughtUp = await several(() => apart('catchUp', { where: url, events: CATCH_UP.postgres }))
  await server.stop()
  return [
    `### PostgreSQL, ${POSTGRES_IN_FLIGHT} in flight, one server`,
    loadTable(loads),
    table(
      ['', 'goal', 'measured'],
      [
        ['appends, banyan / Emmett', '>= 10', times(ratio(banyan, emmett))],
        [
          'follower that catches up, events/s',
          '',
          spread(
            caughtUp.map(({ perSecond }) => perSecond),
            thousands,
          ),
        ],
      ],
    ),
  ].join('\n\n')
}

async function following(/** @type {string} */ directory) {
  const where = `sqlite:${join(directory, 'follow')}`
  await apart('fill', { where, events: CATCH_UP.embedded, perStream: 10 })
  const caughtUp = await several(() => apart('catchUp', { where, events: CATCH_UP.embedded }))
  const rate = { where, perSecond: RATE, ms: RATE_MS }
  const inside = await several(() => apart('deliveryInside', rate))
  const across = await several(async () => {
    const writer = begin('appendAtRate', { ...rate, wait: true })
    await writer.ready
    const reader = begin('delivery', { where, ms: RATE_MS + 1000 })
    await reader.ready
    writer.go()
    const { reached } = await writer.result
    return { ...(await reader.result), reached }
  })
  const row = (
    /** @type {string} */ name,
    /** @type {{ p50: number, p99: number, reached: number }[]} */ list,
  ) => [
    name,
    thousands(median(list.map(({ reached }) => reached))),
    spread(
      list.map(({ p50 }) => p50),
      ms,
    ),
    spread(
      list.map(({ p99 }) => p99),
      ms,
    ),
    '< 5',
  ]
  return [
    '### Following, sqlite',
    table(
      ['', 'goal', 'measured'],
      [
        [
          'a follower that catches up, events/s',
          '>= 300k',
          spread(
            caughtUp.map(({ perSecond }) => perSecond),
            thousands,
          ),
        ],
      ],
    ),
    `From the begin of an append to its delivery, one event a commit:`,
    table(
      ['', 'events/s', 'p50 ms', 'p99 ms', 'goal for p99'],
      [row('in one process', inside), row('across two processes', across)],
    ),
  ].join('\n\n')
}

/**
 * Runs loads in turns.
 *
 * @param {Record<string, () => Promise<Load>>} loads
 * @returns {Promise<Record<string, Load[]>>}
 */
async function rounds(loads) {
  /** @type {Record<string, Load[]>} */
  const results = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, load] of Object.entries(loads)) (results[name] ??= []).push(await load())
  return results
}

/**
 * @template Result
 * @param {() => Promise<Result>} run
 */
async function several(run) {
  /** @type {Result[]} */
  const results = []
  for (let round = 0; round < ROUNDS; round++) results.push(await run())
  return results
}

/** @param {Record<string, Load[]>} loads */
function loadTable(loads) {
  return table(
    ['', 'appends/s, median (spread)', 'p50 ms', 'p99 ms', 'event loop, longest stop ms'],
    Object.entries(loads).map(([name, list]) => [
      name,
      spread(list.map(({ perSecond }) => perSecond)),
      ms(median(list.map(({ p50 }) => p50))),
      ms(median(list.map(({ p99 }) => p99))),
      spread(
        list.map(({ blocked }) => blocked),
        ms,
      ),
    ]),
  )
}

/**
 * @param {Load[]} [ours]
 * @param {Load[]} [theirs]
 */
function ratio(ours = [], theirs = []) {
  const rate = (/** @type {Load[]} */ list) => median(list.map(({ perSecond }) => perSecond))
  return rate(ours) / rate(theirs)
}

/** Compiles the shim that makes fsync slow; undefined where there is no compiler. */
function slowDisk(/** @type {string} */ directory) {
  const library = join(directory, 'slow-disk.so')
  try {
    execFileSync('cc', [
      '-shared',
      '-fPIC',
      '-o',
      library,
      join(import.meta.dirname, 'events/slow-disk.c'),
      '-ldl',
    ])
    return library
  } catch (error) {
    console.error(`without a slow disk, as it cannot be compiled: ${error}`)
    return undefined
  }
}
