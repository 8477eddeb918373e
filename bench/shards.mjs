// @ts-check
/** What it costs to share 10,000 buckets out over 100 workers, and to share them out anew. Time is simulated, CPU is not. */
import { joinShards, planShards } from '../dist/coordination/index.js'
import { DriverCoordinator } from '../dist/coordination/driver-coordinator.js'
import { MemoryCoordination } from '../dist/drivers/memory/coordinator.js'
import { virtualRuntime } from '../dist/testing/index.js'
import { table } from './measure.mjs'

const BUCKETS = 10_000
const WORKERS = 100
/** How often it is looked whether all have their part, in ms of simulated time. */
const LOOK_MS = 50
const LIMIT_MS = 600_000

/** @returns {Promise<string>} tables in Markdown */
export async function shards() {
  return [
    `## Shard map: ${BUCKETS.toLocaleString('en')} buckets over ${WORKERS} workers`,
    'A coordinator for each worker over one engine in memory, in one process, with `tolerance` 0 and otherwise as it comes: at most a tenth of the buckets on their way at once, `settle` 2 s, leases of 10 s. Seconds are simulated, from the change until everybody has its part, with engines and work that take no time; CPU is of all workers together.',
    table(
      [
        'what happens',
        'moves',
        'least possible',
        'simulated',
        'without an owner, at most',
        'plans written',
        'written',
        'CPU',
      ],
      await scenarios(),
    ),
  ].join('\n\n')
}

/** @returns {Promise<string[][]>} */
async function scenarios() {
  const cluster = new Cluster()
  const rows = []
  rows.push(
    await cluster.measure(`${WORKERS} workers start`, BUCKETS, () => {
      for (let index = 0; index < WORKERS; index++) cluster.join(`w${index}`)
    }),
  )
  rows.push(
    await cluster.measure('one comes', Math.floor(BUCKETS / (WORKERS + 1)), () => cluster.join('newcomer')),
  )
  rows.push(
    await cluster.measure('one is gone, without a word', cluster.countOf('w17'), () => cluster.kill('w17')),
  )
  const ten = Array.from({ length: 10 }, (_, index) => `w${20 + index}`)
  rows.push(
    await cluster.measure(
      'ten leave in good order',
      ten.reduce((sum, name) => sum + cluster.countOf(name), 0),
      () => ten.forEach((name) => cluster.drain(name)),
    ),
  )
  const { moves } = await planShards(cluster.coordinator(), 'bench', {
    add: Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`n${index}`, 1])),
  })
  rows.push(
    await cluster.measure('fifty come', moves.length, () => {
      for (let index = 0; index < 50; index++) cluster.join(`n${index}`)
    }),
  )
  return rows
}

class Cluster {
  runtime = virtualRuntime()
  store = new MemoryCoordination(this.runtime.clock)
  /** @type {Map<string, { worker: import('../dist/coordination/index.js').ShardWorker, process: { isGone: boolean }, count: number }>} */
  workers = new Map()
  moved = 0
  owned = 0
  written = 0
  plans = 0

  /** @param {{ isGone: boolean }} [process] what nothing is heard of any more, once it is gone */
  coordinator(process = { isGone: false }) {
    const driver = this.store.connect()
    const handler = {
      /** @param {any} target @param {string} name */
      get: (target, name) => {
        const member = target[name]
        if (typeof member !== 'function') return member
        return (/** @type {any[]} */ ...given) => {
          if (process.isGone) return new Promise(() => undefined)
          if (name === 'put' || name === 'putAndList' || name === 'delete') this.count(name, given)
          return member.apply(target, given)
        }
      },
    }
    return new DriverCoordinator(new Proxy(driver, handler), { runtime: this.runtime })
  }

  /** @param {string} call @param {any[]} given */
  count(call, [key, value]) {
    this.written += Buffer.byteLength(key) + (call === 'delete' ? 0 : Buffer.byteLength(value))
    if (key.endsWith('/plan')) this.plans++
  }

  /** @param {string} name */
  join(name) {
    const process = { isGone: false }
    const worker = joinShards(this.coordinator(process), 'bench', {
      worker: name,
      buckets: BUCKETS,
      tolerance: 0,
    })
    const entry = { worker, process, count: 0 }
    this.workers.set(name, entry)
    worker.on('change', ({ kind }) => {
      if (kind === 'owned') {
        entry.count++
        this.owned++
        this.moved++
      } else if (kind === 'ended') {
        entry.count--
        this.owned--
      }
    })
  }

  /** @param {string} name */
  countOf(name) {
    return this.workers.get(name)?.count ?? 0
  }

  /** @param {string} name */
  kill(name) {
    const entry = this.workers.get(name)
    this.workers.delete(name)
    if (entry) entry.process.isGone = true
  }

  /** @param {string} name */
  drain(name) {
    const entry = this.workers.get(name)
    this.workers.delete(name)
    void entry?.worker.drain()
  }

  isDone() {
    const ideal = BUCKETS / this.workers.size
    if (this.owned !== BUCKETS) return false
    let sum = 0
    for (const { count } of this.workers.values()) {
      if (count < Math.floor(ideal) || count > Math.ceil(ideal)) return false
      sum += count
    }
    return sum === BUCKETS
  }

  /**
   * @param {string} what
   * @param {number} least
   * @param {() => void} change
   */
  async measure(what, least, change) {
    const { clock } = this.runtime
    this.moved = this.written = this.plans = 0
    const [began, cpu] = [clock.now(), process.cpuUsage()]
    let most = 0
    change()
    while (!this.isDone()) {
      if (clock.now() - began > LIMIT_MS)
        throw new Error(`${what}: not done after ${LIMIT_MS} ms, ${this.owned} are owned`)
      await clock.advance(LOOK_MS)
      most = Math.max(most, BUCKETS - this.owned)
    }
    const { user, system } = process.cpuUsage(cpu)
    return [
      what,
      this.moved.toLocaleString('en'),
      least.toLocaleString('en'),
      `${((clock.now() - began) / 1000).toFixed(1)} s`,
      most.toLocaleString('en'),
      String(this.plans),
      `${(this.written / 1024).toFixed(0)} KiB`,
      `${((user + system) / 1e6).toFixed(1)} s`,
    ]
  }
}
