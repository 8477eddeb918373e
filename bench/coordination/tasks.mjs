// @ts-check
/** Clients of the benchmark, in processes of their own. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { runTask, told } from '../apart.mjs'
import { keepInFlight } from '../events/load.mjs'

const WARM_MS = 500
/** Calls between two turns of the event loop, at most. */
const TURN = 100
/** Leases that are asked for at once: more than a few hundred, and etcd refuses some. */
const GRANTED_AT_ONCE = 100
/** Seconds. */
const LEASE_TTL = 10
const MB = 2 ** 20

/** @returns {Promise<import('./contestant.mjs').Client>} */
async function clientOf(/** @type {string} */ contestant, /** @type {string} */ where) {
  /** @type {{ open: import('./contestant.mjs').Contestant }} */
  const { open } = await import(`./${contestant}.mjs`)
  return open(where)
}

const tasks = {
  /**
   * Clients with connections of their own take and return one lock as fast as it goes.
   *
   * @param {{ contestant: string, where: string, clients: number, name: string, ms: number }} options
   */
  async locks({ contestant, where, clients, name, ms }) {
    const idle = await Promise.all(
      Array.from({ length: clients }, async () => ({ client: await clientOf(contestant, where), count: 0 })),
    )
    const all = [...idle]
    await told()
    let calls = 0
    const before = process.cpuUsage()
    const load = await keepInFlight(
      clients,
      ms,
      async () => {
        const own = /** @type {typeof all[0]} */ (idle.shift())
        await own.client.locked(name)
        own.count++
        idle.push(own)
        // In memory nothing ever waits for the event loop, and no timer would end this.
        if (++calls % TURN === 0) await nextTurn()
      },
      WARM_MS,
    )
    const { user, system } = process.cpuUsage(before)
    return { ...load, cpu: (user + system) / calls, counts: all.map(({ count }) => count) }
  },

  /**
   * Takes leases, and keeps them when it is told to go on.
   *
   * @param {{ contestant: string, where: string, count: number, parts: number, partMs: number }} options
   */
  async leases({ contestant, where, count, parts, partMs }) {
    const { lease } = await clientOf(contestant, where)
    if (!lease) throw new Error(`${contestant} has no leases`)
    let gone = 0
    const without = (/** @type {unknown} */ why) => {
      if (gone++ === 0) console.error(`  a lease less: ${why}`)
    }
    let asked = 0
    await lease(LEASE_TTL, () => undefined)
    const before = process.memoryUsage().rss
    const begun = performance.now()
    await Promise.all(
      Array.from({ length: GRANTED_AT_ONCE }, async () => {
        while (asked++ < count) await lease(LEASE_TTL, without).catch(without)
      }),
    )
    const granting = (performance.now() - begun) / 1000
    await told()
    const cpu = []
    for (let part = 0; part < parts; part++) {
      const used = process.cpuUsage()
      const since = performance.now()
      await sleep(partMs)
      const { user, system } = process.cpuUsage(used)
      cpu.push((user + system) / 10 / (performance.now() - since))
    }
    const { rss } = process.memoryUsage()
    return { granting, cpu, kept: count - gone, rss: rss / MB, grown: (rss - before) / MB }
  },
}

await runTask(import.meta.filename, tasks)
