// Takes part in a subscription, and writes a line for each message when it begins to handle it, and when it has done so.
import { appendFileSync } from 'node:fs'
import { openLog, subscribe } from '../../../dist/events/index.js'

const { log: where, journal, delivery } = JSON.parse(process.argv[2])
const log = await openLog(where)
const subscription = await subscribe(log, {
  name: 'mailer',
  topic: 'order',
  from: 'start',
  partitions: 4,
  attempts: 4,
  backoff: { base: 5, max: 20 },
  takeover: '500ms',
  delivery,
})
/** Clocks of processes on one machine are the same. */
const write = (what, { id, stream, revision }) =>
  appendFileSync(journal, `${process.hrtime.bigint()} ${what} ${stream} ${revision} ${id}\n`)

subscription.handle(
  async (event, { attempt }) => {
    write('begins', event)
    if (event.data.poison) throw new Error('poison')
    if (event.data.flaky && attempt === 1) throw new Error('flaky')
    await new Promise((resolve) => setTimeout(resolve, event.data.takes))
    write('done', event)
    return delivery === 'effectively-once'
      ? [{ stream: `effect-${event.id}`, events: [{ type: 'Done' }] }]
      : undefined
  },
  { concurrency: 8 },
)
process.stdout.write('ready\n')
process.on('SIGTERM', async () => {
  await subscription.close()
  await log.close()
})
