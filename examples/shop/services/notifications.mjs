// @ts-check
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { verifyWebhook } from 'banyan/events'
import { openJournal } from './journal.mjs'
import { problem, startService } from './service.mjs'

const { SHOP_DATA: directory = 'data', NOTIFICATIONS_SECRET: secret = '' } = process.env
/** Customers whose address nobody knows: what is meant for them cannot be sent. */
const lost = new Set(['nobody'])

/** @typedef {{ id: string, time: string, to: string, text: string }} Notification */
/** @type {ReturnType<typeof openJournal<Notification>>} */
const { lines: sent, append } = openJournal(join(directory, 'notifications.ndjson'))
const ids = new Set(sent.map(({ id }) => id))

/** Tells customers what happens to their orders. Messages come as signed CloudEvents, each until it is answered with 2xx. */
startService('notifications', async (request, url) => {
  if (request.method === 'POST') return notify(request)
  // PUT /notifications/addresses/nobody, from outside the gateway: the address has been found.
  const [, , what, customer = ''] = url.pathname.split('/')
  if (request.method === 'PUT' && what === 'addresses') return { found: lost.delete(customer) }
  return { notifications: sent.slice(-8).reverse(), sent: sent.length }
})

/** @param {import('./service.mjs').Request} request */
async function notify(request) {
  const body = await text(request)
  const id = verified(request.headers, body)
  // The answer to the first one was lost.
  if (ids.has(id)) return {}
  const { type, subject, data } = JSON.parse(body)
  const { customer = 'guest', sku } = data
  if (lost.has(customer)) throw problem(422, `nobody knows where ${customer} lives`)
  const what = type.replace(/\B[A-Z]/g, ' $&').toLowerCase()
  const time = new Date().toISOString()
  append({ id, time, to: customer, text: `${sku}: ${what} (${subject})` })
  ids.add(id)
  return {}
}

/**
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {string} body
 * @returns {string} the same for each try of a message
 */
function verified(headers, body) {
  try {
    return verifyWebhook(headers, body, secret).id
  } catch (error) {
    throw problem(401, /** @type {Error} */ (error).message)
  }
}
