// @ts-check
/**
 * Capturing the changes of a PostgreSQL database, beside pg-logical-replication: handing rows to nobody, and appending each
 * transaction to the same log. What is counted is on the disk, but where rows go nowhere. Each round has a server and a log of
 * its own, and rounds take turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { spread, table } from './measure.mjs'

const ROUNDS = 3
const SNAPSHOT_ROWS = 50_000
/** Transactions of one row that wait; fewer for who appends them one by one. */
const SINGLE_ROWS = 10_000
const FEW_ROWS = 1000
/** Rows of one transaction. */
const BULK_ROWS = 50_000
/** Rows a second, and for how long, when lag is timed. */
const RATE = 1000
const LAG_S = 3

/** @type {Record<string, { peer: boolean, log: 'sqlite' | 'memory' | 'none' }>} */
const CONTESTANTS = {
  'banyan, sqlite': { peer: false, log: 'sqlite' },
  'banyan, memory': { peer: false, log: 'memory' },
  'pg-logical-replication, sqlite': { peer: true, log: 'sqlite' },
  'pg-logical-replication, nowhere': { peer: true, log: 'none' },
}

const { apart, begin } = tasksOf(new URL('./cdc/tasks.mjs', import.meta.url))

const rate = (/** @type {number} */ value) => value.toFixed(0)
const ms = (/** @type {number} */ value) => value.toFixed(0)

/** @returns {Promise<string>} a table in Markdown */
export async function cdc() {
  /** @type {Record<string, Record<string, number[]>>} */
  const results = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, contestant] of Object.entries(CONTESTANTS)) {
      const found = await measure(contestant)
      console.error(`  ${name}: ${JSON.stringify(found)}`)
      for (const [what, value] of Object.entries(found)) ((results[name] ??= {})[what] ??= []).push(value)
    }
  const cell = (
    /** @type {number[] | undefined} */ values,
    /** @type {(value: number) => string} */ write,
  ) => (values ? spread(values, write) : '-')
  const rows = Object.entries(results).map(([name, { snapshot, single, bulk, p50, p99 }]) => [
    name,
    cell(snapshot, rate),
    cell(single, rate),
    cell(bulk, rate),
    cell(p50, ms),
    cell(p99, ms),
  ])
  return [
    '## Change data capture',
    `Rows a second, of a table of ${SNAPSHOT_ROWS} rows, of ${SINGLE_ROWS} transactions of one row that wait (${FEW_ROWS} where they are appended one by one), of one transaction of ${BULK_ROWS} rows; ms from the insert to the event at ${RATE} rows a second. Medians of ${ROUNDS} rounds, with the lowest and the highest.`,
    table(['', 'snapshot', 'single rows', 'bulk', 'lag p50', 'lag p99'], rows),
  ].join('\n\n')
}

/** @param {{ peer: boolean, log: 'sqlite' | 'memory' | 'none' }} contestant */
async function measure({ peer, log }) {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-cdc-'))
  let logs = 0
  const where = () =>
    ({ sqlite: `sqlite:${join(directory, String(logs++))}`, memory: 'memory:', none: '' })[log]
  const engine = await start('postgres')
  const from = `postgres://postgres@127.0.0.1:${engine.port}/postgres`
  const db = new pg.Client({ connectionString: from })
  await db.connect()
  // What waits to be captured need not be on the disk at once.
  await db.query('SET synchronous_commit = off')
  await db.query('CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric, at float8)')
  await db.query('CREATE SEQUENCE ids')
  const insert = (/** @type {number} */ count) =>
    db.query(
      "INSERT INTO items SELECT nextval('ids'), 'an item with a name', 12.50, 0 FROM generate_series(1, $1)",
      [count],
    )
  try {
    /** @type {Record<string, number>} */
    const found = {}
    if (!peer) {
      await insert(SNAPSHOT_ROWS)
      found['snapshot'] = (await apart('snapshot', { from, log: where(), rows: SNAPSHOT_ROWS })).rate
      // A log that is kept in memory only has no place to go on from: it begins with a snapshot, of nothing.
      await reset(db)
    }
    for (const [what, rows] of /** @type {const} */ ([
      ['single', peer && log === 'sqlite' ? FEW_ROWS : SINGLE_ROWS],
      ['bulk', BULK_ROWS],
    ])) {
      const place = where()
      await makeSlot(db, from, peer, place)
      if (log === 'memory' && !peer) {
        await reset(db)
        continue
      }
      if (what === 'bulk') await insert(rows)
      else
        await db.query(
          `DO $$ BEGIN FOR i IN 1..${rows} LOOP INSERT INTO items VALUES (nextval('ids'), 'an item with a name', 12.50, 0); COMMIT; END LOOP; END $$`,
        )
      const options = { from, log: place, rows, task: 'drain' }
      found[what] = (await apart(peer ? 'peer' : 'drain', options)).rate
      await reset(db)
    }
    const place = where()
    await makeSlot(db, from, peer, place)
    const timed = begin(peer ? 'peer' : 'lag', { from, log: place, rows: RATE * LAG_S, task: 'lag' })
    await timed.ready
    timed.go()
    await writeAtRate(from)
    const { p50, p99 } = await timed.result
    return { ...found, p50, p99 }
  } finally {
    await db.end()
    await engine.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Lets a slot begin now, at the state of the table; a log is brought to that. */
async function makeSlot(
  /** @type {pg.Client} */ db,
  /** @type {string} */ from,
  /** @type {boolean} */ peer,
  /** @type {string} */ place,
) {
  if (!peer) {
    if (place !== 'memory:') await apart('snapshot', { from, log: place, rows: 0 })
    return
  }
  await db.query('CREATE PUBLICATION banyan_bench FOR TABLE items')
  await db.query("SELECT pg_create_logical_replication_slot('banyan_bench', 'pgoutput')")
}

async function reset(/** @type {pg.Client} */ db) {
  await db.query('TRUNCATE items')
  for (let tries = 50; ; tries--)
    try {
      await db.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots')
      break
    } catch (error) {
      // A connection that has just been ended still holds it.
      if (tries === 0) throw error
      await sleep(100)
    }
  await db.query('DROP PUBLICATION IF EXISTS banyan_bench')
}

/** Single rows in transactions of their own, each with the time at which it was written. */
async function writeAtRate(/** @type {string} */ from) {
  const writers = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const client = new pg.Client({ connectionString: from })
      await client.connect()
      return client
    }),
  )
  const begun = performance.now()
  const each = (RATE * LAG_S) / writers.length
  await Promise.all(
    writers.map(async (client) => {
      for (let written = 0; written < each; written++) {
        const due = begun + (written * 1000 * writers.length) / RATE
        if (due > performance.now()) await sleep(due - performance.now())
        await client.query("INSERT INTO items VALUES (nextval('ids'), 'an item', 1, $1)", [Date.now()])
      }
    }),
  )
  await Promise.all(writers.map((client) => client.end()))
}
