// @ts-check
import { openLog, openReadModels, projection } from 'banyan/events'
import { problem, startService } from './service.mjs'

const ITEMS = [
  { sku: 'fig', name: 'Strangler fig, potted', price: 24 },
  { sku: 'banyan', name: 'Banyan sapling', price: 39 },
  { sku: 'root', name: 'Aerial root, 1 m', price: 7 },
]

/**
 * How many of each item are ordered and paid, counted from what happens to orders.
 *
 * @type {import('banyan/events').ProjectionDefinition<import('./order.mjs').Event, Tables>}
 */
const definition = {
  name: 'catalogue',
  version: 1,
  select: { category: 'order' },
  setup: ({ db, table }) =>
    db.exec(
      `CREATE TABLE ${table('item')} (sku TEXT PRIMARY KEY, ordered INT DEFAULT 0, paid INT DEFAULT 0)`,
    ),
  on: {
    OrderPlaced: count('ordered', 1),
    OrderReopened: count('ordered', 1),
    OrderCancelled: count('ordered', -1),
    OrderPaid: count('paid', 1),
    PaymentRefunded: count('paid', -1),
  },
}
const catalogue = projection(definition)

/**
 * @param {'ordered' | 'paid'} column
 * @param {1 | -1} step
 * @returns {(event: { data: { sku: string } }, context: Context) => void}
 */
function count(column, step) {
  return ({ data }, { db, table }) => {
    db.run(
      `INSERT INTO ${table('item')} (sku, ${column}) VALUES (?, ?)
       ON CONFLICT (sku) DO UPDATE SET ${column} = ${column} + excluded.${column}`,
      data.sku,
      step,
    )
  }
}

const data = `sqlite:${process.env['SHOP_DATA'] ?? 'data'}`
const log = await openLog(data)
const models = await openReadModels(data, log)
// Both catalog processes run it: one works, the other takes over when that one goes.
models.run(catalogue, { takeover: '1s' }).ended.catch((error) => console.error('catalog:', error))

startService(
  'catalog',
  async (request, url, response) => {
    // Should both processes be gone, the gateway answers with what it has had for the same position, and no other.
    response.setHeader('Vary', 'Log-Position')
    const numbers = await read(request.headers['log-position'])
    const items = ITEMS.map((item) => ({ ...item, ordered: 0, paid: 0, ...numbers.get(item.sku) }))
    const sku = url.pathname.split('/')[2]
    if (!sku) return { items }
    const item = items.find((each) => each.sku === sku)
    if (!item) throw problem(404, `there is no ${sku}`)
    return item
  },
  async () => {
    await models.close()
    await log.close()
  },
)

/**
 * The numbers by item; with the `Log-Position` of an answer of the orders service, with what that has done.
 *
 * @param {string | string[] | undefined} position
 */
async function read(position) {
  /** @type {(context: import('banyan/events').QueryContext<Tables>) => { sku: string }[]} */
  const query = ({ db, table }) => db.all(`SELECT * FROM ${table('item')}`)
  try {
    const rows = await models.query(
      catalogue,
      query,
      typeof position === 'string' ? { after: position, timeout: '400ms' } : {},
    )
    return new Map(rows.map((row) => [row.sku, row]))
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error)
    // It comes, but not in time: no fault of this process, and the other one could tell no more.
    if (code === 'BANYAN_READ_TOO_OLD') throw problem(412, message)
    if (code === 'BANYAN_INVALID_POSITION' || code === 'BANYAN_POSITION_AHEAD') throw problem(400, message)
    throw error
  }
}

/** @typedef {import('banyan/events').SqliteTables} Tables */
/** @typedef {import('banyan/events').ProjectionContext<Tables>} Context */
