// @ts-check
/**
 * Takes a lock again and again. It prints JSON: of each look whether it holds it, its token and when it began and ended to look;
 * and `lost` with the token when it has found that it does not any more.
 *
 * Told `stop` on stdin, it prints `stopped` with the token the next time that it holds the lock, and stops (SIGSTOP).
 *
 * Prints `ready` first; until SIGTERM. Its argument is JSON: `where`, `ttl` in ms.
 */
import { lock, openCoordinator } from 'banyan/coordination'
import { createInterface } from 'node:readline'
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, ttl } = JSON.parse(process.argv[2] ?? '{}')
const coordinator = await openCoordinator(where)
const now = () => Number(process.hrtime.bigint()) / 1e6
/** @param {unknown} what */
const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`)
let isToStop = false
let isToEnd = false
createInterface({ input: process.stdin })
  .on('line', () => (isToStop = true))
  .on('close', () => process.exit(1))
process.once('SIGTERM', () => (isToEnd = true))
process.stdout.write('ready\n')

while (!isToEnd) {
  const held = await lock(coordinator, 'x', { ttl }).acquire()
  try {
    for (let looks = 0; looks < 2; looks++) {
      const before = now()
      held.check()
      say({ token: held.token, before, after: now() })
      if (isToStop) {
        isToStop = false
        say({ token: held.token, stopped: true })
        process.kill(process.pid, 'SIGSTOP')
      }
      await sleep(10)
    }
    held.check()
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'BANYAN_LEASE_LOST') throw error
    say({ token: held.token, lost: true })
  }
  await held.release()
}
await coordinator.close()
process.exit(0)
