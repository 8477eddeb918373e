// @ts-check
/** Ours alone: many sagas that sleep, on SQLite; what they take, and how late they wake. */
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openLog, runSagas, saga, sagas } from '../../dist/events/index.js'
import { runTask, tasksOf } from '../apart.mjs'
import { percentiles } from '../events/load.mjs'
import { table } from '../measure.mjs'

/** Started at the same time. */
const STARTING = 256
/** So many tell how long all will take. They sleep on. */
const SAMPLE = 2000
/** So many of the others are due one after the other, in so many ms; then all that are left, at once. */
const SPREAD = { share: 0.2, ms: 20_000 }
/** From when all should be asleep until the first is due, in ms: another process begins meanwhile. */
const REST_MS = 15_000
/** Between looks whether something has come to pass, in ms. */
const LOOK_MS = 20

const { apart } = tasksOf(new URL(import.meta.url))
const MB = (/** @type {number} */ value) => `${(value / 2 ** 20).toFixed(0)} MB`
const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`

/**
 * @param {string} directory
 * @param {number} count
 * @returns {Promise<string>} a table in Markdown
 */
export async function sleeping(directory, count) {
  const empty = await apart('wake', {
    where: `sqlite:${join(directory, 'empty')}`,
    count: 0,
    first: Date.now() + REST_MS / 2,
  })
  const where = `sqlite:${join(directory, 'sleeping')}`
  const asleep = await apart('sleep', { where, count })
  const awake = await apart('wake', { where, count, first: asleep.first })
  return [
    `### ${count} sagas that sleep, sqlite`,
    table(
      ['', ''],
      [
        ['put to sleep, a second', asleep.perSecond.toFixed(0)],
        ['memory (RSS) of a process that has them, while all are asleep', MB(awake.asleep)],
        ['the same with none', MB(empty.asleep)],
        [
          `lateness, ${(((count * SPREAD.share) / SPREAD.ms) * 1000).toFixed(0)} due a second: p50, p99, highest`,
          [awake.p50, awake.p99, awake.latest].map(seconds).join(', '),
        ],
        [
          `woken and ended a second, of ${count * (1 - SPREAD.share)} due at once`,
          awake.perSecond.toFixed(0),
        ],
        ['memory, highest', MB(awake.highest)],
      ],
    ),
  ].join('\n\n')
}

const tasks = {
  /** Starts them, and ends when all are asleep. */
  async sleep(/** @type {{ where: string, count: number }} */ { where, count }) {
    const log = await openLog(where)
    let asleep = 0
    const napping = nap(() => asleep++)
    const runner = await runSagas(log, { definitions: [napping] })
    const all = sagas(log)
    const start = async (/** @type {number} */ upTo, /** @type {(number: number) => number} */ due) => {
      const begun = performance.now()
      let number = asleep
      await Promise.all(
        Array.from({ length: STARTING }, async () => {
          while (number < upTo) {
            const id = `${number}`
            await all.start(napping, due(number++), { id })
          }
        }),
      )
      await until(() => asleep === upTo && runner.running === 0)
      return performance.now() - begun
    }
    const hour = Date.now() + 3_600_000
    const sampled = await start(SAMPLE, () => hour)
    const first = Date.now() + REST_MS + 1.3 * (count / SAMPLE) * sampled
    const spread = (/** @type {number} */ number) => (number - SAMPLE) / (count * SPREAD.share)
    const ms = await start(SAMPLE + count, (number) => first + Math.min(1, spread(number)) * SPREAD.ms)
    await runner.close()
    await log.close()
    return { first, perSecond: count / (ms / 1000) }
  },

  /** Wakes them. */
  async wake(/** @type {{ where: string, count: number, first: number }} */ { where, count, first }) {
    const log = await openLog(where)
    /** @type {number[]} */
    const late = []
    let woken = 0
    let highest = 0
    const last = first + SPREAD.ms
    const napping = nap(
      () => undefined,
      (due) => {
        if (++woken % 1000 === 0) highest = Math.max(highest, process.memoryUsage.rss())
        if (due < last) late.push(Date.now() - due)
      },
    )
    const runner = await runSagas(log, { definitions: [napping] })
    await until(() => Date.now() > first - LOOK_MS)
    collectGarbage()
    const asleep = process.memoryUsage.rss()
    if (woken > 0) throw new Error(`${woken} were due before all were asleep`)
    await until(() => woken === count && runner.running === 0)
    const perSecond = (count - late.length) / ((Date.now() - last) / 1000)
    await runner.close()
    await log.close()
    return { asleep, highest, perSecond, ...percentiles(late), latest: Math.max(0, ...late) }
  },
}

/**
 * A saga that sleeps until the time that it is given.
 *
 * @param {() => void} onSleep its code has been run up to there
 * @param {(due: number) => void} [onWake]
 */
function nap(onSleep, onWake) {
  return saga({
    name: 'nap',
    async run(/** @type {number} */ due, { sleepUntil }) {
      onSleep()
      await sleepUntil(due)
      onWake?.(due)
    },
  })
}

async function until(/** @type {() => boolean} */ condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}

function collectGarbage() {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

await runTask(import.meta.filename, tasks)
