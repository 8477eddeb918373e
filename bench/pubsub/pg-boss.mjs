// @ts-check
import { PgBoss } from 'pg-boss'

/** What handles most a second, of batches from 16 to 500 and 1 to 4 workers: with an order, a batch has a message of each key. */
const WORK = {
  standard: { batchSize: 500, localConcurrency: 2 },
  key_strict_fifo: { batchSize: 64, localConcurrency: 1 },
}
/** What is sent faster than it is written waits for a connection. */
const CONNECTION_MS = 60_000
/** What is being handled is finished within this. */
const STOP_MS = 5000
/** The shortest that it takes. */
const POLLING_SECONDS = 0.5

/**
 * A queue of pg-boss.
 *
 * @param {string} where URL of PostgreSQL
 * @param {string} name of a queue
 * @param {{ policy: keyof typeof WORK, notify?: boolean }} options `notify`: PostgreSQL tells workers of messages, which
 *   otherwise look for them twice a second
 * @returns {Promise<import('./contestant.mjs').Contestant>}
 */
export async function open(where, name, { policy, notify = false }) {
  const boss = new PgBoss({
    connectionString: where,
    connectionTimeoutMillis: CONNECTION_MS,
    useListenNotify: notify,
  })
  boss.on('error', console.error)
  await boss.start()
  if (!(await boss.getQueue(name))) await boss.createQueue(name, { policy, notify })
  return {
    publish: (message) => boss.send(name, message, { singletonKey: message.key }),
    publishAll: (messages) =>
      boss.insert(
        name,
        messages.map((data) => ({ data, singletonKey: data.key })),
      ),
    subscribe: (handle) =>
      boss.work(
        name,
        {
          ...WORK[policy],
          burstWhenBatchFull: true,
          pollingIntervalSeconds: POLLING_SECONDS,
          notifyPollingIntervalSeconds: POLLING_SECONDS,
        },
        async (/** @type {{ data: import('./contestant.mjs').Message }[]} */ jobs) => {
          for (const { data } of jobs) handle(data)
        },
      ),
    async close() {
      await boss.stop({ timeout: STOP_MS })
    },
  }
}
