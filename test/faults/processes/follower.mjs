// @ts-check
/**
 * Follows a log with several selectors, keeps a checkpoint for each, and goes on from there when it is started again.
 * On SIGTERM it reads on to the end and ends. It prints "." for each batch.
 *
 * Its argument is JSON: `log`, where the log is; `name`; `directory` of the checkpoints; `history`, the file to record
 * in; `seed`; `selectors`.
 */
import { seededRandom } from 'banyan/core'
import { openLog } from 'banyan/events'
import { historyRecorder } from 'banyan/testing'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openJournal, readIfThere, replaceFile } from './journal.mjs'

const { log: where, name, directory, history, seed, selectors } = JSON.parse(process.argv[2] ?? '{}')
const random = seededRandom(seed)
const recorder = historyRecorder({ name, write: openJournal(history) })
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.stdin.on('end', () => process.exit(1)).resume()

const log = await opened()
process.stdout.write('ready\n')
await Promise.all(selectors.map(follow))
await log.close()
process.exit(0)

async function opened() {
  for (;;) {
    try {
      return await openLog(where)
    } catch (error) {
      const { code } = /** @type {any} */ (error)
      if (stop.signal.aborted || !['BANYAN_LOG_UNAVAILABLE', 'BANYAN_LOG_LOCKED'].includes(code)) throw error
      process.stderr.write(`${error}\n`)
      await sleep(20)
    }
  }
}

async function follow(/** @type {import('banyan/events').Selector} */ selector, /** @type {number} */ index) {
  const follower = `${name}.${index}`
  const checkpoint = join(directory, `${follower}.checkpoint`)
  let position = readIfThere(checkpoint) || '0'
  const batch = 1 + Math.floor(random.next() ** 3 * 512)
  for await (const seen of recorder.follow(follower, log, selector, {
    from: position,
    batch,
    signal: stop.signal,
  })) {
    position = seen.position
    process.stdout.write('.\n')
    // A consumer that is killed before it has kept where it is sees some events again.
    if (random.next() < 0.5) replaceFile(checkpoint, position)
  }
  for await (const seen of recorder.follow(follower, log, selector, { from: position }))
    if (seen.caughtUp) return
}
