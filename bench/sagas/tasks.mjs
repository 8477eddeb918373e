// @ts-check
import { runTask } from '../apart.mjs'
import { atRate, keepInFlight, now, percentiles } from '../events/load.mjs'
import { IN_FLIGHT } from './contestant.mjs'
import { cpuMs } from '../cpu.mjs'

/** @typedef {{ contestant: string, where: string, ms: number }} Options */

const tasks = {
  /** As many as can be ended; with ms of CPU that one of them takes, here and in the server. */
  async run(/** @type {Options & { server?: number }} */ options) {
    const { server } = options
    const ofServer = () => (server === undefined ? 0 : cpuMs(server))
    const ignore = () => undefined
    return withContestant(options, ignore, async ({ run }) => {
      let sagas = 0
      const before = { own: process.cpuUsage(), server: ofServer() }
      const load = await keepInFlight(IN_FLIGHT, options.ms, (number) => {
        sagas++
        return run({ number, at: 0 })
      })
      const { user, system } = process.cpuUsage(before.own)
      return {
        perSecond: load.perSecond,
        cpu: (user + system) / 1000 / sagas,
        server: (ofServer() - before.server) / sagas,
      }
    })
  },

  /** From the start of a saga to its first step, at a rate. */
  async begin(/** @type {Options & { perSecond: number }} */ options) {
    const { ms, perSecond } = options
    /** @type {number[]} */
    const times = []
    const onFirstStep = (/** @type {import('./contestant.mjs').Order} */ { at }) => times.push(now() - at)
    return withContestant(options, onFirstStep, async ({ run }) => {
      // Others than those of the task before.
      let number = 1_000_000
      const one = () => run({ number: number++, at: now() })
      await atRate(perSecond, ms / 2, one)
      times.length = 0
      return { ...(await atRate(perSecond, ms, one)), ...percentiles(times) }
    })
  },
}

/**
 * @template Result
 * @param {Pick<Options, 'contestant' | 'where'>} options
 * @param {(order: import('./contestant.mjs').Order) => void} onFirstStep
 * @param {(contestant: import('./contestant.mjs').Contestant) => Promise<Result>} work
 */
async function withContestant({ contestant, where }, onFirstStep, work) {
  /** @type {{ open: import('./contestant.mjs').Open }} */
  const { open } = await import(`./${contestant}.mjs`)
  const opened = await open(where, onFirstStep)
  const result = await work(opened)
  await opened.close()
  return result
}

await runTask(import.meta.filename, tasks)
