// @ts-check
/**
 * Captures tables until it is told to end. Its argument is JSON: `log`, where events go, and `from`, where they come from.
 * It prints "begun", and "caught up".
 */
import { captureChanges, openLog } from 'banyan/events'

const { log: where, from } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()

const log = await openLog(where)
const capture = await captureChanges({
  from,
  name: 'killed',
  log,
  tables: { accounts: { topic: 'account' } },
  batch: 100,
})
process.stdout.write('begun\n')
await capture.caughtUp()
process.stdout.write('caught up\n')
