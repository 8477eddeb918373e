// @ts-check
import { createHash, randomUUID } from 'node:crypto'
import { openLog, repository, sagas, subscribe } from 'banyan/events'
import { fulfilment } from '../fulfilment.mjs'
import order, { Refused } from './order.mjs'
import { problem, startService } from './service.mjs'

// The node has the same file open, and so has everybody else who has something to do with events.
const log = await openLog(`sqlite:${process.env['SHOP_DATA'] ?? 'data'}`)
const orders = repository(log, order, { category: 'order' })

// What is placed is fulfilled, by a saga that has the name of the order: a message that comes twice starts nothing.
const placed = await subscribe(log, {
  name: 'fulfilment',
  topic: 'order',
  types: ['OrderPlaced'],
  from: 'start',
})
placed.handle(async ({ stream }) => {
  const name = stream.slice('order-'.length)
  await sagas(log).start(fulfilment, { order: name }, { id: name })
})

/** What may be asked of an order that is there. */
const COMMANDS = /** @type {const} */ (['pay', 'ship', 'cancel', 'close'])
/** Errors that say that the order is not as the client thinks. */
const CONFLICTS = new Set(['BANYAN_NOT_UNDOABLE', 'BANYAN_CONFLICT', 'BANYAN_COMMIT_OVERLAP'])

/** Takes orders, and tells how they are, were, and came to be. What an order is and may do stands in order.mjs. */
startService(
  'orders',
  async (request, url, response) => {
    const [, , id = '', what] = url.pathname.split('/')
    if (request.method !== 'POST') return what === 'audit' ? { audit: await trail(id) } : look(id, url)

    const options = {
      // Sent again with the same key, as after a lost answer, nothing happens twice.
      id: String(request.headers['idempotency-key'] ?? randomUUID()),
      metadata: { actor: String(request.headers['x-actor'] ?? url.searchParams.get('customer') ?? 'guest') },
    }
    const { name, handled } = await command(id, what, options)
    // With this position a client can ask others for something that is not older than what it has just done.
    response.setHeader('Log-Position', handled.position)
    return { order: name, revision: handled.revision, ...handled.state }
  },
  async () => {
    await placed.close()
    await log.close()
  },
)

/**
 * POST /orders/fig places an order, POST /orders/ID/cancel cancels it.
 *
 * @param {string} id
 * @param {string | undefined} what
 * @param {{ id: string, metadata: { actor: string } }} options
 */
async function command(id, what, options) {
  try {
    if (what === undefined) {
      if (!id) throw problem(404, 'say what to order: POST /orders/fig')
      // Named by the request, so that the request sent again is the same order.
      const name = createHash('sha256').update(options.id).digest('hex').slice(0, 8)
      const place = { sku: id, customer: options.metadata.actor }
      return { name, handled: await orders.handle(name, { place }, options) }
    }
    if (what === 'undo' || what === 'redo') return { name: id, handled: await orders[what](id, options) }
    const known = COMMANDS.find((each) => each === what)
    if (!known) throw problem(404, `an order can be cancelled, undone and redone; not: ${what}`)
    return { name: id, handled: await orders.handle(id, known, options) }
  } catch (error) {
    const { code = '', message } = /** @type {{ code?: string, message: string }} */ (error)
    throw error instanceof Refused || CONFLICTS.has(code) ? problem(409, message) : error
  }
}

/**
 * GET /orders/ID, also as it was: ?revision=0, ?at=2026-10-01T12:00:00Z.
 *
 * @param {string} id
 * @param {URL} url
 */
async function look(id, { searchParams }) {
  const revision = searchParams.get('revision')
  const at = searchParams.get('at')
  const moment =
    revision !== null ? { revision: Number(revision) } : at !== null ? { time: Date.parse(at) } : undefined
  if (moment && Object.values(moment).some((each) => !Number.isSafeInteger(each) || each < 0))
    throw problem(400, '?revision= takes a number, ?at= a time such as 2026-10-01T12:00:00Z')
  const found = await orders
    .load(id, moment)
    .catch((/** @type {{ code?: string, message: string }} */ error) => {
      // Of a time to come nothing is known yet.
      throw error.code === 'BANYAN_POSITION_AHEAD' ? problem(404, error.message) : error
    })
  if (found.revision === 'none') throw problem(404, `there is no order ${id}${moment ? ' at that time' : ''}`)
  return { order: id, revision: found.revision, ...found.state }
}

/**
 * GET /orders/ID/audit: who did what, when, and what that has changed.
 *
 * @param {string} id
 */
async function trail(id) {
  const entries = []
  for await (const { time, actor, type, revision, undoes, redoes, changes } of orders.audit(id))
    entries.push({ time: new Date(time).toISOString(), actor, type, revision, undoes, redoes, changes })
  return entries
}
