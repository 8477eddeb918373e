import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { times } from '../../../../test/support/effort.js'
import { seededRandom } from '../../../core/random.js'
import { virtualRuntime } from '../../../testing/index.js'
import { bucketOf } from '../buckets.js'
import { heatMeter, type HeatMeter, type HeatMeterOptions } from './meter.js'
import { mergeHeat } from './merge.js'
import type { HeatSnapshot } from './snapshot.js'

type Record = readonly [key: string, weight: number]

/** Keys where few are frequent, with weights that add up without rounding. */
const records: fc.Arbitrary<Record[]> = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.nat(3).map((key) => `hot ${key}`) },
      { weight: 2, arbitrary: fc.nat(200).map((key) => `cold ${key}`) },
    ),
    fc.constantFrom(1, 1, 1, 0.5, 4),
  ),
  { maxLength: 400, size: 'max' },
)

function exactOf(all: readonly Record[]): Map<string, number> {
  const exact = new Map<string, number>()
  for (const [key, weight] of all) exact.set(key, (exact.get(key) ?? 0) + weight)
  return exact
}

/** What a snapshot promises beside exact counts. */
function check(heat: HeatSnapshot, exact: ReadonlyMap<string, number>): void {
  const total = [...exact.values()].reduce((sum, count) => sum + count, 0)
  expect(heat.total).toBe(total)
  expect(heat.keys.length).toBeLessThanOrEqual(heat.keyLimit)
  const named = new Map(heat.keys.map((key) => [key.key, key]))
  expect(named.size).toBe(heat.keys.length)
  for (const [key, count] of exact) {
    const found = named.get(key)
    if (!found) {
      expect(count).toBeLessThanOrEqual(heat.floor)
      expect(count).toBeLessThanOrEqual(total / heat.keyLimit)
      continue
    }
    expect(found.load).toBeGreaterThanOrEqual(count)
    expect(found.load - found.error).toBeLessThanOrEqual(count)
    expect(found.error).toBeLessThanOrEqual(total / heat.keyLimit)
    expect(found.bucket).toBe(bucketOf(key, heat.buckets.length))
  }
  const buckets = new Array<number>(heat.buckets.length).fill(0)
  for (const [key, count] of exact) buckets[bucketOf(key, buckets.length)]! += count
  expect(heat.buckets).toEqual(buckets)
  expect(heat.keys.map(({ load }) => load)).toEqual(heat.keys.map(({ load }) => load).sort((a, b) => b - a))
}

const meterOf = (options: Partial<HeatMeterOptions> = {}): HeatMeter =>
  heatMeter({ buckets: 16, runtime: virtualRuntime(), ...options })

describe('heat of one process', () => {
  test('names every key with more than its part, with bounds that hold, and all buckets exactly', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 40 }), (all, keys) => {
        const meter = meterOf({ keys })
        for (const [key, weight] of all) meter.record(key, weight)
        check(meter.snapshot(), exactOf(all))
      }),
      { numRuns: times(150) },
    )
  })

  test('counts exactly as long as there are no more keys than counters', () => {
    const meter = meterOf({ keys: 300 })
    const all = Array.from({ length: 5000 }, (_, index): Record => [`k${(index * index) % 300}`, 1])
    for (const [key] of all) meter.record(key)
    const { keys, floor } = meter.snapshot()
    expect(floor).toBe(0)
    expect(new Map(keys.map(({ key, load }) => [key, load]))).toEqual(exactOf(all))
    expect(keys.every(({ error }) => error === 0)).toBe(true)
  })

  test('finds the hot ones of a million different keys with few counters', () => {
    const meter = meterOf({ keys: 100 })
    const random = seededRandom(7)
    for (let index = 0; index < 100_000; index++) {
      const draw = random.next()
      meter.record(draw < 0.05 ? 'five' : draw < 0.08 ? 'three' : `other ${index}`)
    }
    const { keys, skew } = meter.snapshot()
    expect(keys.slice(0, 2).map(({ key }) => key)).toEqual(['five', 'three'])
    expect(skew.topKey).toBeGreaterThan(0.039)
    expect(skew.topKey).toBeLessThan(0.051)
    // Nothing else is said to be anything for sure.
    expect(keys.slice(2).every(({ load, error }) => load - error <= 2)).toBe(true)
  })

  test('what is a half-life old counts half, whatever the pace', async () => {
    const runtime = virtualRuntime()
    const meter = heatMeter({ buckets: 4, halfLife: '10s', runtime })
    for (let index = 0; index < 64; index++) meter.record('before')
    await runtime.clock.advance(20_000)
    for (let index = 0; index < 8; index++) meter.record('now')
    const of = (key: string): number => meter.snapshot().keys.find((found) => found.key === key)!.load
    expect(of('before')).toBeCloseTo(16, 9)
    expect(of('now')).toBeCloseTo(8, 9)
    await runtime.clock.advance(10_000)
    expect(meter.snapshot().total).toBeCloseTo(12, 9)
  })

  test('goes on for years, as the numbers inside are begun anew', async () => {
    const runtime = virtualRuntime()
    const meter = heatMeter({ buckets: 4, halfLife: '1s', runtime })
    for (let second = 0; second < 2_000; second++) {
      meter.record('steady', 5)
      await runtime.clock.advance(1_000)
    }
    // 5 × (1/2 + 1/4 + …)
    expect(meter.snapshot().total).toBeCloseTo(5, 6)
    expect(meter.snapshot().keys[0]!.load).toBeCloseTo(5, 6)
    await runtime.clock.advance(3_000_000)
    expect(meter.snapshot().total).toBe(0)
    meter.record('again')
    expect(meter.snapshot().total).toBeCloseTo(1, 9)
    expect(meter.snapshot().keys[0]).toMatchObject({ key: 'again', load: 1 })
  })

  test('says a steady rate', async () => {
    const runtime = virtualRuntime()
    const meter = heatMeter({ buckets: 4, halfLife: '1s', runtime })
    for (let index = 0; index < 4_000; index++) {
      meter.record(`${index % 10}`)
      await runtime.clock.advance(5)
    }
    expect(meter.snapshot().perSecond / 200).toBeCloseTo(1, 1)
  })

  test('a snapshot is plain JSON, also without any load', () => {
    const meter = meterOf()
    expect(meter.snapshot()).toMatchObject({ total: 0, keys: [], skew: { buckets: 0, topKey: 0 } })
    meter.record('a')
    const heat = meter.snapshot()
    expect(JSON.parse(JSON.stringify(heat))).toEqual(heat)
    expect(heat.skew).toEqual({ buckets: 16, topKey: 1 })
  })

  test('refuses what makes no sense', () => {
    expect(() => heatMeter({} as never)).toThrow('buckets must be given')
    expect(() => meterOf({ buckets: 0 })).toThrow('buckets must be a whole number from 1')
    expect(() => meterOf({ keys: 0 })).toThrow('keys must be')
    expect(() => meterOf().record(undefined as never)).toThrow('a key must be text, got undefined')
    expect(() => meterOf().record('a', 0)).toThrow('a weight must be above 0, got 0')
    expect(() => meterOf().record('a', NaN)).toThrow('a weight must be above 0, got NaN')
  })
})

describe('heat of several processes', () => {
  test('is joined with bounds that hold, in whatever order', () => {
    fc.assert(
      fc.property(
        fc.array(records, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (parts, keys) => {
          const runtime = virtualRuntime()
          const snapshots = parts.map((part) => {
            const meter = meterOf({ keys, runtime })
            for (const [key, weight] of part) meter.record(key, weight)
            return meter.snapshot()
          })
          const exact = exactOf(parts.flat())
          check(mergeHeat(snapshots), exact)
          // Two by two, as regions would do.
          check(
            snapshots.reduce((sum, each) => mergeHeat([each, sum])),
            exact,
          )
        },
      ),
      { numRuns: times(100) },
    )
  })

  test('brings older ones to the moment of the latest', async () => {
    const runtime = virtualRuntime()
    const meter = heatMeter({ buckets: 4, halfLife: '10s', runtime })
    meter.record('a', 8)
    const old = meter.snapshot()
    await runtime.clock.advance(20_000)
    const young = heatMeter({ buckets: 4, halfLife: '10s', runtime })
    young.record('a', 1)
    expect(mergeHeat([old, young.snapshot()]).total).toBeCloseTo(3, 9)
    expect(mergeHeat([young.snapshot(), old]).keys[0]!.load).toBeCloseTo(3, 9)
  })

  test('is not joined if it is not of the same buckets and half-life', () => {
    const heat = meterOf().snapshot()
    expect(() => mergeHeat([])).toThrow('needs a snapshot at least')
    expect(() => mergeHeat([heat, meterOf({ buckets: 8 }).snapshot()])).toThrow('of 16 and of 8 buckets')
    expect(() => mergeHeat([heat, meterOf({ halfLife: '5s' }).snapshot()])).toThrow('of 60000 and of 5000 ms')
  })
})
