// @ts-check
/**
 * Appends without end to a log and records what it tried and was told. After a restart it first finds out what became of
 * the commits that it had no answer for, by appending them again. SIGTERM lets it finish what it has begun. It prints
 * "." for each answer, the codes of errors, and `recovered` for an append that went well after one.
 *
 * Its argument is JSON: `log`, where the log is; `name` of the writer; `history`, the file to record in; `seed`;
 * `lanes`, how many appends are on their way at once; `pause`, how long a lane rests at most, in ms.
 */
import { seededRandom } from 'banyan/core'
import { openLog } from 'banyan/events'
import { historyRecorder } from 'banyan/testing'
import { setTimeout as sleep } from 'node:timers/promises'
import { openJournal, readJournal } from './journal.mjs'
import { openTransactions } from './transactions.mjs'
import { commitOf, hotStream, isTransactional, newId } from './workload.mjs'

/** Errors after which an append is tried again. */
const TRANSIENT = ['BANYAN_OUTCOME_UNKNOWN', 'BANYAN_LOG_UNAVAILABLE', 'BANYAN_LOG_LOCKED', 'BANYAN_LOG_FULL']

const { log: where, name, history, seed, lanes, pause } = JSON.parse(process.argv[2] ?? '{}')
const random = seededRandom(seed)
const earlier = readJournal(history)
const write = openJournal(history)
const recorder = historyRecorder({ name, write })
let stopping = false
process.once('SIGTERM', () => (stopping = true))
process.stdin.on('end', () => process.exit(1)).resume()

const log = await opened()
const transactions = where.startsWith('postgres') ? openTransactions(where, log) : undefined
/** @type {string[]} Commits of this process that were acknowledged, some of them. */
const known = []
/** @type {Map<string, number | 'none'>} */
const revisions = new Map()
let number = 0
let failing = false
process.stdout.write('ready\n')

for (const commit of unanswered()) await append(commit)
await Promise.all(Array.from({ length: lanes }, lane))
await transactions?.close()
await log.close()
process.exit(0)

/** While the server is away, or the file is kept by a process that has been stopped, it waits. */
async function opened() {
  for (;;) {
    try {
      return await openLog(where)
    } catch (error) {
      if (stopping || !TRANSIENT.includes(/** @type {any} */ (error).code)) throw error
      process.stderr.write(`${error}\n`)
      await sleep(20)
    }
  }
}

async function lane() {
  while (!stopping) {
    await append(next())
    await sleep(random.next() * pause)
  }
}

/** @returns {import('./workload.mjs').Commit} */
function next() {
  const chance = random.next()
  // All writers try the same commit at about the same time.
  if (chance < 0.05) return commitOf(`shared:all:${Math.floor(Number(process.hrtime.bigint()) / 1e8)}`)
  if (chance < 0.1 && known.length > 0) {
    const id = /** @type {string} */ (known[Math.floor(random.next() * known.length)])
    // The id is looked at before what is expected: it is the first result that comes, no conflict.
    return commitOf(id, () => 1_000_000)
  }
  const id = newId(random, `${name}.${process.pid}`, number++)
  const hot = hotStream(id)
  return commitOf(id, (stream) => (stream === hot ? (revisions.get(stream) ?? 'none') : 'any'))
}

/** Until it is known what became of it. */
async function append(/** @type {import('./workload.mjs').Commit} */ commit) {
  const within = transactions && isTransactional(commit.id)
  const appender = within ? transactions.appender() : log
  for (;;) {
    try {
      const result = await recorder.append(appender, commit)
      process.stdout.write(failing ? 'recovered\n' : '.\n')
      failing = false
      if (result.ok) {
        for (const { stream, revision } of result.streams) revisions.set(stream, revision)
        if (known.length < 500) known.push(commit.id)
      } else for (const { stream, actual } of result.conflicts) revisions.set(stream, actual)
      return
    } catch (error) {
      const { code } = /** @type {any} */ (error)
      if (code === 'BANYAN_TEST_ROLLED_BACK') return
      failing = true
      process.stdout.write(`${code}\n`)
      // An error that the connection of a transaction brought; the recorder has it as unknown.
      if (!TRANSIENT.includes(code) && !within) throw error
      if (stopping) return
      await sleep(20)
    }
  }
}

/** Commits of earlier runs without an answer, as they were tried. */
function unanswered() {
  const open = new Map()
  for (const entry of earlier) {
    if (entry.is === 'attempt') open.set(entry.attempt, entry)
    else if (entry.is === 'outcome') open.delete(entry.attempt)
  }
  return [...open.values()].map(({ commit, streams }) =>
    commitOf(
      commit,
      (stream) => streams.find((/** @type {any} */ tried) => tried.stream === stream).expected,
    ),
  )
}
