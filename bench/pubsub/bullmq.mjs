// @ts-check
import { Queue, Worker } from 'bullmq'
import { CONCURRENCY } from './contestant.mjs'

/**
 * A queue of BullMQ. It has no order of a key.
 *
 * @param {string} where port of Redis
 * @param {string} name of a queue
 * @returns {Promise<import('./contestant.mjs').Contestant>}
 */
export async function open(where, name) {
  const connection = { host: '127.0.0.1', port: Number(where), maxRetriesPerRequest: null }
  const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } })
  await queue.waitUntilReady()
  /** @type {Worker | undefined} */
  let worker
  return {
    publish: (message) => queue.add('message', message),
    publishAll: (messages) => queue.addBulk(messages.map((data) => ({ name: 'message', data }))),
    async subscribe(handle) {
      const options = { connection, concurrency: CONCURRENCY }
      worker = new Worker(name, async ({ data }) => handle(data), options)
      await worker.waitUntilReady()
    },
    async close() {
      await worker?.close()
      await queue.close()
    },
  }
}
