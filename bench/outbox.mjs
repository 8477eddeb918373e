// @ts-check
/**
 * The outbox beside one as it is usually written by hand, which looks for rows now and then. Writers and relays run in
 * processes of their own; the log is a SQLite file for all; each round of each has fresh databases, and rounds take turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 3
const ROUND_MS = 4000
/** Transactions a second when delivery is timed. */
const RATE = 1000
const CONCURRENCY = 16
/** Messages that wait when relays begin. */
const BACKLOG = 20_000

/** @type {Record<string, { module: string, engine: 'postgres' | 'sqlite', options?: object }>} */
const CONTESTANTS = {
  'banyan, postgres': { module: 'banyan', engine: 'postgres' },
  'by hand, postgres, every 100 ms': { module: 'polling', engine: 'postgres', options: { pause: 100 } },
  'by hand, postgres, every 1 s': { module: 'polling', engine: 'postgres', options: { pause: 1000 } },
  'no outbox, postgres': { module: 'none', engine: 'postgres' },
  'banyan, sqlite': { module: 'banyan', engine: 'sqlite' },
  'no outbox, sqlite': { module: 'none', engine: 'sqlite' },
}

/**
 * @typedef {object} Round
 * @property {number} enter transactions a second
 * @property {number} [drain] relayed a second, of those that are there
 * @property {number} [reached] transactions a second, of {@link RATE}
 * @property {number} [p50] ms from publishing until it was seen in the log, at that rate
 * @property {number} [p99]
 * @property {number} [cpu] of a core, of relay and follower, at that rate
 */

const { apart, begin } = tasksOf(new URL('./outbox/tasks.mjs', import.meta.url))

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

/** @returns {Promise<string>} tables in Markdown */
export async function outbox() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-outbox-'))
  /** @type {Record<string, Round[]>} */
  const rounds = {}
  try {
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, contestant] of Object.entries(CONTESTANTS))
        (rounds[name] ??= []).push(await measure(contestant, join(directory, `${name}-${round}`)))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  /** @type {(list: Round[], key: keyof Round, write?: (value: number) => string) => string} */
  const cell = (list, key, write) =>
    list[0]?.[key] === undefined
      ? ''
      : spread(
          list.map((round) => /** @type {number} */ (round[key])),
          write,
        )
  return [
    '## Outbox',
    `Messages of 200 B with 64 keys, one for each transaction, which writes a row besides. By hand: rows are taken 100 at once (SKIP LOCKED), published to the same log side by side, so without an order of a key, and marked.`,
    `### A second, median (spread): transactions, ${CONCURRENCY} under way, and messages relayed of ${BACKLOG} that wait`,
    table(
      ['', 'transactions', 'relayed of a backlog'],
      Object.entries(rounds).map(([name, list]) => [name, cell(list, 'enter'), cell(list, 'drain')]),
    ),
    `### From publishing in a transaction until the message is seen in the log, ${RATE} transactions a second`,
    table(
      ['', 'reached', 'p50 ms', 'p99 ms', 'relay, of a core'],
      Object.entries(rounds)
        .filter(([, list]) => list[0]?.p50 !== undefined)
        .map(([name, list]) => [
          name,
          median(list.map(({ reached = NaN }) => reached)).toFixed(0),
          cell(list, 'p50', ms),
          cell(list, 'p99', ms),
          cell(list, 'cpu', (value) => value.toFixed(2)),
        ]),
    ),
  ].join('\n\n')
}

/**
 * @param {{ module: string, engine: 'postgres' | 'sqlite', options?: object }} contestant
 * @param {string} path of files
 * @returns {Promise<Round>}
 */
async function measure({ module, engine, options = {} }, path) {
  const server = engine === 'postgres' ? await start('postgres', {}) : undefined
  let databases = 0
  const common = () => {
    const place = `${path}-${databases++}`
    const database = `bench_${databases}`
    return {
      contestant: module,
      where: server ? `postgres://postgres@127.0.0.1:${server.port}/${database}` : `sqlite:${place}.db`,
      log: `sqlite:${place}-log`,
      options,
      database,
    }
  }
  try {
    const fresh = async () => {
      const made = common()
      if (server) await createDatabase(server.port, made.database)
      return made
    }
    const { perSecond: enter } = await apart('enter', {
      ...(await fresh()),
      ms: ROUND_MS,
      concurrency: CONCURRENCY,
    })
    if (module === 'none') return { enter }
    const { perSecond: drain } = await apart('drain', { ...(await fresh()), messages: BACKLOG })
    const place = await fresh()
    const relay = begin('relay', { ...place, ms: ROUND_MS })
    await relay.ready
    const writer = begin('enterAtRate', { ...place, perSecond: RATE, ms: ROUND_MS + 1500 })
    await writer.ready
    relay.go()
    writer.go()
    const { reached } = await writer.result
    const { p50, p99, cpu } = await relay.result
    return { enter, drain, reached, p50, p99, cpu }
  } finally {
    await server?.stop()
  }
}

async function createDatabase(/** @type {number} */ port, /** @type {string} */ name) {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres` })
  await client.connect()
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
}
