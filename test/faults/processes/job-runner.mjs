// @ts-check
/**
 * Schedules two jobs, each second: `once` starts each time at most once, `again` until it has succeeded. Prints `ready`; a line
 * of JSON for each run that begins, and for each that has done its work; until SIGTERM.
 *
 * Its argument is JSON: `where`, `name`, `ttl` in ms, and how long a run takes in ms, `takes`.
 */
import { openCoordinator, scheduleJobs } from 'banyan/coordination'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, name, ttl, takes } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const coordinator = await openCoordinator(where)

/** @type {(context: import('banyan/coordination').JobContext) => Promise<void>} */
const run = async ({ name: job, scheduledFor, attempt, token, check }) => {
  const line = (/** @type {string} */ what) =>
    process.stdout.write(`${JSON.stringify({ what, job, scheduledFor, attempt, token })}\n`)
  line('begun')
  await sleep(takes)
  check()
  line('done')
}

const plan = /** @type {const} */ ({ every: '1s', missed: 'all', limit: 1000 })
const scheduler = scheduleJobs(coordinator, {
  ttl,
  holder: name,
  jobs: {
    once: { ...plan, run },
    again: { ...plan, run, retry: { attempts: 1000 } },
  },
})
await scheduler.ready
process.once('SIGTERM', async () => {
  await scheduler.close()
  await coordinator.close()
  process.exit(0)
})
process.stdout.write('ready\n')
