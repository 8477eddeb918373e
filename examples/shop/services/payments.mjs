// @ts-check
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { openJournal } from './journal.mjs'
import { bodyOf, problem, startService } from './service.mjs'

/** What share of the calls fails, and of the rest, what share takes much longer than usual. */
let failing = Number(process.env['FAILING'] ?? 0.2)
const slow = 0.05

/** Customers whose account is closed: they can pay, but get nothing back. */
const closed = new Set(['ghost'])

/**
 * What was charged, and given back, for each order: `key` names the request, which may come again.
 *
 * @typedef {{ key: string, what: 'charge' | 'refund', order: string, customer: string, amount: number }} Entry
 */
/** @type {ReturnType<typeof openJournal<Entry>>} */
const journal = openJournal(join(process.env['SHOP_DATA'] ?? 'data', 'payments.ndjson'))
/** By order: what was done, and how often this process was asked. @type {Map<string, { done: Entry[], asked: number }>} */
const orders = new Map()
for (const entry of journal.lines) accountOf(entry.order).done.push(entry)

startService('payments', async (request, url) => {
  const [, , what = '', about = ''] = url.pathname.split('/')
  // From outside the gateway, which passes only GET and POST on: PUT /payments/failing/0.9 makes it worse,
  // PUT /payments/accounts/ghost opens an account.
  if (request.method === 'PUT' && what === 'failing' && /^(0|1|0?\.\d+)$/.test(about)) {
    failing = Number(about)
    return { failing }
  }
  if (request.method === 'PUT' && what === 'accounts') return { opened: closed.delete(about) }
  if (request.method !== 'POST') return tell(what)

  const key = request.headers['idempotency-key']
  const { order = '', customer = 'guest', amount = 0 } = await bodyOf(request)
  if (order) accountOf(order).asked++
  await wait(Math.random() < slow ? 400 : 5 + Math.random() * 10)
  const bad = Math.random() < failing
  const how = Math.random()
  if (bad && how < 0.5) throw problem(503, 'the payment provider is not available')
  // Whoever says no key pays each time: there is nothing to remember.
  const done = typeof key === 'string' ? settle(key, what, { order, customer, amount }) : { paid: true }
  // It is done, but whoever has asked does not get to know.
  if (bad && how < 0.75) await wait(5_000)
  if (bad) throw problem(500, 'the connection to the bank was lost')
  return done
})

/**
 * @param {string} key
 * @param {string} what
 * @param {{ order: string, customer: string, amount: number }} about
 */
function settle(key, what, { order, customer, amount }) {
  const { done } = accountOf(order)
  const before = done.find((entry) => entry.key === key)
  if (before) return before
  const charged = done.find((entry) => entry.what === 'charge')
  if (what === 'refund') {
    if (charged && closed.has(charged.customer))
      throw problem(422, `the account of ${charged.customer} is closed, and takes no money back`)
    // Also if nothing was charged: a charge that is still on its way comes too late then.
    return note({ key, what, order, customer: charged?.customer ?? '', amount: charged?.amount ?? 0 })
  }
  if (customer === 'broke') throw problem(402, `the card of ${customer} is refused`)
  if (done.length > 0) throw problem(409, `${order} was charged under another key, or given back`)
  return note({ key, what: 'charge', order, customer, amount })
}

/** @param {Entry} entry */
function note(entry) {
  journal.append(entry)
  accountOf(entry.order).done.push(entry)
  return entry
}

/** @param {string} order */
function accountOf(order) {
  const account = orders.get(order) ?? { done: [], asked: 0 }
  orders.set(order, account)
  return account
}

/**
 * How often somebody has asked for money of an order, and what was charged or given back.
 *
 * @param {string} order
 */
function tell(order) {
  const { asked, done } = orders.get(order) ?? { asked: 0, done: [] }
  return { order, asked, done: done.map(({ what, amount }) => ({ what, amount })) }
}
