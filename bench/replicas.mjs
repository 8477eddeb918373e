// @ts-check
/** What routing to streaming standbys of PostgreSQL costs and gives: one leader and two followers on this machine. */
import pg from 'pg'
import { openReplicas } from '../dist/coordination/index.js'
import { start } from '../scripts/engines.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 5
const ROUND_MS = 2000
const CALLERS = 8
const SELECT = 'SELECT value FROM counters WHERE id = 1'
const UPDATE = 'UPDATE counters SET value = value + 1 WHERE id = $1'

/** @typedef {import('../dist/coordination/index.js').Replicas<any>} Replicas */

/** @returns {Promise<string>} tables in Markdown */
export async function replicas() {
  const leader = await start('postgres', { fsync: 'off' })
  const followers = await Promise.all(
    [1, 2].map(() => start('postgres', { fsync: 'off', standbyOf: String(leader.port) })),
  )
  const [a = '', b = '', c = ''] = [leader, ...followers].map(
    ({ port }) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  )
  const pool = new pg.Pool({ connectionString: a, max: CALLERS })
  await pool.query('CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)')
  await pool.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, 100) AS id')
  const router = await openReplicas({ nodes: { a, b, c }, connections: CALLERS })
  try {
    await router.read((db) => db.query(SELECT), { after: await router.token(), wait: '10s' })
    return [
      '## Replicas: a leader and two followers of PostgreSQL',
      `### What a transaction costs, ${CALLERS} at a time on one server`,
      `Transactions a second, median of ${ROUNDS} rounds (lowest – highest); the same statements in a transaction of a \`Pool\` of pg.`,
      await overhead(pool, router),
      `### Reading your own writes, ${CALLERS} callers that each write and then read after the token`,
      await tokens(router),
      '### How old reads are, with the same load and no token',
      await staleness(router),
    ].join('\n\n')
  } finally {
    await router.close()
    await pool.end()
    await Promise.all([...followers, leader].map((server) => server.stop()))
  }
}

/**
 * @param {import('pg').Pool} pool
 * @param {Replicas} router
 */
async function overhead(pool, router) {
  const transact = async (
    /** @type {string} */ begin,
    /** @type {string} */ text,
    /** @type {unknown[]} */ values,
  ) => {
    const client = await pool.connect()
    await client.query(begin)
    await client.query(text, values)
    await client.query('COMMIT')
    client.release()
  }
  const loads = {
    read: {
      pg: () => transact('BEGIN READ ONLY', SELECT, []),
      banyan: () => router.read((db) => db.query(SELECT), { prefer: 'leader' }),
    },
    write: {
      pg: (/** @type {number} */ caller) => transact('BEGIN', UPDATE, [caller + 1]),
      banyan: (/** @type {number} */ caller) => router.write((db) => db.query(UPDATE, [caller + 1])),
    },
  }
  const rows = []
  for (const [name, { pg, banyan }] of Object.entries(loads)) {
    /** @type {{ pg: number[], banyan: number[] }} */
    const rates = { pg: [], banyan: [] }
    for (let round = 0; round < ROUNDS; round++) {
      rates.pg.push(await rate(pg))
      rates.banyan.push(await rate(banyan))
    }
    const share = (median(rates.banyan) / median(rates.pg)).toFixed(2)
    rows.push([name, spread(rates.pg), spread(rates.banyan), share])
  }
  return table(['', 'pg', 'banyan', 'beside pg'], rows)
}

/** @param {Replicas} router */
async function tokens(router) {
  /** @type {number[]} */
  const waits = []
  let served = 0
  const each = await rate(async (caller) => {
    const { token } = await router.write((db) => db.query(UPDATE, [caller + 1]))
    const asked = performance.now()
    const { role } = await router.read((db) => db.query(SELECT), { after: token })
    waits.push(performance.now() - asked)
    if (role === 'follower') served++
  })
  /** @type {number[]} */
  const plain = []
  await rate(async () => {
    const asked = performance.now()
    await router.read((db) => db.query(SELECT))
    plain.push(performance.now() - asked)
  })
  return table(
    [
      'pairs a second',
      'served by followers',
      'read after a token, p50 ms',
      'p99 ms',
      'read without, p50 ms',
      'p99 ms',
    ],
    [
      [
        each.toFixed(0),
        `${((100 * served) / waits.length).toFixed(1)} %`,
        ...[waits, plain].flatMap((times) =>
          [quantile(times, 0.5), quantile(times, 0.99)].map((ms) => ms.toFixed(2)),
        ),
      ],
    ],
  )
}

/** @param {Replicas} router */
async function staleness(router) {
  /** @type {number[]} */
  const ages = []
  let served = 0
  await rate(async (caller) => {
    if (caller < 2) {
      await router.write((db) => db.query(UPDATE, [caller + 1]))
      return
    }
    const read = await router.read((db) => db.query(SELECT))
    ages.push(read.staleness ?? Infinity)
    if (read.role === 'follower') served++
  })
  return table(
    ['reads', 'served by followers', 'known to be at most, p50 ms old', 'p99 ms'],
    [
      [
        String(ages.length),
        `${((100 * served) / ages.length).toFixed(1)} %`,
        ...[0.5, 0.99].map((share) => quantile(ages, share).toFixed(0)),
      ],
    ],
  )
}

/**
 * @param {(caller: number) => Promise<unknown>} work
 * @returns how often a second
 */
async function rate(work) {
  const begun = performance.now()
  let count = 0
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      while (performance.now() - begun < ROUND_MS) {
        await work(caller)
        count++
      }
    }),
  )
  return (count * 1000) / (performance.now() - begun)
}

function quantile(/** @type {number[]} */ values, /** @type {number} */ share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}
