// @ts-check
/** Opens a log, appends to it, and prints as JSON what came of it. Its argument is JSON: `log`. */
import { openLog } from 'banyan/events'

const { log: where } = JSON.parse(process.argv[2] ?? '{}')
/** @type {{ code?: string, message?: string }} */
let told
try {
  const log = await openLog(where)
  await log.append({ streams: [{ stream: 'order-1', events: [{ type: 'Placed' }] }] })
  await log.close()
  told = { code: 'none' }
} catch (error) {
  const { code, message } = /** @type {any} */ (error)
  told = { code, message }
}
process.stdout.write(JSON.stringify(told))
