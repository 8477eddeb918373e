// @ts-check
import { openOutbox } from '../../dist/events/index.js'
import { application } from './application.mjs'
import { now } from '../events/load.mjs'
import { message, TOPIC } from './contestant.mjs'

/** @returns {Promise<import('./contestant.mjs').Contestant>} */
export async function open(/** @type {string} */ where) {
  const outbox = await openOutbox(where)
  const { enter, close } = await application(where, (transaction, messages) =>
    outbox.publish(/** @type {any} */ (transaction), TOPIC, messages),
  )
  return {
    enter: (number) => enter(number, () => [message(number, now())]),
    enterMany: (messages) => enter(0, () => messages),
    relay: (log) => void outbox.relay(log),
    waiting: async () => (await outbox.status({ count: 1 })).waiting.count,
    async close() {
      await outbox.close()
      await close()
    },
  }
}
