// @ts-check
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { append, follow } from './events.mjs'
import { startService } from './service.mjs'

const directory = process.env['SHOP_DATA'] ?? 'data'
const file = join(directory, 'shipping.position')

let shipped = 0
startService('shipping', () => ({ shipped }))
void ship()

/**
 * Ships what was ordered, for as long as the process lives. After a crash or a restart of the node it goes on where it was: it
 * may see an order again whose shipping it had not noted yet, and appending that again changes nothing.
 */
async function ship() {
  mkdirSync(directory, { recursive: true })
  for (;;) {
    try {
      for await (const { position, event } of follow('category=order&type=OrderPlaced', lastPosition())) {
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

/** @param {import('./events.mjs').Event} order */
async function shipOne({ id, banyanstream: stream, banyanrevision: revision, data }) {
  await wait(50)
  const parcel = {
    id: id.replace('/placed', '/shipped'),
    type: 'OrderShipped',
    data: { parcel: `${data.sku}-parcel` },
  }
  // Whatever else has happened to the order in between, a conflict says it is not ours any more.
  if ((await append(stream, parcel, String(revision))) === 'appended') shipped++
}

function lastPosition() {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '0'
  }
}
