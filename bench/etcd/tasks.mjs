// @ts-check
import { runTask } from '../apart.mjs'
import { keepInFlight } from '../events/load.mjs'

const VALUE = 'x'.repeat(100)

const tasks = {
  /**
   * Does one thing as fast as it goes.
   *
   * @param {{ contestant: string, port: number, what: 'locked' | 'put' | 'get', concurrency: number, ms: number }} options
   */
  async load({ contestant, port, what, concurrency, ms }) {
    /** @type {{ open: import('./contestant.mjs').Contestant }} */
    const { open } = await import(`./${contestant}.mjs`)
    const client = await open(port)
    // Nobody waits for another: each has a name of its own.
    const name = (/** @type {number} */ number) => `${what}-${number % (2 * concurrency)}`
    const busy = new Set()
    const before = process.cpuUsage()
    let count = 0
    const load = await keepInFlight(concurrency, ms, async (number) => {
      let own = name(number)
      while (busy.has(own)) own += '+'
      busy.add(own)
      if (what === 'put') await client.put(own, VALUE)
      else await client[what](own)
      busy.delete(own)
      count++
    })
    const { user, system } = process.cpuUsage(before)
    await client.close()
    return { ...load, cpu: (user + system) / count }
  },
}

await runTask(import.meta.filename, tasks)
