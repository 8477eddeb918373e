import { describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../../testing/index.js'
import { bucketOf } from '../buckets.js'
import { hotShards } from './hot-shards.js'
import { heatMeter } from './meter.js'
import type { HeatSnapshot } from './snapshot.js'

const BUCKETS = 32
const WORKERS = ['a', 'b', 'c', 'd']
/** In turns: each has 8. */
const owners = Array.from({ length: BUCKETS }, (_, bucket) => WORKERS[bucket % 4]!)

/** Keys of a bucket, each different. */
function* keysOf(bucket: number): Generator<string, never> {
  for (let index = 0; ; index++) if (bucketOf(`key ${index}`, BUCKETS) === bucket) yield `key ${index}`
}

/** Heat of buckets by many keys each, and of single keys. */
function heatOf(loads: Record<number, number>, keys: Record<string, number> = {}): HeatSnapshot {
  const meter = heatMeter({ buckets: BUCKETS, runtime: virtualRuntime() })
  for (const [bucket, load] of Object.entries(loads)) {
    const some = keysOf(Number(bucket))
    for (let left = load; left > 0; left--) meter.record(some.next().value)
  }
  for (const [key, load] of Object.entries(keys)) meter.record(key, load)
  return meter.snapshot()
}

const even = (load: number): Record<number, number> =>
  Object.fromEntries(owners.map((_, bucket) => [bucket, load]))

describe('hot shards', () => {
  test('are none where load is even, or where there is none', () => {
    expect(hotShards(heatOf(even(10)), owners)).toEqual([])
    expect(hotShards(heatOf({}), owners)).toEqual([])
    expect(hotShards(heatOf(even(10)), new Array<undefined>(BUCKETS).fill(undefined))).toEqual([])
  })

  test('a key that is hot by itself is to be isolated, one that is too much for any owner salted', () => {
    const bucket = bucketOf('celebrity', BUCKETS)
    const warm = hotShards(heatOf(even(10), { celebrity: 80 }), owners)
    expect(warm[0]).toMatchObject({ kind: 'hot-key', key: 'celebrity', bucket, remedy: 'isolate' })
    expect(warm[0]).toMatchObject({ owner: owners[bucket], share: 0.2, parts: 0.8 })
    const [hot, ...others] = hotShards(heatOf(even(10), { celebrity: 1000 }), owners)
    expect(hot).toMatchObject({ kind: 'hot-key', remedy: 'salt', load: 1000 })
    expect(hot!.text).toBe(
      'key "celebrity" has at least 75.8% of the load, 3.03 times the part of an owner; splitting its bucket cannot help: ' +
        'more than one owner\'s part, so no owner can be right for it: salt it ("celebrity" with one of several endings), or cache what is read',
    )
    // Its bucket is not said to be hot by the others in it: they are as many as elsewhere.
    expect(others.filter(({ kind }) => kind === 'hot-bucket')).toEqual([])
  })

  test('a bucket that is hot by many keys is moved to who has room, otherwise split', () => {
    // b has 10 of 390 left, and takes what it can.
    const ofB = Object.fromEntries([1, 5, 9, 13, 17, 21, 25].map((bucket) => [bucket, 0]))
    const move = hotShards(heatOf({ ...even(10), ...ofB, 0: 100, 4: 60 }), owners)
    expect(move[0]).toMatchObject({ kind: 'hot-bucket', bucket: 0, owner: 'a', remedy: 'move', to: 'b' })
    // With that one b is full, and a is not above its part any more.
    expect(move.filter(({ kind }) => kind === 'hot-bucket')).toHaveLength(1)
    const split = hotShards(heatOf({ ...even(10), 0: 500 }), owners)
    expect(split).toHaveLength(2)
    expect(split[0]).toMatchObject({ kind: 'hot-bucket', bucket: 0, owner: 'a', remedy: 'split' })
    expect(split[0]!.text).toContain('split it, nobody has room for all of it')
  })

  test('an owner with several warm buckets is uneven, and a plan says what it takes', () => {
    const [finding, ...others] = hotShards(heatOf({ ...even(10), 0: 40, 4: 40, 8: 40, 12: 40 }), owners)
    expect(others).toEqual([])
    expect(finding).toMatchObject({ kind: 'uneven', owner: 'a', remedy: 'rebalance', load: 200 })
    if (finding?.kind !== 'uneven') throw new Error('unreachable')
    expect(finding.moves).toBeGreaterThan(0)
    expect(finding.moves).toBeLessThan(8)
    expect(finding.after).toBeLessThan(1.25)
  })

  test('who has no bucket yet, and who is twice as strong, counts', () => {
    expect(
      hotShards(heatOf(even(10)), owners, { workers: [...WORKERS, 'idle', 'idle too'] })[0],
    ).toMatchObject({
      kind: 'uneven',
      remedy: 'rebalance',
    })
    const heat = heatOf({ ...even(10), 0: 40, 4: 40, 8: 30 })
    expect(hotShards(heat, owners)).toHaveLength(1)
    const workers = WORKERS.map((id) => ({ id, weight: id === 'a' ? 2 : 1 }))
    expect(hotShards(heat, owners, { workers })).toEqual([])
  })

  test('refuses a map of other buckets, and options that are none', () => {
    expect(() => hotShards(heatOf({}), ['a'])).toThrow('owners of 1 buckets, and heat of 32')
    expect(() => hotShards(heatOf({}), owners, { tolerence: 1 } as never)).toThrow('did you mean `tolerance`')
  })
})
