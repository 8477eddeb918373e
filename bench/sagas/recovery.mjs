// @ts-check
/** Ours alone: a process is killed in the middle of many sagas, and another one goes on with them. */
import { join } from 'node:path'
import { openLog, runSagas, saga, sagas } from '../../dist/events/index.js'
import { start as startEngine } from '../../scripts/engines.mjs'
import { runTask, tasksOf, told } from '../apart.mjs'
import { now } from '../events/load.mjs'
import { table } from '../measure.mjs'

/** Started at the same time. */
const STARTING = 256

const { begin } = tasksOf(new URL(import.meta.url))
const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(1)} s`

/** @typedef {{ where: string, count: number, takeover: string }} Options */

/**
 * @param {string} directory
 * @param {number} count
 * @param {string} takeover how long a process may be silent
 * @returns {Promise<string>} a table in Markdown
 */
export async function recovery(directory, count, takeover) {
  const onSqlite = await recover({ where: `sqlite:${join(directory, 'recovery')}`, count, takeover })
  const server = await startEngine('postgres')
  const where = `postgres://postgres@127.0.0.1:${server.port}/postgres`
  const onPostgres = await recover({ where, count, takeover }).finally(() => server.stop())
  return [
    `### A process is killed in the middle of a step of each of ${count} sagas`,
    `The next one is started at once. A process is taken to be dead after ${takeover} of silence.`,
    table(
      ['', 'until the first step is called again', 'until all are', 'from there until all have ended'],
      Object.entries({ sqlite: onSqlite, postgres: onPostgres }).map(([engine, { first, all, ended }]) => [
        engine,
        ...[first, all, ended].map(seconds),
      ]),
    ),
  ].join('\n\n')
}

/**
 * @param {Options} options
 * @returns {Promise<{ first: number, all: number, ended: number }>} ms
 */
async function recover(options) {
  const before = begin('block', options)
  await before.ready
  // It never says anything.
  before.result.catch(() => undefined)
  before.kill()
  const killed = now()
  const { first, all, ended } = await begin('goOn', options).result
  return { first: first - killed, all: all - killed, ended: ended - all }
}

const tasks = {
  /** Starts sagas that are in the middle of their step, until it is killed. */
  async block(/** @type {Options} */ { where, count, takeover }) {
    const log = await openLog(where)
    let called = 0
    const waiting = wait(() => {
      // Nothing else is to happen when this can be killed.
      if (++called === count) void told()
      return new Promise(() => undefined)
    })
    await runSagas(log, { definitions: [waiting], concurrency: count, takeover })
    const all = sagas(log)
    let number = 0
    const starter = async () => {
      while (number < count) await all.start(waiting, undefined, { id: `${number++}` })
    }
    await Promise.all([...Array.from({ length: STARTING }, starter), new Promise(() => undefined)])
  },

  /** Goes on with them. */
  async goOn(/** @type {Options} */ { where, count, takeover }) {
    const log = await openLog(where)
    let called = 0
    let first = 0
    let all = 0
    /** @type {(value?: unknown) => void} */
    let release = () => undefined
    const released = new Promise((resolve) => (release = resolve))
    const waiting = wait(async () => {
      if (++called === 1) first = now()
      if (called === count) {
        all = now()
        release()
      }
      await released
    })
    const runner = await runSagas(log, { definitions: [waiting], concurrency: count, takeover })
    let left = count
    for await (const { events } of log.follow({ category: '$saga/wait', types: ['Ended'] })) {
      left -= events.length
      if (left === 0) break
    }
    const ended = now()
    await runner.close()
    await log.close()
    return { first, all, ended }
  },
}

/** A saga of one step. */
function wait(/** @type {() => Promise<void>} */ step) {
  return saga({
    name: 'wait',
    run: (_, context) => context.step('wait', { run: step, compensate: () => undefined, timeout: '1h' }),
  })
}

await runTask(import.meta.filename, tasks)
