// @ts-check
/**
 * Read models: how many events a second go into tables, one row written for each, with the checkpoint in the same
 * transaction. The log is in a SQLite file, and in memory for PostgreSQL, so that the store is what is measured.
 */
import { openLog, openReadModels, projection } from '../dist/events/index.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { table } from './measure.mjs'

const EVENTS = { sqlite: 1_000_000, postgres: 40_000 }
const KEYS = 10_000
const COMMIT = 5000

/** @returns {Promise<string>} a table in Markdown */
export async function projections() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-projections-'))
  try {
    const rows = [await onSqlite(directory), ...(await onPostgres())]
    return [
      '## Read models',
      '',
      table(['read model', 'events/s', 'longest turn of the event loop'], rows),
      '',
      'Appended, and read with the write in it, per second, on PostgreSQL:',
      '',
      table(['', '1 at a time', '64 at a time'], await writtenAndRead()),
    ].join('\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function onSqlite(/** @type {string} */ directory) {
  const log = await filled(`sqlite:${join(directory, 'log')}`, EVENTS.sqlite)
  const models = await openReadModels(`sqlite:${join(directory, 'read')}`, log)
  const stock = projection({
    name: 'stock',
    version: 1,
    select: { category: 'item' },
    setup: ({ db, table }) =>
      db.exec(`CREATE TABLE ${table('item')} (key TEXT PRIMARY KEY, sum INTEGER) WITHOUT ROWID`),
    on: {
      Moved: (/** @type {any} */ { stream, data }, { db, table }) =>
        db.run(
          `INSERT INTO ${table('item')} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET sum = sum + excluded.sum`,
          stream,
          data.by,
        ),
    },
  })
  return row('SQLite, a statement for each event', models, stock, log, EVENTS.sqlite)
}

async function onPostgres() {
  const server = await start('postgres', {})
  const log = await filled('memory:', EVENTS.postgres)
  const models = await openReadModels(`postgres://postgres@127.0.0.1:${server.port}/postgres`, log)
  const common = {
    version: 1,
    select: { category: 'item' },
    setup: (/** @type {any} */ { db, table }) =>
      db.query(`CREATE TABLE ${table('item')} (key text PRIMARY KEY, sum integer NOT NULL)`),
  }
  const one = projection({
    ...common,
    name: 'one',
    on: {
      Moved: (/** @type {any} */ { stream, data }, { db, table }) =>
        db.query(
          `INSERT INTO ${table('item')} AS known VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET sum = known.sum + $2`,
          [stream, data.by],
        ),
    },
  })
  const many = projection({
    ...common,
    name: 'many',
    apply: (/** @type {readonly any[]} */ events, { db, table }) =>
      db.query(
        `INSERT INTO ${table('item')} AS known
         SELECT key, sum(by) FROM unnest($1::text[], $2::integer[]) AS event (key, by) GROUP BY key
         ON CONFLICT (key) DO UPDATE SET sum = known.sum + excluded.sum`,
        [events.map(({ stream }) => stream), events.map(({ data }) => data.by)],
      ),
  })
  try {
    return [
      await row('PostgreSQL, a statement for each event', models, one, log, EVENTS.postgres, false),
      await row('PostgreSQL, `apply` with a statement for many', models, many, log, EVENTS.postgres),
    ]
  } finally {
    await server.stop()
  }
}

/** Appends of one event, each followed by a read that sees it: inline, and behind the log with a token. */
async function writtenAndRead() {
  const server = await start('postgres', {})
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`
  const log = await openLog(url)
  const models = await openReadModels(url, log)
  const sums = (/** @type {string} */ name) =>
    projection({
      name,
      version: 1,
      select: { category: name },
      setup: (/** @type {any} */ { db, table }) =>
        db.query(`CREATE TABLE ${table('item')} (key text PRIMARY KEY, sum integer NOT NULL)`),
      on: {
        Moved: (/** @type {any} */ { stream, data }, /** @type {any} */ { db, table }) =>
          db.query(
            `INSERT INTO ${table('item')} AS known VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET sum = known.sum + $2`,
            [stream, data.by],
          ),
      },
    })
  const inline = models.inline(sums('inline'))
  models.run(sums('behind'))
  const perSecond = async (/** @type {string} */ name, /** @type {number} */ atOnce) => {
    const on = name === 'inline' ? inline : log
    let count = 0
    let end = Infinity
    const work = async (/** @type {number} */ worker) => {
      for (let number = 0; performance.now() < end; number++) {
        const stream = `${name}-${worker}-${number % 100}`
        const result = await on.append({
          streams: [{ stream, events: [{ type: 'Moved', data: { by: 1 } }] }],
        })
        const after = result.ok ? result.position : '0'
        await models.query(
          name,
          (/** @type {any} */ { db, table }) =>
            db.query(`SELECT sum FROM ${table('item')} WHERE key = $1`, [stream]),
          name === 'inline' ? {} : { after },
        )
        count++
      }
    }
    const run = async (/** @type {number} */ ms) => {
      count = 0
      const begun = performance.now()
      end = begun + ms
      await Promise.all(Array.from({ length: atOnce }, (_, worker) => work(worker)))
      return (count / (performance.now() - begun)) * 1000
    }
    await run(1000)
    return (await run(5000)).toFixed(0)
  }
  try {
    const rows = []
    for (const [title, name] of [
      ['inline', 'inline'],
      ['behind the log, read `after` the position', 'behind'],
    ])
      rows.push([title, await perSecond(name, 1), await perSecond(name, 64)])
    return rows
  } finally {
    await inline.close()
    await models.close()
    await log.close()
    await server.stop()
  }
}

/**
 * @param {string} name
 * @param {any} models
 * @param {any} measured
 * @param {import('../dist/events/index.js').EventLog} log
 */
async function row(name, models, measured, log, /** @type {number} */ events, close = true) {
  let worst = 0
  let last = performance.now()
  const timer = setInterval(() => {
    worst = Math.max(worst, performance.now() - last)
    last = performance.now()
  }, 1)
  const begun = performance.now()
  await models.run(measured).caughtUp()
  const perSecond = (events / (performance.now() - begun)) * 1000
  clearInterval(timer)
  if (close) {
    await models.close()
    await log.close()
  }
  return [name, `${(perSecond / 1000).toFixed(perSecond < 10_000 ? 1 : 0)}k`, `${worst.toFixed(0)} ms`]
}

async function filled(/** @type {string} */ where, /** @type {number} */ count) {
  const log = await openLog(where)
  for (let first = 0; first < count; first += COMMIT) {
    /** @type {Map<string, { type: string, data: object }[]>} */
    const streams = new Map()
    for (let number = first; number < first + COMMIT; number++) {
      const stream = `item-${number % KEYS}`
      const events = streams.get(stream) ?? []
      events.push({ type: 'Moved', data: { by: number % 7 } })
      streams.set(stream, events)
    }
    await log.append({ streams: [...streams].map(([stream, events]) => ({ stream, events })) })
  }
  return log
}
