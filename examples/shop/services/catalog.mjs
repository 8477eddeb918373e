// @ts-check
import { openLog, openReadModels, projection } from 'banyan/events'
import { bodyOf, problem, startService } from './service.mjs'

const ITEMS = [
  { sku: 'fig', name: 'Strangler fig, potted', price: 24 },
  { sku: 'banyan', name: 'Banyan sapling', price: 39 },
  { sku: 'root', name: 'Aerial root, 1 m', price: 7 },
]

/**
 * What is known of each item: how many are ordered and paid, counted from what happens to orders; how many there are, from
 * the outbox of the inventory; what it costs, and who brings it, from the table of an old system, if there is one; and its tag,
 * if it costs less for a while.
 *
 * @type {import('banyan/events').ProjectionDefinition<Event, Tables>}
 */
const definition = {
  name: 'items',
  version: 2,
  setup: ({ db, table }) =>
    db.exec(
      `CREATE TABLE ${table('item')} (sku TEXT PRIMARY KEY, ordered INT NOT NULL DEFAULT 0, paid INT NOT NULL DEFAULT 0,
        free INT, price INT, supplier TEXT, promotion TEXT, percent INT)`,
    ),
  on: {
    OrderPlaced: count('ordered', 1),
    OrderReopened: count('ordered', 1),
    OrderCancelled: count('ordered', -1),
    OrderPaid: count('paid', 1),
    PaymentRefunded: count('paid', -1),
    StockCounted: set('free'),
    StockReserved: set('free'),
    StockReleased: set('free'),
    PriceSnapshotted: set('price', 'supplier'),
    PriceInserted: set('price', 'supplier'),
    PriceUpdated: set('price', 'supplier'),
    PriceDeleted: set('price', 'supplier'),
    ItemTagged: set('promotion', 'percent'),
    ItemUntagged: set('promotion', 'percent'),
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

/**
 * @param {('free' | 'price' | 'supplier' | 'promotion' | 'percent')[]} columns that the data has
 * @returns {(event: { data: Item }, context: Context) => void}
 */
function set(...columns) {
  const values = columns.map(() => '?').join(', ')
  const changes = columns.map((column) => `${column} = excluded.${column}`).join(', ')
  return ({ data }, { db, table }) => {
    db.run(
      `INSERT INTO ${table('item')} (sku, ${columns.join(', ')}) VALUES (?, ${values})
       ON CONFLICT (sku) DO UPDATE SET ${changes}`,
      data.sku,
      ...columns.map((column) => data[column] ?? null),
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
    const known = await read(request.headers['log-position'])
    const items = ITEMS.map((item) => reduced({ ...item, ordered: 0, paid: 0, ...known.get(item.sku) }))
    const [, , sku, part] = url.pathname.split('/')
    if (!sku) return { items }
    const item = items.find((each) => each.sku === sku)
    if (!item) throw problem(404, `there is no ${sku}`)
    return part === 'tag' ? tag(request, sku) : item
  },
  async () => {
    await models.close()
    await log.close()
  },
)

/**
 * What is known of items; with the `Log-Position` of an answer of the orders service, with what that has done.
 *
 * @param {string | string[] | undefined} position
 */
async function read(position) {
  /** @type {(context: import('banyan/events').QueryContext<Tables>) => Item[]} */
  const query = ({ db, table }) => db.all(`SELECT * FROM ${table('item')}`)
  try {
    const rows = await models.query(
      catalogue,
      query,
      typeof position === 'string' ? { after: position, timeout: '400ms' } : {},
    )
    return new Map(rows.map((row) => [row.sku, withoutNulls(row)]))
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error)
    // It comes, but not in time: no fault of this process, and the other one could tell no more.
    if (code === 'BANYAN_READ_TOO_OLD') throw problem(412, message)
    if (code === 'BANYAN_INVALID_POSITION' || code === 'BANYAN_POSITION_AHEAD') throw problem(400, message)
    throw error
  }
}

/**
 * Puts a tag on an item, or takes it off; answers with what it costs then.
 *
 * @param {import('./service.mjs').Request} request
 * @param {string} sku
 */
async function tag(request, sku) {
  const { promotion, percent } = request.method === 'PUT' ? await bodyOf(request) : {}
  const isTag = typeof promotion === 'string' && Number.isInteger(percent) && percent > 0 && percent < 100
  if (request.method === 'PUT' && !isTag)
    throw problem(400, 'a tag has a promotion, and a percent from 1 to 99')
  const event =
    request.method === 'PUT'
      ? { type: 'ItemTagged', data: { sku, promotion, percent } }
      : { type: 'ItemUntagged', data: { sku } }
  const appended = await log.append({ streams: [{ stream: `tag-${sku}`, events: [event] }] })
  if (!appended.ok) throw problem(503, 'the tag cannot be noted')
  const item = ITEMS.find((each) => each.sku === sku)
  return reduced({ .../** @type {Item} */ (item), ...(await read(appended.position)).get(sku) })
}

/**
 * What an item costs with its tag.
 *
 * @template {Item} Whole
 * @param {Whole} item
 */
function reduced({ percent, ...item }) {
  if (percent === undefined || item.price === undefined) return item
  return { ...item, percent, before: item.price, price: Math.round(item.price * (100 - percent)) / 100 }
}

/** @param {object} row */
function withoutNulls(row) {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
}

/** @typedef {{ sku: string, free?: number, price?: number, supplier?: string, promotion?: string, percent?: number }} Item */
/** @typedef {'StockCounted' | 'StockReserved' | 'StockReleased' | 'PriceSnapshotted' | 'PriceInserted' | 'PriceUpdated' | 'PriceDeleted' | 'ItemTagged' | 'ItemUntagged'} Told */
/** @typedef {import('./order.mjs').Event | { [T in Told]: { type: T, data: Item } }[Told]} Event */
/** @typedef {import('banyan/events').SqliteTables} Tables */
/** @typedef {import('banyan/events').ProjectionContext<Tables>} Context */
