// @ts-check
/**
 * Relays messages of an outbox to a log until it is told to end. It prints "." now and then.
 *
 * Its argument is JSON: `application`, where the outbox is, and `log`.
 */
import { openLog, openOutbox } from 'banyan/events'

const { application, log: where } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const log = await openLog(where)
const outbox = await openOutbox(application)
const relay = outbox.relay(log, { batch: 7, poll: '20ms' })
relay.ended.catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(2)
})
let told = 0
setInterval(() => {
  if (relay.status().relayed > told) process.stdout.write('.\n')
  told = relay.status().relayed
}, 2)
process.once(
  'SIGTERM',
  () =>
    void outbox
      .close()
      .then(() => log.close())
      .then(() => process.exit(0)),
)
process.stdout.write('ready\n')
