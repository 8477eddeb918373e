// @ts-check
/**
 * Takes part in an election. While it leads it writes to a server behind a fence each few ms, with its name. It prints JSON: of each
 * look whether it leads, its token and when it began and ended to look; and `refused` with the token of a write that came too late.
 *
 * Told `stop` on stdin, it prints `stopped` and stops (SIGSTOP): if it leads, between a look and a write, with its token; otherwise
 * at once, with 0.
 *
 * Prints `ready` first; until SIGTERM. Its argument is JSON: `where`, `name`, `ttl` in ms, `algorithm`,
 * `resource` (a URL).
 */
import { elect, fencedFetch, openCoordinator } from 'banyan/coordination'
import { createInterface } from 'node:readline'
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, name, ttl, algorithm, resource } = JSON.parse(process.argv[2] ?? '{}')
const coordinator = await openCoordinator(where)
const now = () => Number(process.hrtime.bigint()) / 1e6
/** @param {unknown} what */
const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`)
let isToStop = false
/** @param {number} token - 0 if it does not lead */
const stop = (token) => {
  isToStop = false
  say({ stopped: token })
  process.kill(process.pid, 'SIGSTOP')
}

/**
 * Writes, again and again until it is known what came of it.
 *
 * @param {typeof fetch} write
 * @param {number} token
 */
async function written(write, token) {
  for (;;) {
    try {
      const { ok, status } = await write(resource, { method: 'PUT', body: name })
      if (ok) return
      throw new Error(`answered with ${status}`)
    } catch (error) {
      if (/** @type {any} */ (error).code === 'BANYAN_STALE_TOKEN') return say({ refused: token })
      process.stderr.write(`${error}\n`)
      await sleep(5)
    }
  }
}

const election = elect(coordinator, 'x', {
  holder: name,
  ttl,
  algorithm,
  onLead: async (signal, token, { guard }) => {
    // As whoever does not ask again before each write.
    const write = fencedFetch({ name: 'x', token })
    while (!signal.aborted) {
      const before = now()
      const after = guard(now)
      say({ token, before, after })
      if (isToStop) stop(token)
      await written(write, token)
      await sleep(5)
    }
  },
})
election.on('change', ({ kind }) => isToStop && kind !== 'leading' && stop(0))
createInterface({ input: process.stdin })
  .on('line', () => {
    if (election.term?.held) isToStop = true
    else stop(0)
  })
  .on('close', () => process.exit(1))
process.once('SIGTERM', async () => {
  await election.close()
  await coordinator.close()
  process.exit(0)
})
process.stdout.write('ready\n')
