// @ts-check
/**
 * Appends a number of commits, some side by side, and records what it was told; an append with an error is tried again.
 * Then it stays as it is until it is killed, or, with `close`, ends.
 *
 * Its argument is JSON: `log`, `name`, `history`, `commits`, `together` (how many side by side), `close`.
 */
import { openLog } from 'banyan/events'
import { historyRecorder } from 'banyan/testing'
import { seededRandom } from 'banyan/core'
import { openJournal } from './journal.mjs'
import { commitOf, newId } from './workload.mjs'

const { log: where, name, history, commits, together, close, seed = 1 } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const random = seededRandom(seed)
const recorder = historyRecorder({ name, write: openJournal(history) })
const log = await openLog(where)
process.stdout.write('ready\n')
for (let done = 0; done < commits;) {
  const size = 1 + Math.floor(random.next() * together)
  const group = Array.from({ length: size }, (_, index) => commitOf(newId(random, name, done + index)))
  await Promise.all(group.map(append))
  done += size
}
if (close) await log.close()
process.stdout.write('done\n')
if (close) process.exit(0)

/** @param {import('./workload.mjs').Commit} commit */
async function append(commit) {
  for (let tries = 5; ; tries--) {
    try {
      await recorder.append(log, commit)
      return
    } catch (error) {
      if (tries === 1) throw error
      process.stdout.write(`${/** @type {any} */ (error).code}\n`)
    }
  }
}
