// @ts-check
/** What followers of an event log cost its leader, how far behind they are, and what they serve. */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { percentiles } from './events/load.mjs'
import { median, spread, table } from './measure.mjs'

const ROUNDS = 3
const ROUND_MS = 1000
const IN_FLIGHT = 64
const READERS = 16
const RATES = [200, 2000]
const PAIRS = 200
const SHIPPED = [
  { events: 10_000, perCommit: 1 },
  { events: 30_000, perCommit: 10 },
]
const REPLICA = new URL('./events/replica.mjs', import.meta.url)

const ms = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : 1)
const us = (/** @type {number} */ value) => (value * 1000).toFixed(0)
const thousands = (/** @type {number} */ value) => `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k`

/** A process with a log. */
class Replica {
  #child = fork(REPLICA)
  #calls = 0
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map()

  constructor() {
    this.#child.on('message', (/** @type {any} */ { call, result, error }) => {
      const { resolve, reject } = /** @type {any} */ (this.#waiting.get(call))
      this.#waiting.delete(call)
      if (error) reject(new Error(error))
      else resolve(result)
    })
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`a replica ended with ${code}`))
    })
  }

  /**
   * @param {string} what it is to do, as replica.mjs names it
   * @param {object} [given]
   * @returns {Promise<any>}
   */
  ask(what, given = {}) {
    return new Promise((resolve, reject) => {
      const call = ++this.#calls
      this.#waiting.set(call, { resolve, reject })
      this.#child.send({ call, what, given })
    })
  }

  end() {
    this.#child.disconnect()
  }
}

/** A leader, and places for its followers. */
class Cluster {
  leader = new Replica()
  address = ''
  #directory

  constructor(/** @type {string} */ directory) {
    this.#directory = directory
  }

  place() {
    return `sqlite:${mkdtempSync(join(this.#directory, 'log-'))}`
  }

  async start() {
    this.address = `http://127.0.0.1:${await this.leader.ask('lead', { place: this.place() })}`
  }

  /** A follower that has everything up to a position. */
  async follower(/** @type {string} */ after) {
    const replica = new Replica()
    const place = this.place()
    const took = await replica.ask('follow', { leader: this.address, place, after })
    return { replica, place, took }
  }
}

/** @returns {Promise<string>} tables in Markdown */
export async function logFollowers() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-followers-'))
  try {
    return [
      '## Followers of an event log',
      `A leader and its followers in SQLite, each in a process of its own, all on this machine: they share its cores and its disk. Events of 170 B of JSON. Median of ${ROUNDS} rounds (lowest – highest).`,
      '### A new follower takes over what is there',
      await shipping(directory),
      ...(await live(directory)),
    ].join('\n\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function shipping(/** @type {string} */ directory) {
  const rows = []
  for (const { events, perCommit } of SHIPPED) {
    const cluster = new Cluster(directory)
    await cluster.start()
    const head = await cluster.leader.ask('fill', { events, perCommit })
    const rates = []
    const costs = { leader: /** @type {number[]} */ ([]), follower: /** @type {number[]} */ ([]) }
    for (let round = 0; round < ROUNDS; round++) {
      const before = await cluster.leader.ask('cpu')
      const { replica, took } = await cluster.follower(head)
      costs.leader.push(((await cluster.leader.ask('cpu')) - before) / events)
      costs.follower.push(took.cpu / events)
      rates.push((events * 1000) / took.ms)
      replica.end()
    }
    cluster.leader.end()
    rows.push([
      `${thousands(events)}, ${perCommit} in a commit`,
      spread(rates, thousands),
      spread(costs.leader, us),
      spread(costs.follower, us),
    ])
  }
  return table(['events', 'events a second', 'CPU of an event, leader, µs', 'follower, µs'], rows)
}

async function live(/** @type {string} */ directory) {
  const cluster = new Cluster(directory)
  await cluster.start()
  const { leader } = cluster
  const { events } = /** @type {{ events: number }} */ (SHIPPED[1])
  const head = await leader.ask('fill', { events, perCommit: 10 })
  const known = [await cluster.follower(head), await cluster.follower(head)]
  const followers = known.map(({ replica }) => replica)
  const [first] = /** @type {[Replica]} */ (followers)
  try {
    return [
      '### How far behind they are: from when an event was given to the leader until a follower shows it, two followers',
      await lags(leader, followers),
      `### Reading your own writes: an append at the leader, then a read of a follower after its token, one after the other`,
      await tokens(leader, first),
      `### Reads of whole streams of 10 events, ${READERS} at once in each process`,
      await reads(leader, followers, events),
      `### What followers cost the leader: appends, ${IN_FLIGHT} in flight`,
      await appends(cluster, known),
    ]
  } finally {
    for (const replica of [leader, ...followers]) replica.end()
  }
}

/**
 * @param {Replica} leader
 * @param {Replica[]} followers
 */
async function lags(leader, followers) {
  const rows = []
  for (const perSecond of RATES) {
    const found = []
    for (let round = 0; round < ROUNDS; round++) {
      const [there, ...seen] = [leader, ...followers].map((each) => each.ask('lag', { ms: ROUND_MS + 500 }))
      // Followed from the end.
      await new Promise((resolve) => setTimeout(resolve, 100))
      const { reached } = await leader.ask('appendAtRate', { perSecond, ms: ROUND_MS })
      const { p50: own } = await there
      found.push(...(await Promise.all(seen)).map((each) => ({ ...each, own, reached })))
    }
    rows.push([
      String(perSecond),
      spread(found.map(({ reached }) => reached)),
      spread(
        found.map(({ own }) => own),
        ms,
      ),
      spread(
        found.map(({ p50 }) => p50),
        ms,
      ),
      spread(
        found.map(({ p99 }) => p99),
        ms,
      ),
    ])
  }
  return table(['appends a second', 'reached', 'at the leader itself, p50 ms', 'p50 ms', 'p99 ms'], rows)
}

/**
 * @param {Replica} leader
 * @param {Replica} follower
 */
async function tokens(leader, follower) {
  const before = await follower.ask('reads')
  const waits = []
  const plain = []
  for (let pair = 0; pair < PAIRS; pair++) {
    const after = await leader.ask('appendOne')
    waits.push(await follower.ask('readOne', { after }))
    plain.push(await follower.ask('readOne'))
  }
  const { here, leader: there } = await follower.ask('reads')
  const served = here - before.here
  const all = served + there - before.leader
  const [waited, read] = [waits, plain].map(percentiles)
  const times = table(
    ['', 'p50 ms', 'p99 ms'],
    [
      ['read after a token', ms(waited?.p50 ?? NaN), ms(waited?.p99 ?? NaN)],
      ['read without one', ms(read?.p50 ?? NaN), ms(read?.p99 ?? NaN)],
    ],
  )
  return `${times}\n\nThe follower served ${((100 * served) / all).toFixed(1)} % of ${all} reads.`
}

/**
 * @param {Replica} leader
 * @param {Replica[]} followers
 * @param {number} events
 */
async function reads(leader, followers, events) {
  const [first] = /** @type {[Replica]} */ (followers)
  const ask = (/** @type {Replica} */ replica, isRemote = false) =>
    replica.ask('read', { concurrency: READERS, ms: ROUND_MS, events, isRemote })
  const ways = {
    'leader alone': () => [ask(leader)],
    'one follower alone': () => [ask(first)],
    'leader and two followers at once': () => [leader, ...followers].map((replica) => ask(replica)),
    'one follower, sent on to the leader': () => [ask(first, true)],
  }
  /** @type {Record<string, { perSecond: number, p99: number }[]>} */
  const found = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, way] of Object.entries(ways)) {
      const loads = await Promise.all(way())
      const perSecond = loads.reduce((sum, load) => sum + load.perSecond, 0)
      ;(found[name] ??= []).push({ perSecond, p99: Math.max(...loads.map(({ p99 }) => p99)) })
    }
  const alone = median((found['leader alone'] ?? []).map(({ perSecond }) => perSecond))
  return table(
    ['', 'streams a second', 'x leader', 'p99 ms'],
    Object.entries(found).map(([name, loads]) => {
      const rates = loads.map(({ perSecond }) => perSecond)
      return [
        name,
        spread(rates),
        (median(rates) / alone).toFixed(2),
        spread(
          loads.map(({ p99 }) => p99),
          ms,
        ),
      ]
    }),
  )
}

/**
 * @param {Cluster} cluster
 * @param {{ replica: Replica, place: string }[]} followers that follow at first, and do not in the end
 */
async function appends(cluster, followers) {
  /** @type {Record<number, { perSecond: number, p99: number, cpu: number }[]>} */
  const found = {}
  const measure = async (/** @type {number} */ count) => {
    const load = await cluster.leader.ask('append', { concurrency: IN_FLIGHT, ms: ROUND_MS })
    ;(found[count] ??= []).push(load)
    return load.head
  }
  const stop = () => Promise.all(followers.map(({ replica }) => replica.ask('stop')))
  await stop()
  for (let round = 0; round < ROUNDS; round++) {
    let head = await measure(0)
    for (const [index, { replica, place }] of followers.entries()) {
      // What was missed meanwhile is taken over before it counts.
      await replica.ask('follow', { leader: cluster.address, place, after: head })
      head = await measure(index + 1)
    }
    await stop()
  }
  const alone = median((found[0] ?? []).map(({ perSecond }) => perSecond))
  return table(
    ['followers', 'appends a second', 'x alone', 'p99 ms', 'CPU of an append at the leader, µs'],
    Object.entries(found).map(([name, loads]) => {
      const rates = loads.map(({ perSecond }) => perSecond)
      return [
        name,
        spread(rates),
        (median(rates) / alone).toFixed(2),
        spread(
          loads.map(({ p99 }) => p99),
          ms,
        ),
        spread(
          loads.map(({ cpu }) => cpu),
          us,
        ),
      ]
    }),
  )
}
