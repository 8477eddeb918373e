// @ts-check
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { openShards, planDataMoves, runMoves, startMoves } from 'banyan/coordination'
import { watchMoves } from './moves.mjs'

/** The sharded application: `npx banyan shards` knows it by this name. */
const NAME = 'orders'
/** Customers are spread over that many buckets, for ever; a bucket is in one file. */
const BUCKETS = 64
/** Buckets that move at once. */
const GROUP = 4
/** How long it takes to copy a third of the orders, in s: slow enough to be watched. */
const COPYING = Number(process.env['COPYING'] ?? 10)

/** @typedef {import('banyan/coordination').Coordinator} Coordinator */
/** @typedef {import('banyan/coordination').Shards<import('banyan/events').SqliteTables>} Shards */

/**
 * Orders in several SQLite files, by customer. A file comes or goes while orders are written and read: buckets of customers are
 * copied, compared, switched, and then removed where they were.
 *
 * @param {Coordinator} coordinator
 * @param {string} directory
 */
export async function openOrderFiles(coordinator, directory) {
  const open = (/** @type {string[]} */ ...names) => openFiles(coordinator, directory, names)
  const hasThird = existsSync(fileOf(directory, 'c'))
  let shards = await (hasThird ? open('a', 'b', 'c') : open('a', 'b'))
  const run = (/** @type {import('banyan/coordination').RunMovesOptions} */ options = {}) => {
    const started = runMoves(coordinator, shards, { ttl: '3s', ...options })
    started.done.catch((error) => console.error('history:', error))
    return started
  }
  let runner = run()
  const opened = [shards]
  const moves = await watchMoves(coordinator, NAME)

  /**
   * @param {number} orders that there are
   * @param {import('banyan/coordination').PlanDataMovesOptions} how
   * @returns how many buckets move
   */
  const move = async (orders, how = {}) => {
    const planned = await planDataMoves(coordinator, NAME, { group: GROUP, ...how })
    await runner.close()
    runner = run({ rate: Math.ceil(orders / 3 / COPYING) || 1 })
    await startMoves(coordinator, NAME, planned)
    await moves.look()
    return planned.reduce((sum, { buckets }) => sum + buckets.length, 0)
  }
  return {
    /** What to read and write with, at the moment. */
    get shards() {
      return shards
    },
    moves,
    /**
     * A third file comes, and gets its part of the buckets.
     *
     * @param {number} orders that there are
     */
    async grow(orders) {
      if (!shards.stores.has('c')) {
        // Whoever has begun something with two files ends it with them.
        shards = await open('a', 'b', 'c')
        opened.push(shards)
      }
      const count = await move(orders)
      moves.tell(`a third file has come: ${count} of ${BUCKETS} buckets move to it, while orders go on`)
    },
    /**
     * The third file is emptied, and is there for another time.
     *
     * @param {number} orders that there are
     */
    async shrink(orders) {
      const count = await move(orders, { drain: ['c'] })
      moves.tell(`the third file is to go: ${count} buckets move back, while orders go on`)
    },
    async close() {
      await moves.close()
      await runner.close()
      for (const one of opened) await one.close()
    },
  }
}

/**
 * @param {Coordinator} coordinator
 * @param {string} directory
 * @param {string[]} names
 * @returns {Promise<Shards>}
 */
async function openFiles(coordinator, directory, names) {
  for (const name of names) {
    const file = new SQLite(fileOf(directory, name))
    file.pragma('journal_mode = WAL')
    file.exec(
      'CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, sku TEXT, status TEXT, position TEXT)',
    )
    file.close()
  }
  return openShards(coordinator, NAME, {
    databases: Object.fromEntries(
      names.map((name) => [name, /** @type {const} */ (`sqlite:${fileOf(directory, name)}`)]),
    ),
    tables: { orders: { key: 'customer' } },
    buckets: BUCKETS,
  })
}

/**
 * @param {string} directory
 * @param {string} name
 */
function fileOf(directory, name) {
  return join(directory, `orders-${name}.db`)
}
