// @ts-check
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { openInbox, openOutbox } from 'banyan/events'
import { bodyOf, problem, startService } from './service.mjs'

const FIRST = { fig: 10_000, banyan: 1_000, root: 100 }

const directory = process.env['SHOP_DATA'] ?? 'data'
mkdirSync(directory, { recursive: true })
const database = new SQLite(join(directory, 'inventory.db'))
database.pragma('journal_mode = WAL')
database.exec(`
  CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, free INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS reservation (name TEXT PRIMARY KEY, sku TEXT, released INTEGER NOT NULL DEFAULT 0)`)

/** What happens to stock is written with it; the node brings it to the log (`outboxes` in banyan.yaml). */
const outbox = await openOutbox(database)
/** What was asked for already, by its key, and what was answered. */
const inbox = await openInbox(database)

for (const [sku, free] of Object.entries(FIRST))
  if (freeOf(sku) === undefined) inTransaction(() => set(sku, free))

/** Keeps stock in tables of its own, which know nothing of the log. */
startService(
  'inventory',
  async (request, url) => {
    const [, , what = '', count = ''] = url.pathname.split('/')
    // PUT /inventory/fig/50, from outside the gateway: somebody has counted.
    if (request.method === 'PUT' && /^\d+$/.test(count)) return inTransaction(() => set(what, Number(count)))
    if (request.method !== 'POST') return { stock: database.prepare('SELECT * FROM stock').all() }
    const { order, sku } = await bodyOf(request)
    if (what === 'reserve') return once(request, () => reserve(order, sku))
    if (what === 'release') return once(request, () => release(order))
    throw problem(404, 'stock can be reserved and released')
  },
  async () => {
    await Promise.all([outbox.close(), inbox.close()])
    database.close()
  },
)

/**
 * @param {string} order
 * @param {string} sku
 */
function reserve(order, sku) {
  const free = freeOf(sku)
  if (free === undefined) throw problem(404, `there is no ${sku}`)
  if (free === 0) throw problem(409, `${sku} is sold out`)
  const { changes } = run(
    'INSERT INTO reservation (name, sku) VALUES (?, ?) ON CONFLICT DO NOTHING',
    order,
    sku,
  )
  if (changes === 0) throw problem(409, `what ${order} needs was released, or reserved under another key`)
  return stockIs(sku, free - 1, 'StockReserved', order)
}

/**
 * @param {string} order whose stock is released, if any was reserved; from now on none can be
 */
function release(order) {
  const found = /** @type {{ sku: string, released: number } | undefined} */ (
    database.prepare('SELECT sku, released FROM reservation WHERE name = ?').get(order)
  )
  run('INSERT INTO reservation (name, released) VALUES (?, 1) ON CONFLICT DO UPDATE SET released = 1', order)
  if (!found || found.released) return {}
  return stockIs(found.sku, (freeOf(found.sku) ?? 0) + 1, 'StockReleased', order)
}

/**
 * @param {string} sku
 * @param {number} free
 */
function set(sku, free) {
  return stockIs(sku, free, 'StockCounted')
}

/**
 * Writes how much there is, and the message that says so, in the transaction that is open.
 *
 * @param {string} sku
 * @param {number} free
 * @param {'StockCounted' | 'StockReserved' | 'StockReleased'} type
 * @param {string} [order]
 */
function stockIs(sku, free, type, order) {
  run('INSERT INTO stock VALUES (?, ?) ON CONFLICT DO UPDATE SET free = excluded.free', sku, free)
  const data = { sku, free, ...(order && { order }) }
  outbox.publish(database, 'stock', { type, key: sku, data })
  return data
}

/** @param {string} sku */
function freeOf(sku) {
  const found = database.prepare('SELECT free FROM stock WHERE sku = ?').get(sku)
  return /** @type {{ free: number } | undefined} */ (found)?.free
}

/**
 * Does what a request asks for, unless it was done under its key: then it is answered as it was.
 *
 * @template Result
 * @param {import('./service.mjs').Request} request
 * @param {() => Result} work
 */
function once(request, work) {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') throw problem(400, 'say which request it is: Idempotency-Key')
  return inTransaction(() => inbox.once(database, key, work).result)
}

/**
 * @template Result
 * @param {() => Result} work
 */
function inTransaction(work) {
  return database.transaction(work).immediate()
}

/**
 * @param {string} sql
 * @param {unknown[]} values
 */
function run(sql, ...values) {
  return database.prepare(sql).run(...values)
}
