// @ts-check
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { follow } from './events.mjs'
import { startService } from './service.mjs'

const { GATEWAY: gateway = '', EVENTS_KEY: key = '', SHOP_DATA: directory = 'data' } = process.env
const file = join(directory, 'shipping.position')
/** How long packing takes, in ms; until then the customer can think better of it. */
const PACKING = Number(process.env['PACKING'] ?? 10_000)

let shipped = 0
startService('shipping', () => ({ shipped }))
void ship()

/**
 * Ships what was paid, for as long as the process lives. After a crash or a restart of the node it goes on where it was: it
 * may see an order again whose shipping it had not noted yet, and asking for that again changes nothing.
 */
async function ship() {
  mkdirSync(directory, { recursive: true })
  for (;;) {
    try {
      for await (const { position, event } of follow('category=order&type=OrderPaid', lastPosition())) {
        if (event) await shipOne(event)
        writeFileSync(file, position)
      }
    } catch (error) {
      // The node is not there yet, or not any more; everything else would come again, and should be seen.
      if (!(error instanceof TypeError)) console.error(`shipping: ${/** @type {Error} */ (error).message}`)
    }
    await wait(1000)
  }
}

/** @param {import('./events.mjs').Event} payment */
async function shipOne({ id, time, banyanstream: stream }) {
  await wait(Math.max(0, Date.parse(time) + PACKING - Date.now()))
  const order = stream.slice('order-'.length)
  const answer = await fetch(`${gateway}/orders/${order}/ship`, {
    method: 'POST',
    headers: { 'X-Api-Key': key, 'Idempotency-Key': `${id}/shipped` },
  })
  if (answer.ok) shipped++
  // A conflict says that the order is not paid any more.
  else if (answer.status !== 409) throw new Error(`${answer.status}: ${await answer.text()}`)
}

function lastPosition() {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '0'
  }
}
