// @ts-check
import { setTimeout as wait } from 'node:timers/promises'
import { openCoordinator } from 'banyan/coordination'
import { openLog, subscribe } from 'banyan/events'
import { AFTER } from './order.mjs'
import { openOrderFiles } from './order-files.mjs'
import { problem, startService } from './service.mjs'

/** With that many orders two files are full, and a third one comes by itself. */
const FULL = Number(process.env['FULL'] ?? 40)
/** How many orders of a customer are told, the last ones. */
const LAST = 10
/** How long the files may be behind the log before it is said that orders are missing, in ms. */
const PATIENCE = 1_000

const directory = process.env['SHOP_DATA'] ?? 'data'
const log = await openLog(`sqlite:${directory}`)
const coordinator = await openCoordinator(`sqlite:${directory}`)
const files = await openOrderFiles(coordinator, directory)

// Whatever happens to an order stands in the file of its customer. A message that comes twice changes nothing.
const orders = await subscribe(log, { name: 'history', topic: 'order', from: 'start' })
orders.handle(async ({ stream, type, data, position }) => {
  const { customer, sku } = /** @type {import('./order.mjs').Data} */ (data)
  const status = AFTER[/** @type {import('./order.mjs').Type} */ (type)]
  await files.shards.write(customer, (db) => {
    db.run(
      `INSERT INTO orders (id, customer, sku, status, position) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET status = excluded.status`,
      ...[stream.slice('order-'.length), customer, sku, status, position],
    )
  })
})

/** How many orders were placed, by the log, up to a position. */
let placed = { count: 0, position: '0' }

const growing = setInterval(() => {
  growWhenFull().catch((error) => console.error('history:', error))
}, 1_000)

/** What each customer has ordered, in several files; and whether all of them together have what the log has. */
startService(
  'history',
  async (request, url) => {
    const [, , what = '', count] = url.pathname.split('/')
    // PUT /history/files/3, from outside the gateway: a third file comes; /2: it goes again.
    if (request.method === 'PUT' && what === 'files') return resize(Number(count))
    return what ? ofCustomer(decodeURIComponent(what)) : ofAll()
  },
  async () => {
    clearInterval(growing)
    await orders.close()
    await files.close()
    await coordinator.close()
    await log.close()
  },
)

/** @param {string} customer */
async function ofCustomer(customer) {
  const found = await files.shards.read(customer, (db) =>
    db.all(
      `SELECT id, sku, status FROM orders WHERE customer = ? ORDER BY position DESC LIMIT ${LAST}`,
      customer,
    ),
  )
  return { customer, file: files.shards.shardOf(customer), orders: found }
}

/** How many orders there are: by the log, and in all files together up to the same position. */
async function ofAll() {
  const { count: ordered, position } = await countPlaced()
  const until = performance.now() + PATIENCE
  let buckets = await countFiles(position)
  // They follow the log, and may be a moment behind.
  while (sum(buckets) < ordered && performance.now() < until) {
    await wait(20)
    buckets = await countFiles(position)
  }
  const { owners } = files.moves.map
  const each = [...files.shards.stores.keys()].map((file) => {
    const own = owners.filter(([, , owner]) => owner === file)
    const isOwn = (/** @type {number} */ bucket) => own.some(([from, to]) => from <= bucket && bucket < to)
    return {
      file,
      buckets: own.reduce((total, [from, to]) => total + to - from, 0),
      orders: sum(buckets.filter(({ bucket }) => isOwn(bucket))),
    }
  })
  const { all: moves, isMoving } = files.moves
  return { ordered, found: sum(buckets), files: each, moves, isMoving }
}

/**
 * One statement, asked of every file. The answer is exact also while buckets move.
 *
 * @param {string} position
 */
async function countFiles(position) {
  const { rows } = await files.shards.query(
    'SELECT banyan_bucket AS bucket, count(*) AS orders FROM orders WHERE position <= ? GROUP BY banyan_bucket',
    [position],
    { merge: { groupBy: ['bucket'], count: ['orders'] } },
  )
  return /** @type {{ bucket: number, orders: number }[]} */ (/** @type {unknown} */ (rows))
}

async function countPlaced() {
  // Several may count at the same time.
  let { count, position } = placed
  for await (const event of log.read({ category: 'order' }, { from: position })) {
    if (event.type === 'OrderPlaced') count++
    position = event.position
  }
  if (position > placed.position) placed = { count, position }
  return { count, position }
}

/** @param {{ orders: number }[]} counted */
function sum(counted) {
  return counted.reduce((total, { orders }) => total + Number(orders), 0)
}

async function growWhenFull() {
  if (files.shards.stores.has('c')) return clearInterval(growing)
  const { count } = await countPlaced()
  if (count < FULL) return
  clearInterval(growing)
  await files.grow(count)
}

/** @param {number} count */
async function resize(count) {
  if (count !== 2 && count !== 3) throw problem(400, 'there are 2 files, or 3')
  if (files.moves.isMoving) throw problem(409, 'something moves already')
  clearInterval(growing)
  const { count: orders } = await countPlaced()
  await (count === 3 ? files.grow(orders) : files.shrink(orders))
  return { files: count }
}
