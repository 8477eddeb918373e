// @ts-check
/** What it costs to spread tables over several databases, and what it brings. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import pg from 'pg'
import { openCoordinator, openShards } from '../dist/coordination/index.js'
import { start } from '../scripts/engines.mjs'
import { spread, table } from './measure.mjs'

const ROWS = 40_000
const CUSTOMERS = 1000
const ROUNDS = 5
/** Keyed reads and writes of a round, one after the other. */
const CALLS = 300
const STATES = ['open', 'paid', 'sent', 'lost']
const SCHEMA =
  'CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL, status text NOT NULL, total integer NOT NULL, note text)'
const INDEX = 'CREATE INDEX orders_customer ON orders (customer)'
const customerOf = (/** @type {number} */ id) => `customer-${(id * 7919) % CUSTOMERS}`
const rowOf = (/** @type {number} */ id) => [
  id,
  customerOf(id),
  STATES[id % 4],
  (id * 31) % 1009,
  `note ${id}`.padEnd(60, '.'),
]
const NAMES = 'id, customer, status, total, note'
const ms = (/** @type {number} */ value) => value.toFixed(1)
const us = (/** @type {number} */ value) => (value * 1000).toFixed(0)

/**
 * @typedef {object} Way one way to ask
 * @property {string} name
 * @property {(customer: string) => Promise<unknown>} read rows of one customer
 * @property {(id: number) => Promise<unknown>} write one row
 * @property {() => Promise<unknown[]>} groups
 * @property {() => Promise<unknown[]>} top
 * @property {() => Promise<number>} all rows, read and counted
 * @property {() => Promise<void>} close
 */

const GROUPS = 'SELECT status, count(*) AS n, sum(total) AS total FROM orders GROUP BY status'
const TOP = 'SELECT id, customer, total FROM orders'
const ALL = 'SELECT id, customer, status, total, note FROM orders'

/** @returns {Promise<string>} tables in Markdown */
export async function scatter() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-scatter-'))
  const server = await start('postgres')
  try {
    return [
      `## Data sharding: ${ROWS.toLocaleString('en')} rows of ${CUSTOMERS.toLocaleString('en')} customers`,
      `Median of ${ROUNDS} rounds (lowest – highest). A read is one \`SELECT\` by the indexed key, a write one \`UPDATE\` of a row of the key, each in a transaction, one after the other, in µs. Groups are \`count\` and \`sum\` by status, the first 100 are by \`total DESC, id\`, all rows are put in order by \`id\` and read as a stream (by pg alone: all at once); in ms. SQLite is read in the one thread of this process, so several files bring nothing there but their own locks; the databases of PostgreSQL are of one server, which shares the cores of the machine with this process.`,
      await compared('SQLite', [
        sqliteAlone(directory),
        await sqliteShards(directory, 1),
        await sqliteShards(directory, 4),
      ]),
      await compared('PostgreSQL', [
        await postgresAlone(server.port),
        await postgresShards(server.port, 1),
        await postgresShards(server.port, 4),
      ]),
    ].join('\n\n')
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {string} engine
 * @param {Way[]} ways
 */
async function compared(engine, ways) {
  /** @type {Record<string, number[]>[]} */
  const times = ways.map(() => ({ read: [], write: [], groups: [], top: [], all: [] }))
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++)
    for (const [place, way] of ways.entries()) {
      const taken = await once(way, round)
      if (round > 0) for (const [name, value] of Object.entries(taken)) times[place]?.[name]?.push(value)
    }
  for (const way of ways) await way.close()
  return table(
    [engine, 'read, µs', 'write, µs', 'groups, ms', 'first 100, ms', 'all rows, ms'],
    ways.map(({ name }, place) => {
      const { read = [], write = [], groups = [], top = [], all = [] } = times[place] ?? {}
      return [name, spread(read, us), spread(write, us), spread(groups, ms), spread(top, ms), spread(all, ms)]
    }),
  )
}

/**
 * @param {Way} way
 * @param {number} round
 */
async function once(way, round) {
  const timed = async (/** @type {() => Promise<unknown>} */ work) => {
    const before = performance.now()
    await work()
    return performance.now() - before
  }
  const read = await timed(async () => {
    for (let call = 0; call < CALLS; call++) await way.read(customerOf(call + round * CALLS))
  })
  const write = await timed(async () => {
    for (let call = 0; call < CALLS; call++) await way.write((call * 13 + round) % ROWS)
  })
  const groups = await timed(async () => expectCount((await way.groups()).length, STATES.length))
  const top = await timed(async () => expectCount((await way.top()).length, 100))
  const all = await timed(async () => expectCount(await way.all(), ROWS))
  return { read: read / CALLS, write: write / CALLS, groups, top, all }
}

function expectCount(/** @type {number} */ found, /** @type {number} */ wanted) {
  if (found !== wanted) throw new Error(`${found} rows instead of ${wanted}`)
}

/** @returns {Way} */
function sqliteAlone(/** @type {string} */ directory) {
  const database = new SQLite(join(directory, 'alone.db'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.exec(`${SCHEMA}; ${INDEX}`)
  const insert = database.prepare(`INSERT INTO orders (${NAMES}) VALUES (?, ?, ?, ?, ?)`)
  database.transaction(() => {
    for (let id = 0; id < ROWS; id++) insert.run(...rowOf(id))
  })()
  const select = database.prepare('SELECT * FROM orders WHERE customer = ?')
  const update = database.prepare('UPDATE orders SET total = total + 1 WHERE id = ? AND customer = ?')
  return {
    name: 'one file, better-sqlite3',
    read: async (customer) => database.transaction(() => select.all(customer))(),
    write: async (id) => database.transaction(() => update.run(id, customerOf(id)))(),
    groups: async () => database.prepare(GROUPS).all(),
    top: async () => database.prepare(`${TOP} ORDER BY total DESC, id LIMIT 100`).all(),
    all: async () => {
      let count = 0
      for (const row of database.prepare(`${ALL} ORDER BY id`).iterate()) count += row ? 1 : 0
      return count
    },
    close: async () => void database.close(),
  }
}

/** @returns {Promise<Way>} */
async function sqliteShards(/** @type {string} */ directory, /** @type {number} */ count) {
  /** @type {Record<string, `sqlite:${string}`>} */
  const databases = {}
  for (let shard = 0; shard < count; shard++) {
    const file = join(directory, `${count}-${shard}.db`)
    const database = new SQLite(file)
    database.pragma('journal_mode = WAL')
    database.exec(`${SCHEMA}; ${INDEX}`)
    database.close()
    databases[`s${shard}`] = `sqlite:${file}`
  }
  const coordinator = await openCoordinator('memory:')
  const shards = await openShards(coordinator, 'orders', {
    databases,
    tables: { orders: { key: 'customer' } },
  })
  for (const [customer, ids] of byCustomer())
    await shards.write(customer, (db) => {
      for (const id of ids)
        db.run(`INSERT INTO orders (${NAMES}) VALUES (?, ?, ?, ?, ?)`, .../** @type {any[]} */ (rowOf(id)))
    })
  return {
    name: `${count} ${count === 1 ? 'file' : 'files'}, router`,
    read: (customer) =>
      shards.read(customer, (db) => db.all('SELECT * FROM orders WHERE customer = ?', customer)),
    write: (id) =>
      shards.write(customerOf(id), (db) =>
        db.run('UPDATE orders SET total = total + 1 WHERE id = ? AND customer = ?', id, customerOf(id)),
      ),
    ...queries(shards),
    close: async () => {
      await shards.close()
      await coordinator.close()
    },
  }
}

/** @returns {Promise<Way>} */
async function postgresAlone(/** @type {number} */ port) {
  const pool = new pg.Pool({ connectionString: await newDatabase(port, 'alone'), max: 10 })
  await filled(pool)
  const transaction = async (
    /** @type {string} */ begin,
    /** @type {string} */ sql,
    /** @type {unknown[]} */ values,
  ) => {
    const client = await pool.connect()
    try {
      await client.query(begin)
      const { rows } = await client.query(sql, values)
      await client.query('COMMIT')
      return rows
    } finally {
      client.release()
    }
  }
  return {
    name: 'one database, pg',
    read: (customer) =>
      transaction('BEGIN READ ONLY', 'SELECT * FROM orders WHERE customer = $1', [customer]),
    write: (id) =>
      transaction('BEGIN', 'UPDATE orders SET total = total + 1 WHERE id = $1 AND customer = $2', [
        id,
        customerOf(id),
      ]),
    groups: async () => (await pool.query(GROUPS)).rows,
    top: async () => (await pool.query(`${TOP} ORDER BY total DESC, id LIMIT 100`)).rows,
    all: async () => (await pool.query(`${ALL} ORDER BY id`)).rows.length,
    close: () => pool.end(),
  }
}

/** @returns {Promise<Way>} */
async function postgresShards(/** @type {number} */ port, /** @type {number} */ count) {
  /** @type {Record<string, `postgres:${string}`>} */
  const databases = {}
  for (let shard = 0; shard < count; shard++) {
    const url = await newDatabase(port, `s${count}_${shard}`)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`${SCHEMA}; ${INDEX}`)
    await client.end()
    databases[`s${shard}`] = url
  }
  const coordinator = await openCoordinator('memory:')
  const shards = await openShards(coordinator, 'orders', {
    databases,
    tables: { orders: { key: 'customer' } },
  })
  for (const [customer, ids] of byCustomer())
    await shards.write(customer, (db) =>
      db.query(
        `INSERT INTO orders (${NAMES}) SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[])`,
        columnsOf(ids),
      ),
    )
  for (const url of Object.values(databases)) await analyzed(url)
  return {
    name: `${count} ${count === 1 ? 'database' : 'databases'}, router`,
    read: (customer) =>
      shards.read(customer, (db) => db.query('SELECT * FROM orders WHERE customer = $1', [customer])),
    write: (id) =>
      shards.write(customerOf(id), (db) =>
        db.query('UPDATE orders SET total = total + 1 WHERE id = $1 AND customer = $2', [id, customerOf(id)]),
      ),
    ...queries(shards),
    close: async () => {
      await shards.close()
      await coordinator.close()
    },
  }
}

/** @param {import('../dist/coordination/index.js').Shards<any>} shards */
function queries(shards) {
  return {
    groups: async () =>
      (await shards.query(GROUPS, [], { merge: { groupBy: ['status'], count: ['n'], sum: ['total'] } })).rows,
    top: async () =>
      (await shards.query(TOP, [], { orderBy: [{ column: 'total', direction: 'desc' }, 'id'], limit: 100 }))
        .rows,
    all: async () => {
      let count = 0
      for await (const row of await shards.queryStream(ALL, [], { orderBy: ['id'] })) count += row ? 1 : 0
      return count
    },
  }
}

/** @returns {Map<string, number[]>} */
function byCustomer() {
  const all = new Map()
  for (let id = 0; id < ROWS; id++) {
    const ids = all.get(customerOf(id))
    if (ids) ids.push(id)
    else all.set(customerOf(id), [id])
  }
  return all
}

function columnsOf(/** @type {number[]} */ ids) {
  const rows = ids.map(rowOf)
  return [0, 1, 2, 3, 4].map((column) => rows.map((row) => row[column]))
}

/** @returns {Promise<`postgres:${string}`>} */
async function newDatabase(/** @type {number} */ port, /** @type {string} */ name) {
  const client = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres` })
  await client.connect()
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  return `postgres://postgres@127.0.0.1:${port}/${name}`
}

async function filled(/** @type {pg.Pool} */ pool) {
  await pool.query(`${SCHEMA}; ${INDEX}`)
  await pool.query(
    `INSERT INTO orders (${NAMES}) SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[])`,
    columnsOf(Array.from({ length: ROWS }, (_, id) => id)),
  )
  await pool.query('VACUUM ANALYZE orders')
}

async function analyzed(/** @type {string} */ url) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('VACUUM ANALYZE orders')
  await client.end()
}
