// @ts-check
import { openLog, subscribe, topic } from '../../dist/events/index.js'
import { CONCURRENCY } from './contestant.mjs'

/** @typedef {{ type: 'Sent', data: import('./contestant.mjs').Message }} Sent */

/**
 * A topic of a log, and one subscription to it.
 *
 * @param {string} where the log
 * @param {string} name of a topic
 * @returns {Promise<import('./contestant.mjs').Contestant>}
 */
export async function open(where, name) {
  const log = await openLog(where)
  /** @type {import('../../dist/events/index.js').Topic<Sent>} */
  const messages = topic(log, name)
  const sent = (/** @type {import('./contestant.mjs').Message} */ data) =>
    /** @type {const} */ ({ type: 'Sent', key: data.key, data })
  /** @type {import('../../dist/events/index.js').Subscription<Sent> | undefined} */
  let subscription
  return {
    publish: (message) => messages.publish(sent(message)),
    publishAll: (all) => messages.publish(all.map(sent)),
    async subscribe(handle) {
      subscription = await subscribe(log, { name, topic: name, from: 'start' })
      subscription.handle(({ data }) => handle(data), { concurrency: CONCURRENCY })
    },
    async close() {
      await subscription?.close()
      await log.close()
    },
  }
}
