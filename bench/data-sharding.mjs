// @ts-check
/** How fast buckets move from one database to another, and what that does to those who write meanwhile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import SQLite from 'better-sqlite3'
import pg from 'pg'
import { openCoordinator, openShards, readMoves, runMoves, startMoves } from '../dist/coordination/index.js'
import { start } from '../scripts/engines.mjs'
import { table } from './measure.mjs'

const ROWS = 20_000
const CUSTOMERS = 500
const BUCKETS = 64
const NOTE_BYTES = 200
/** How long is written before and after, in ms, and the pause between writes. */
const CALM_MS = 3000
const PAUSE_MS = 2
const SCHEMA =
  'CREATE TABLE orders (id text NOT NULL PRIMARY KEY, customer text NOT NULL, total integer NOT NULL, note text)'
const INSERT = {
  sqlite: 'INSERT INTO orders (id, customer, total, note) VALUES (?, ?, ?, ?)',
  postgres: 'INSERT INTO orders (id, customer, total, note) VALUES ($1, $2, $3, $4)',
}

/** @typedef {{ where: string, databases: Record<string, string> }} Place */

/** @param {Place} place */
async function open({ where, databases }) {
  const coordinator = await openCoordinator(where)
  /** @type {import('../dist/coordination/index.js').Shards<any>} */
  const shards = await openShards(coordinator, 'orders', {
    databases,
    tables: { orders: { key: 'customer' } },
    buckets: BUCKETS,
    weights: { a: 1, b: 0 },
  })
  return { coordinator, shards }
}

/**
 * Writes one row after the other in a process of its own, and prints what each took in ms.
 *
 * @param {Place} place
 */
async function writer(place) {
  const { coordinator, shards } = await open(place)
  const end = new AbortController()
  process.once('SIGTERM', () => end.abort())
  for (let count = 0; !end.signal.aborted; count++) {
    const customer = `customer-${(count * 7919) % CUSTOMERS}`
    const values = [`w-${count}`, customer, count, 'written']
    const before = performance.now()
    await shards.write(customer, (db) =>
      shards.engine === 'sqlite' ? db.run(INSERT.sqlite, ...values) : db.query(INSERT.postgres, values),
    )
    process.stdout.write(`${performance.now() - before}\n`)
    await sleep(PAUSE_MS)
  }
  await shards.close()
  await coordinator.close()
}

/** @returns {Promise<string>} a table in Markdown */
export async function resharding() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-resharding-'))
  const server = await start('postgres')
  try {
    const files = ['a', 'b'].map((name) => join(directory, `${name}.db`))
    for (const file of files) {
      const database = new SQLite(file)
      database.pragma('journal_mode = WAL')
      database.exec(SCHEMA)
      database.close()
    }
    const admin = `postgres://postgres@127.0.0.1:${server.port}`
    for (const name of ['a', 'b']) {
      await ask(`${admin}/postgres`, `CREATE DATABASE ${name}`)
      await ask(`${admin}/${name}`, SCHEMA)
    }
    return [
      '## Moving buckets under load',
      `Half of ${BUCKETS} buckets, 8 at once, of ${ROWS.toLocaleString('en')} rows of about ${NOTE_BYTES} bytes, from one database to another, each row compared before the switch. A process of its own writes single rows to all buckets, one every ${PAUSE_MS} ms, and takes the time; both databases of PostgreSQL are of one server. Writes in ms.`,
      table(
        [
          'engine',
          'rows/s',
          'MB/s',
          ...['before', 'during', 'after'].flatMap((when) => [`p50 ${when}`, `p99 ${when}`]),
        ],
        [
          [
            'SQLite',
            ...(await moved({ a: `sqlite:${files[0]}`, b: `sqlite:${files[1]}` }, directory, 'sqlite')),
          ],
          ['PostgreSQL', ...(await moved({ a: `${admin}/a`, b: `${admin}/b` }, directory, 'postgres'))],
        ],
      ),
    ].join('\n\n')
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {Record<string, string>} databases
 * @param {string} directory
 * @param {string} name
 */
async function moved(databases, directory, name) {
  const place = { where: `sqlite:${join(directory, `${name}-coordinator.db`)}`, databases }
  const { coordinator, shards } = await open(place)
  const note = 'n'.repeat(NOTE_BYTES)
  for (let customer = 0; customer < CUSTOMERS; customer++)
    await shards.write(`customer-${customer}`, async (db) => {
      for (let id = customer; id < ROWS; id += CUSTOMERS) {
        const values = [`o-${id}`, `customer-${customer}`, id, note]
        if (shards.engine === 'sqlite') db.run(INSERT.sqlite, ...values)
        else await db.query(INSERT.postgres, values)
      }
    })
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(place)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  /** @type {number[]} */
  let took = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => took.push(Number(line)))
  await once(lines, 'line')
  const figures = async (/** @type {() => Promise<unknown>} */ work) => {
    took = []
    await work()
    const sorted = took.sort((a, b) => a - b)
    return [0.5, 0.99].map((part) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1))
  }
  const before = await figures(() => sleep(CALM_MS))
  let seconds = 0
  const during = await figures(async () => {
    const buckets = Array.from({ length: BUCKETS / 2 }, (_, bucket) => bucket)
    await startMoves(
      coordinator,
      'orders',
      [0, 8, 16, 24].map((at) => ({ buckets: buckets.slice(at, at + 8), from: 'a', to: 'b' })),
    )
    const began = performance.now()
    await runMoves(coordinator, shards, { once: true }).done
    seconds = (performance.now() - began) / 1000
  })
  const moves = await readMoves(coordinator, 'orders')
  if (moves.some(({ step }) => step !== 'switched')) throw new Error(JSON.stringify(moves))
  const rows = moves.reduce((sum, move) => sum + move.rows, 0)
  const after = await figures(() => sleep(CALM_MS))
  child.kill('SIGTERM')
  await once(child, 'exit')
  await shards.close()
  await coordinator.close()
  const megabytes = (rows * (NOTE_BYTES + 50)) / 1e6
  return [(rows / seconds).toFixed(0), (megabytes / seconds).toFixed(1), ...before, ...during, ...after]
}

/**
 * @param {string} url
 * @param {string} sql
 */
async function ask(url, sql) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === undefined) console.log(await resharding())
  else await writer(JSON.parse(process.argv[2]))
}
