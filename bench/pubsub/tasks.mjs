// @ts-check
import { runTask, told } from '../apart.mjs'
import { atRate, keepInFlight, now, percentiles, WARM_MS } from '../events/load.mjs'
import { message } from './contestant.mjs'

/** Messages published at once, and how many of those are under way. */
const BULK = { size: 100, concurrency: 4 }

/**
 * @typedef {object} Options
 * @property {string} contestant name of its module
 * @property {string} where
 * @property {string} queue
 * @property {object} options of the contestant
 * @property {number} ms
 */

const tasks = {
  /** Publishes one by one, as fast as it goes. */
  async publish(/** @type {Options & { concurrency: number, wait?: boolean }} */ options) {
    const { concurrency, ms, wait } = options
    return withContestant(options, async ({ publish }) => {
      if (wait) await told()
      return keepInFlight(concurrency, ms, (number) => publish(message(number, now())))
    })
  },

  /** Publishes many at once. */
  async publishBulk(/** @type {Options} */ options) {
    return withContestant(options, async ({ publishAll }) => {
      const load = await keepInFlight(BULK.concurrency, options.ms, (number) =>
        publishAll(several(number * BULK.size, BULK.size)),
      )
      return { ...load, perSecond: load.perSecond * BULK.size }
    })
  },

  /** Publishes at a rate. */
  async publishAtRate(/** @type {Options & { perSecond: number }} */ options) {
    return withContestant(options, async ({ publish }) => {
      await told()
      return atRate(options.perSecond, options.ms, (number) => publish(message(number, now())))
    })
  },

  /** Handles what was published before. */
  async drain(/** @type {Options & { messages: number }} */ options) {
    return withContestant(options, async ({ publishAll, subscribe }) => {
      for (let number = 0; number < options.messages; number += BULK.size)
        await publishAll(several(number, BULK.size))
      let handled = 0
      /** @type {() => void} */
      let end = () => undefined
      const ended = new Promise((resolve) => (end = () => resolve(undefined)))
      const begun = now()
      await subscribe(() => {
        if (++handled === options.messages) end()
      })
      await ended
      return { perSecond: handled / ((now() - begun) / 1000) }
    })
  },

  /** Handles what is published meanwhile; gives how many a second, and the time from publishing to the handler. */
  async consume(/** @type {Options} */ options) {
    return withContestant(options, async ({ subscribe }) => {
      /** @type {number[]} */
      const times = []
      let counting = false
      await subscribe(({ at }) => {
        if (counting) times.push(now() - at)
      })
      await told()
      await new Promise((resolve) => setTimeout(resolve, WARM_MS))
      counting = true
      const begun = now()
      await new Promise((resolve) => setTimeout(resolve, options.ms))
      counting = false
      return { perSecond: times.length / ((now() - begun) / 1000), ...percentiles(times) }
    })
  },
}

function several(/** @type {number} */ first, /** @type {number} */ count) {
  return Array.from({ length: count }, (_, index) => message(first + index, now()))
}

/**
 * @template Result
 * @param {Options} options
 * @param {(contestant: import('./contestant.mjs').Contestant) => Promise<Result>} work
 */
async function withContestant({ contestant, where, queue, options }, work) {
  const { open } = await import(`./${contestant}.mjs`)
  /** @type {import('./contestant.mjs').Contestant} */
  const opened = await open(where, queue, options)
  const result = await work(opened)
  await opened.close()
  return result
}

await runTask(import.meta.filename, tasks)
