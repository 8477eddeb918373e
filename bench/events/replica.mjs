// @ts-check
/** A leader or a follower of an event log in a process of its own, which does what its parent, log-followers.mjs, asks. */
import { createServer } from 'node:http'
import { nodeListener } from '../../dist/core/index.js'
import { followersOverHttp, followLog, openLog } from '../../dist/events/index.js'
import { atRate, keepInFlight, now, order, percentiles } from './load.mjs'

/** Events of a stream that is read at once. */
const PER_STREAM = 10
const WARM_MS = 300

/** @type {import('../../dist/events/index.js').EventLog} */
let log
/** @type {import('../../dist/events/index.js').Follower | undefined} */
let follower

const does = {
  /** @returns the port that followers ask at */
  async lead(/** @type {{ place: string }} */ { place }) {
    log = await openLog(place)
    const server = createServer(nodeListener(followersOverHttp(log)))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    return /** @type {import('node:net').AddressInfo} */ (server.address()).port
  },

  /** Follows until everything up to a position is there. */
  async follow(/** @type {{ leader: string, place: string, after: string }} */ { leader, place, after }) {
    const cpu = process.cpuUsage()
    const begun = performance.now()
    follower = await followLog(leader, place)
    log = follower.log
    await follower.fresh({ after, wait: '60s', fallback: 'none' })
    return { ms: performance.now() - begun, cpu: cpuMs(cpu) }
  },

  async stop() {
    await follower?.close()
  },

  /** So many events, `perCommit` in each commit, ten in each stream. @returns where the log ends then */
  async fill(/** @type {{ events: number, perCommit: number }} */ { events, perCommit }) {
    let number = 0
    const append = async () => {
      while (number < events) {
        const first = number
        number += perCommit
        const list = Array.from({ length: perCommit }, (_, index) => ({
          type: 'OrderPlaced',
          data: order(first + index),
        }))
        await log.append({ streams: [{ stream: streamOf(first), events: list }] })
      }
    }
    await Promise.all(Array.from({ length: 256 }, append))
    return log.head()
  },

  /** Appends as fast as they go. */
  async append(/** @type {{ concurrency: number, ms: number }} */ { concurrency, ms }) {
    let count = 0
    const cpu = process.cpuUsage()
    const load = await keepInFlight(concurrency, ms, (number) => (count++, appendOne(number)), WARM_MS)
    return { ...load, cpu: cpuMs(cpu) / count, head: await log.head() }
  },

  /** Appends at a rate, each event with the time when it was given to the log. */
  appendAtRate(/** @type {{ perSecond: number, ms: number }} */ { perSecond, ms }) {
    return atRate(perSecond, ms, appendOne)
  },

  /** ms from when an event was given to the leader until it was seen here. */
  async lag(/** @type {{ ms: number }} */ { ms }) {
    /** @type {number[]} */
    const times = []
    const signal = AbortSignal.timeout(ms)
    const following = log.follow({}, { from: 'end', signal })
    for await (const { events } of following)
      for (const { data } of events) times.push(now() - /** @type {any} */ (data).at)
    return percentiles(times)
  },

  /** Reads whole streams. */
  async read(
    /** @type {{ concurrency: number, ms: number, events: number, isRemote: boolean }} */ {
      concurrency,
      ms,
      events,
      isRemote,
    },
  ) {
    const streams = events / PER_STREAM
    return keepInFlight(
      concurrency,
      ms,
      async (number) => {
        const selector = { stream: streamOf(((number * 7919) % streams) * PER_STREAM) }
        // Nothing is as new as that: the leader is asked.
        const reading = isRemote
          ? /** @type {NonNullable<typeof follower>} */ (follower).read(selector, {
              maxStaleness: 0,
              wait: 0,
            })
          : log.read(selector)
        let count = 0
        for await (const { revision } of reading) count += revision >= 0 ? 1 : 0
        if (count !== PER_STREAM) throw new Error(`${count} events`)
      },
      WARM_MS,
    )
  },

  async appendOne() {
    const result = await appendOne(0)
    return result.ok && result.position
  },

  /** One event, at least as new as a token. @returns ms */
  async readOne(/** @type {{ after?: string }} */ given) {
    const begun = performance.now()
    const reading = /** @type {NonNullable<typeof follower>} */ (follower)
    for await (const { position } of reading.read({}, { ...given, backwards: true, limit: 1 })) {
      if (given.after && position < given.after) throw new Error(`${position} is before ${given.after}`)
      return performance.now() - begun
    }
  },

  async reads() {
    return follower?.reads
  },

  async cpu() {
    return cpuMs()
  },
}

function streamOf(/** @type {number} */ event) {
  return `order-${Math.floor(event / PER_STREAM)}`
}

function appendOne(/** @type {number} */ number) {
  const data = { ...order(number), at: now() }
  return log.append({
    streams: [{ stream: `live-${number % 1000}`, events: [{ type: 'OrderPlaced', data }] }],
  })
}

function cpuMs(/** @type {NodeJS.CpuUsage | undefined} */ since = undefined) {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

process.on('message', async (/** @type {any} */ { call, what, given }) => {
  try {
    process.send?.({ call, result: await /** @type {any} */ (does)[what](given) })
  } catch (error) {
    process.send?.({ call, error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
