// @ts-check
import { openLog } from '../../dist/events/index.js'
import { runTask, told } from '../apart.mjs'
import { atRate, keepInFlight, now, percentiles, WARM_MS } from '../events/load.mjs'
import { message, TOPIC } from './contestant.mjs'

const BULK = 100

/**
 * @typedef {object} Options
 * @property {string} contestant name of its module
 * @property {string} where the database of the application
 * @property {string} log
 * @property {object} options of the contestant
 * @property {number} ms
 */

const tasks = {
  /** Transactions, as fast as they go, while nobody relays. */
  async enter(/** @type {Options & { concurrency: number }} */ { concurrency, ms, ...options }) {
    return withContestant(options, ({ enter }) => keepInFlight(concurrency, ms, (number) => enter(number)))
  },

  /** Transactions at a rate. */
  async enterAtRate(/** @type {Options & { perSecond: number }} */ { perSecond, ms, ...options }) {
    return withContestant(options, async ({ enter }) => {
      await told()
      return atRate(perSecond, ms, (number) => enter(number))
    })
  },

  /** Relays what was published before. */
  async drain(/** @type {Options & { messages: number }} */ { messages, ...options }) {
    return withContestant(options, async ({ enterMany, relay, waiting }) => {
      for (let number = 0; number < messages; number += BULK)
        await enterMany(Array.from({ length: BULK }, (_, index) => message(number + index, now())))
      const log = await openLog(options.log)
      const before = await count(log)
      const begun = now()
      relay(log)
      while ((await waiting()) > 0) await new Promise((resolve) => setTimeout(resolve, 2))
      const perSecond = messages / ((now() - begun) / 1000)
      const relayed = (await count(log)) - before
      if (relayed !== messages) throw new Error(`${relayed} of ${messages} came to the log`)
      return { perSecond }
    })
  },

  /** Relays what is published meanwhile; gives the time from `publish` until it was seen in the log. */
  async relay(/** @type {Options} */ { ms, ...options }) {
    return withContestant(options, async ({ relay }) => {
      const log = await openLog(options.log)
      const closing = new AbortController()
      /** @type {number[]} */
      const times = []
      let counting = false
      relay(log)
      const follow = async () => {
        const following = log.follow({ category: TOPIC }, { from: 'end', signal: closing.signal })
        for await (const { events } of following)
          if (counting) for (const { data } of events) times.push(now() - /** @type {any} */ (data).at)
      }
      const followed = follow()
      await told()
      await new Promise((resolve) => setTimeout(resolve, WARM_MS))
      counting = true
      const begun = process.cpuUsage()
      await new Promise((resolve) => setTimeout(resolve, ms))
      counting = false
      const { user, system } = process.cpuUsage(begun)
      closing.abort()
      await followed
      return { ...percentiles(times), cpu: (user + system) / 1000 / ms }
    })
  },
}

async function count(/** @type {import('../../dist/events/index.js').EventLog} */ log) {
  return (await log.stats()).events
}

/**
 * @template Result
 * @param {Pick<Options, 'contestant' | 'where' | 'options'>} options
 * @param {(contestant: import('./contestant.mjs').Contestant) => Promise<Result>} work
 */
async function withContestant({ contestant, where, options }, work) {
  const { open } = await import(`./${contestant}.mjs`)
  /** @type {import('./contestant.mjs').Contestant} */
  const opened = await open(where, options)
  const result = await work(opened)
  await opened.close()
  return result
}

await runTask(import.meta.filename, tasks)
