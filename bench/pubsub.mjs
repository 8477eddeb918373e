// @ts-check
/**
 * Publish and subscribe beside BullMQ and pg-boss, where what is answered is on the disk; then what keys and failures cost.
 * Publishers and subscribers run in processes of their own; each round of each has a server or file of its own, and rounds
 * take turns.
 *
 * DISTINCT_KEYS=100000 takes fewer keys for the last part, 0 leaves it out.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { median, spread, table } from './measure.mjs'
import { CONCURRENCY, KEYS } from './pubsub/contestant.mjs'
import { lanes } from './pubsub/lanes.mjs'

const ROUNDS = 3
const ROUND_MS = 1500
/** Messages a second when delivery is timed. */
const RATE = 1000
const DISTINCT_KEYS = Number(process.env['DISTINCT_KEYS'] ?? 1_000_000)

/**
 * @typedef {object} Contestant
 * @property {string} module in `pubsub/`
 * @property {'sqlite' | 'redis' | 'postgres'} engine
 * @property {object} [options]
 * @property {string} order
 * @property {number} messages handled in about two seconds, if there are so many
 */

/** @type {Record<string, Contestant>} */
const CONTESTANTS = {
  'banyan, sqlite': { module: 'banyan', engine: 'sqlite', order: 'of a key', messages: 50_000 },
  'banyan, postgres': { module: 'banyan', engine: 'postgres', order: 'of a key', messages: 50_000 },
  'BullMQ, Redis': { module: 'bullmq', engine: 'redis', order: 'none', messages: 30_000 },
  'pg-boss, standard': {
    module: 'pg-boss',
    engine: 'postgres',
    options: { policy: 'standard' },
    order: 'none',
    messages: 20_000,
  },
  'pg-boss, key_strict_fifo': {
    module: 'pg-boss',
    engine: 'postgres',
    options: { policy: 'key_strict_fifo' },
    order: 'of a key',
    messages: 5000,
  },
  'pg-boss, key_strict_fifo, notify': {
    module: 'pg-boss',
    engine: 'postgres',
    options: { policy: 'key_strict_fifo', notify: true },
    order: 'of a key',
    messages: 5000,
  },
}

/**
 * @typedef {object} Round
 * @property {number} publish messages a second, one by one
 * @property {number} bulk the same, many at once
 * @property {number} drain handled a second, of those that are there
 * @property {number} through handled a second, while they are published as fast as it goes
 * @property {number} reached published a second, of {@link RATE}
 * @property {number} p50 ms from publishing to the handler at that rate
 * @property {number} p99
 */

const { apart, begin } = tasksOf(new URL('./pubsub/tasks.mjs', import.meta.url))

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

/** @returns {Promise<string>} tables in Markdown */
export async function pubsub() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-pubsub-'))
  try {
    const parts = [
      '## Publish and subscribe',
      await peers(directory),
      ...(DISTINCT_KEYS > 0 ? [await lanes(directory, DISTINCT_KEYS)] : []),
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
        await withEngine(contestant, join(directory, `${name}-${round}`), (where) =>
          measure(contestant, where),
        ),
      )
  return [
    `Messages of 200 B with ${KEYS} keys; redis has appendfsync always. Without notify, pg-boss looks for messages twice a second.`,
    `### Messages a second, median (spread): ${CONCURRENCY} under way`,
    table(
      ['', 'order', 'published one by one', 'published 100 at once', 'handled of a backlog', 'end to end'],
      Object.entries(rounds).map(([name, list]) => [
        name,
        CONTESTANTS[name]?.order ?? '',
        .../** @type {const} */ (['publish', 'bulk', 'drain', 'through']).map((key) =>
          spread(list.map((round) => round[key])),
        ),
      ]),
    ),
    `### From publishing to the handler, ${RATE} messages a second`,
    table(
      ['', 'reached', 'p50 ms', 'p99 ms'],
      Object.entries(rounds).map(([name, list]) => [
        name,
        median(list.map(({ reached }) => reached)).toFixed(0),
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
 * @returns {Promise<Round>}
 */
async function measure({ module, options = {}, messages }, where) {
  const common = { contestant: module, where, options, ms: ROUND_MS }
  const { perSecond: drain } = await apart('drain', { ...common, queue: 'drained', messages })
  const delivery = await together(
    { ...common, queue: 'delivered' },
    { task: 'publishAtRate', perSecond: RATE, ms: ROUND_MS + 1500 },
  )
  const through = await together(
    { ...common, queue: 'through' },
    { task: 'publish', wait: true, concurrency: CONCURRENCY },
  )
  const publish = await apart('publish', { ...common, queue: 'published', concurrency: CONCURRENCY })
  const bulk = await apart('publishBulk', { ...common, queue: 'bulk' })
  return {
    publish: publish.perSecond,
    bulk: bulk.perSecond,
    drain,
    through: through.perSecond,
    ...{ reached: delivery.reached, p50: delivery.p50, p99: delivery.p99 },
  }
}

/**
 * A subscriber, and who publishes to it.
 *
 * @param {object} common options of both
 * @param {{ task: string, [option: string]: unknown }} publishing
 */
async function together(common, { task, ...more }) {
  const subscriber = begin('consume', common)
  await subscriber.ready
  const publisher = begin(task, { ...common, ...more })
  await publisher.ready
  subscriber.go()
  publisher.go()
  const published = await publisher.result
  return { ...published, ...(await subscriber.result) }
}

/**
 * @template Result
 * @param {Contestant} contestant
 * @param {string} path of files
 * @param {(where: string) => Promise<Result>} work
 */
async function withEngine({ engine }, path, work) {
  if (engine === 'sqlite') return work(`sqlite:${path}`)
  const server = await start(engine)
  try {
    return await work(
      engine === 'redis' ? `${server.port}` : `postgres://postgres@127.0.0.1:${server.port}/postgres`,
    )
  } finally {
    await server.stop()
  }
}
