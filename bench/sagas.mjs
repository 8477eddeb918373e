// @ts-check
/**
 * Sagas beside workflows of DBOS, on the same PostgreSQL, and of Restate, which brings its own store; then ours alone: many
 * that sleep, and a process that is killed. Each round of each has a server or file of its own, and rounds take turns.
 *
 * SLEEPING=10000 takes fewer sagas that sleep, 0 leaves that out.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'
import { IN_FLIGHT } from './sagas/contestant.mjs'
import { recovery } from './sagas/recovery.mjs'
import { startRestate } from './sagas/restate-server.mjs'
import { sleeping } from './sagas/sleeping.mjs'

const ROUNDS = 3
const ROUND_MS = 2500
/** Sagas a second when it is timed how soon they begin. */
const RATE = 50
const SLEEPING = Number(process.env['SLEEPING'] ?? 100_000)
/** Sagas in the middle of a step when a process is killed, and how long one may be silent: the default. */
const KILLED = { sagas: 10_000, takeover: '10s' }

/**
 * @typedef {object} Contestant
 * @property {string} module in `sagas/`
 * @property {'memory' | 'sqlite' | 'postgres' | 'restate'} engine
 */

/** @type {Record<string, Contestant>} */
const CONTESTANTS = {
  'banyan, memory': { module: 'banyan', engine: 'memory' },
  'banyan, sqlite': { module: 'banyan', engine: 'sqlite' },
  'banyan, postgres': { module: 'banyan', engine: 'postgres' },
  'DBOS, postgres': { module: 'dbos', engine: 'postgres' },
  Restate: { module: 'restate', engine: 'restate' },
}

/**
 * @typedef {object} Round
 * @property {number} perSecond sagas ended
 * @property {number} cpu ms of a saga, in the process that runs it
 * @property {number} server ms of a saga, in the server
 * @property {number} p50 ms from the start of a saga to its first step
 * @property {number} p99
 */

/** Peers need not write a line for each call, nor warn of how they use `pg`. */
const ENVIRONMENT = { RESTATE_LOGGING: 'ERROR', NODE_NO_WARNINGS: '1' }

const { apart } = tasksOf(new URL('./sagas/tasks.mjs', import.meta.url))
const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

/** @returns {Promise<string>} tables in Markdown */
export async function sagas() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-sagas-'))
  try {
    const parts = [
      '## Sagas',
      await peers(directory),
      ...(SLEEPING > 0 ? [await sleeping(directory, SLEEPING)] : []),
      await recovery(directory, KILLED.sagas, KILLED.takeover),
    ]
    return parts.join('\n\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function peers(/** @type {string} */ directory) {
  /** @type {Record<string, Round[]>} */
  const rounds = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, contestant] of Object.entries(CONTESTANTS))
      (rounds[name] ??= []).push(
        await withEngine(contestant, join(directory, `${name}-${round}`), (where, pid) =>
          measure(contestant, where, pid),
        ),
      )
  const ratio = (/** @type {string} */ one, /** @type {string} */ other) => {
    const each = (/** @type {(round: Round) => number} */ of) =>
      spread(
        rounds[one]?.map((round, index) => of(round) / of(rounds[other]?.[index] ?? round)) ?? [],
        (value) => `${value.toFixed(1)} x`,
      )
    return [each(({ perSecond }) => perSecond), each(({ cpu, server }) => 1 / (cpu + server))]
  }
  return [
    `Three steps, each with a compensation, ${IN_FLIGHT} sagas under way; what is told to have ended is on the disk.`,
    table(
      ['', 'sagas/s, median (spread)', 'CPU ms a saga', 'of its server'],
      Object.entries(rounds).map(([name, list]) => [
        name,
        spread(list.map(({ perSecond }) => perSecond)),
        ms(median(list.map(({ cpu }) => cpu))),
        ms(median(list.map(({ server }) => server))),
      ]),
    ),
    table(
      ['ratio', 'goal', 'sagas/s', 'sagas for the same CPU'],
      [
        ['banyan on PostgreSQL / DBOS', '>= 10', ...ratio('banyan, postgres', 'DBOS, postgres')],
        ['banyan on SQLite / Restate', '>= 7', ...ratio('banyan, sqlite', 'Restate')],
      ],
    ),
    `### From the start of a saga to its first step, ${RATE} sagas a second`,
    table(
      ['', 'p50 ms', 'p99 ms'],
      Object.entries(rounds).map(([name, list]) => [
        name,
        .../** @type {const} */ (['p50', 'p99']).map((key) =>
          spread(
            list.map((round) => round[key]),
            ms,
          ),
        ),
      ]),
    ),
  ].join('\n\n')
}

/**
 * @param {Contestant} contestant
 * @param {string} where
 * @param {number} [pid] of the server
 * @returns {Promise<Round>}
 */
async function measure({ module }, where, pid) {
  const common = { contestant: module, where, ms: ROUND_MS }
  const run = await apart('run', { ...common, server: pid }, ENVIRONMENT)
  const { p50, p99 } = await apart('begin', { ...common, perSecond: RATE }, ENVIRONMENT)
  return { ...run, p50, p99 }
}

/**
 * @template Result
 * @param {Contestant} contestant
 * @param {string} path of files
 * @param {(where: string, pid?: number) => Promise<Result>} work `pid`: of the server
 */
async function withEngine({ module, engine }, path, work) {
  if (engine === 'memory') return work('memory:')
  if (engine === 'sqlite') return work(`sqlite:${path}`)
  if (engine === 'restate') {
    const server = await startRestate(path)
    try {
      return await work(server.where, server.pid)
    } finally {
      await server.stop()
    }
  }
  const server = await start('postgres')
  try {
    return await work(`postgres://postgres@127.0.0.1:${server.port}/postgres`, server.pid)
  } finally {
    await server.stop()
  }
}
