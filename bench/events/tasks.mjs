// @ts-check
/** What is run in a process of its own: `node tasks.mjs <task> <options as JSON>` prints what the task gives. */
import { openLog } from '../../dist/events/index.js'
import { runTask, told } from '../apart.mjs'
import { atRate, keepInFlight, now, order, percentiles } from './load.mjs'
import { openEmmett, openJetStream, PlainFile } from './peers.mjs'

/** How many streams single appends go to, as orders of a shop would. */
const STREAMS = 10_000
const TYPE = 'OrderPlaced'

/** @typedef {{ where: string, concurrency: number, ms: number }} AppendOptions */

/** @param {import('../../dist/events/index.js').EventLog} log */
function appendTo(log) {
  return (/** @type {number} */ number) =>
    log.append({
      streams: [{ stream: `order-${number % STREAMS}`, events: [{ type: TYPE, data: order(number) }] }],
    })
}

/** @param {import('../../dist/events/index.js').EventLog} log */
function appendAt(log) {
  return (/** @type {number} */ number) => {
    const data = { ...order(number), at: now() }
    return log.append({ streams: [{ stream: `order-${number % STREAMS}`, events: [{ type: TYPE, data }] }] })
  }
}

export const tasks = {
  async appendBanyan(/** @type {AppendOptions} */ { where, concurrency, ms }) {
    return withLog(where, async (log) => {
      return keepInFlight(concurrency, ms, appendTo(log))
    })
  },

  async appendFile(/** @type {AppendOptions} */ { where, concurrency, ms }) {
    const file = await PlainFile.open(where)
    return keepInFlight(concurrency, ms, (number) => file.append(`${JSON.stringify(order(number))}\n`))
  },

  async appendJetStream(/** @type {AppendOptions} */ { where, concurrency, ms }) {
    const stream = await openJetStream(where)
    return keepInFlight(concurrency, ms, (number) => stream.publish(JSON.stringify(order(number))))
  },

  async appendEmmett(/** @type {AppendOptions} */ { where, concurrency, ms }) {
    const store = await openEmmett(where)
    return keepInFlight(concurrency, ms, (number) =>
      store.append(`order-${number % STREAMS}`, { type: TYPE, data: order(number) }),
    )
  },

  /** Appends many events in large commits, `perStream` to each stream, streams in turn. */
  async fill(
    /** @type {{ where: string, events: number, perStream: number, prefix?: string }} */ {
      where,
      events,
      perStream,
      prefix = 'filled',
    },
  ) {
    return withLog(where, async (log) => {
      const begun = performance.now()
      const waiting = new Set()
      for (let number = 0; number < events;) {
        /** @type {Map<string, { type: string, data: unknown }[]>} */
        const streams = new Map()
        const size = Math.min(COMMIT_EVENTS, events - number)
        for (const end = number + size; number < end; number++) {
          const stream = `${prefix}-${Math.floor(number / perStream)}`
          const event = { type: TYPE, data: order(number) }
          const known = streams.get(stream)
          if (known) known.push(event)
          else streams.set(stream, [event])
        }
        const appending = log
          .append({ streams: Array.from(streams, ([stream, list]) => ({ stream, events: list })) })
          .then(() => waiting.delete(appending))
        waiting.add(appending)
        if (waiting.size >= COMMITS_IN_FLIGHT) await Promise.race(waiting)
      }
      await Promise.all(waiting)
      return { perSecond: events / ((performance.now() - begun) / 1000) }
    })
  },

  /** Follows from the start to the end; memory is that of the first and the last tenth. */
  async catchUp(/** @type {{ where: string, events: number }} */ { where, events }) {
    return withLog(where, async (log) => {
      let seen = 0
      let early = 0
      let late = 0
      const begun = performance.now()
      for await (const batch of log.follow({}, { batch: 1000 })) {
        seen += batch.events.length
        const memory = process.memoryUsage.rss()
        if (seen < events / 10) early = Math.max(early, memory)
        else if (seen > events * 0.9) late = Math.max(late, memory)
        if (seen >= events) break
      }
      return { perSecond: seen / ((performance.now() - begun) / 1000), early, late }
    })
  },

  /** Appends at a rate; each event says when its append began. */
  async appendAtRate(
    /** @type {{ where: string, perSecond: number, ms: number, wait?: boolean }} */ {
      where,
      perSecond,
      ms,
      wait,
    },
  ) {
    return withLog(where, async (log) => {
      if (wait) await told()
      return atRate(perSecond, ms, appendAt(log))
    })
  },

  /** Follows from now on; gives the time from the begin of an append to its delivery. */
  async delivery(/** @type {{ where: string, ms: number }} */ { where, ms }) {
    return withLog(where, async (log) => {
      const following = deliveries(log, ms)
      console.log('ready')
      return percentiles(await following)
    })
  },

  /** Both in one process. */
  async deliveryInside(
    /** @type {{ where: string, perSecond: number, ms: number }} */ { where, perSecond, ms },
  ) {
    return withLog(where, async (log) => {
      const following = deliveries(log, ms + SETTLE_MS)
      const { reached } = await atRate(perSecond, ms, appendAt(log))
      return { ...percentiles(await following), reached }
    })
  },

  /** Reads whole streams of a filled log, in random order. */
  async readStreams(
    /** @type {{ where: string, streams: number, reads: number }} */ { where, streams, reads },
  ) {
    return withLog(where, async (log) => {
      /** @type {number[]} */
      const times = []
      for (let index = -WARM_READS; index < reads; index++) {
        const stream = `filled-${Math.floor(Math.random() * streams)}`
        const begun = performance.now()
        let events = 0
        for await (const event of log.read({ stream })) if (event.revision >= 0) events++
        if (index >= 0) times.push(performance.now() - begun)
        if (events === 0) throw new Error(`${stream} is empty`)
      }
      return percentiles(times)
    })
  },

  /** One long stream: its last events, some in the middle, and another append. */
  async longStream(
    /** @type {{ where: string, stream: string, events: number }} */ { where, stream, events },
  ) {
    return withLog(where, async (log) => {
      const timed = async (/** @type {() => Promise<unknown>} */ call) => {
        /** @type {number[]} */
        const times = []
        for (let index = 0; index < 200; index++) {
          const begun = performance.now()
          await call()
          times.push(performance.now() - begun)
        }
        return percentiles(times).p50
      }
      const read = async (/** @type {import('../../dist/events/index.js').ReadOptions} */ options) => {
        for await (const _ of log.read({ stream }, { limit: 10, ...options }));
      }
      return {
        tail: await timed(() => read({ backwards: true })),
        middle: await timed(() => read({ fromRevision: Math.floor(Math.random() * events) })),
        append: await timed(() =>
          log.append({ streams: [{ stream, events: [{ type: TYPE, data: order(1) }] }] }),
        ),
      }
    })
  },

  /** The names of all streams. */
  async listStreams(/** @type {{ where: string }} */ { where }) {
    return withLog(where, async (log) => {
      const begun = performance.now()
      let count = 0
      for await (const { revision } of log.streams()) if (revision >= 0) count++
      return { count, ms: performance.now() - begun }
    })
  },
}

/**
 * @template Result
 * @param {string} where
 * @param {(log: import('../../dist/events/index.js').EventLog) => Promise<Result>} work
 */
async function withLog(where, work) {
  const log = await openLog(where)
  try {
    return await work(log)
  } finally {
    await log.close()
  }
}

const COMMIT_EVENTS = 5000
const COMMITS_IN_FLIGHT = 4
const WARM_READS = 200
/** What is on its way when the appending ends arrives within this. */
const SETTLE_MS = 500

/**
 * @param {import('../../dist/events/index.js').EventLog} log
 * @param {number} ms
 * @returns {Promise<number[]>} ms of each event
 */
async function deliveries(log, ms) {
  /** @type {number[]} */
  const times = []
  const signal = AbortSignal.timeout(ms)
  for await (const batch of log.follow({}, { from: 'end', signal })) {
    const arrived = now()
    for (const { data } of batch.events) times.push(arrived - /** @type {{ at: number }} */ (data).at)
  }
  // The first tenth is of code that is not compiled yet.
  return times.slice(Math.floor(times.length / 10))
}

await runTask(import.meta.filename, tasks)
