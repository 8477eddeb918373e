// @ts-check
/**
 * Measures one thing in a process of its own, as the compiler makes faster what is only used in one way, and prints it as JSON:
 * `node alone.mjs texts ring`, `numbers ring`, `table ring 1000`.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import ConsistentHash from 'consistent-hash'
import HashRing from 'hashring'
import { boundedPlacement, heatMeter, placement } from '../../dist/coordination/index.js'
import { bucketOf } from '../../dist/coordination/sharding/buckets.js'
import { mix } from '../../dist/core/hashing/hash.js'
import { jump } from '../../dist/core/hashing/jump.js'
import { maglev } from '../../dist/core/hashing/maglev.js'
import { ring } from '../../dist/core/hashing/ring.js'
import { named, SHARDS } from './shards.mjs'

const ROUNDS = 7
/** Keys are made shortly before they are looked up, as those of requests are. */
const BATCH = 4096
const BATCHES = 50
const NUMBERS = 1_000_000
const BUCKETS = 1024

setFlagsFromString('--expose-gc')
/** @type {() => void} */
const gc = runInNewContext('gc')

let made = 0
/** Keys of 17 characters that never came before, as they come from a socket: not put together from parts, and not hashed yet. */
function freshKeys(count = BATCH) {
  const keys = []
  for (let index = 0; index < count; index++)
    keys.push(Buffer.from(`customer/${(++made).toString(36).padStart(8, '0')}`).toString('latin1'))
  return keys
}

/** @param {() => void} work @returns {number} seconds of CPU */
function seconds(work) {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** Keeps the compiler from dropping what nobody looks at. */
let sink = 0

/** @type {Record<string, () => (key: string) => unknown>} */
const TEXTS = {
  bucketOf: () => (key) => bucketOf(key, BUCKETS),
  bounded: () => {
    const bounded = boundedPlacement(placement('ring', named(SHARDS)))
    return (key) => bounded.assign(key)
  },
  heat: () => {
    const meter = heatMeter({ buckets: BUCKETS })
    return (key) => meter.record(key)
  },
  'heat-few': () => {
    const meter = heatMeter({ buckets: BUCKETS })
    const hot = freshKeys(90)
    let next = 0
    return () => meter.record(hot[next++ % hot.length] ?? '')
  },
  hashring: () => {
    const theirs = /** @type {HashRing} */ (TABLES['hashring']?.(SHARDS))
    return (key) => theirs.get(key)
  },
  'consistent-hash': () => {
    const theirs = /** @type {ConsistentHash} */ (TABLES['consistent-hash']?.(SHARDS))
    return (key) => theirs.get(key)
  },
}
/** @type {Record<string, (count: number) => unknown>} */
const TABLES = {
  hashring: (count) => new HashRing(named(count)),
  'consistent-hash': (count) => {
    const all = new ConsistentHash()
    for (const name of named(count)) all.add(name)
    // It makes its table when it is first asked.
    all.get('a')
    return all
  },
}
for (const strategy of /** @type {const} */ (['ring', 'maglev', 'jump', 'rendezvous'])) {
  TABLES[strategy] = (count) => placement(strategy, named(count))
  TEXTS[strategy] = () => {
    const on = placement(strategy, named(SHARDS))
    return (key) => on.shardOf(key)
  }
}

/** @type {Record<string, () => (number: number) => number>} */
const NUMBER_LOOKS = {
  ring: () => {
    const { places, placeOf } = ring(named(SHARDS).map((id) => ({ id, weight: 1 })))
    return (number) => places[placeOf(mix(number))] ?? 0
  },
  maglev: () => {
    const { places, placeOf } = maglev(named(SHARDS).map((id) => ({ id, weight: 1 })))
    return (number) => places[placeOf(mix(number))] ?? 0
  },
  jump: () => (number) => jump(mix(number), mix(number ^ 0x27d4eb2f), SHARDS),
}

/** @param {(() => (key: string) => unknown) | undefined} make @returns {number[]} lookups a second */
function texts(make) {
  if (!make) throw new Error('unknown')
  const rates = []
  for (let round = -1; round < ROUNDS; round++) {
    const look = make()
    let taken = 0
    for (let batch = 0; batch < BATCHES; batch++) {
      const keys = freshKeys()
      taken += seconds(() => {
        for (const key of keys) if (look(key)) sink++
      })
    }
    if (round >= 0) rates.push((BATCH * BATCHES) / taken)
  }
  return rates
}

/** @param {(() => (number: number) => number) | undefined} make @returns {number[]} lookups a second */
function numbers(make) {
  if (!make) throw new Error('unknown')
  const rates = []
  const look = make()
  let number = 0
  for (let round = -1; round < ROUNDS; round++) {
    const taken = seconds(() => {
      for (let index = 0; index < NUMBERS; index++) sink += look(++number)
    })
    if (round >= 0) rates.push(NUMBERS / taken)
  }
  return rates
}

/** @param {((count: number) => unknown) | undefined} build @param {number} count of shards */
function tables(build, count) {
  if (!build) throw new Error('unknown')
  const used = () => {
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  // What is compiled on the way is not of the table.
  build(count)
  gc()
  const before = used()
  const kept = build(count)
  const bytes = used() - before
  const times = Array.from({ length: ROUNDS }, () => seconds(() => build(count)) * 1000)
  if (kept === undefined) throw new Error('unreachable')
  return { bytes, times }
}

const [what = '', name = '', count] = process.argv.slice(2)
const result =
  what === 'texts'
    ? texts(TEXTS[name])
    : what === 'numbers'
      ? numbers(NUMBER_LOOKS[name])
      : tables(TABLES[name], Number(count))
if (sink < 0) throw new Error('unreachable')
console.log(JSON.stringify(result))
// A meter has a timer.
process.exit(0)
