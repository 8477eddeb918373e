import fc from 'fast-check'
import { expect, test } from 'vitest'
import { times } from '../../../../test/support/effort.js'
import { boundedPlacement, type BoundedPlacement, type KeyMove } from './bounded.js'
import { placement, type Placement } from './placement.js'
import type { PlacementStrategy, Shard } from './shards.js'

const named = (count: number): string[] => Array.from({ length: count }, (_, index) => `shard-${index}`)

/** No shard above its bound, nothing lost, and every bound what it is said to be. */
function check(of: BoundedPlacement, shards: Placement['shards'], factor: number): void {
  const weights = shards.reduce((sum, { weight }) => sum + weight, 0)
  const loads = of.loads()
  expect(loads.map(({ id }) => id)).toEqual(shards.map(({ id }) => id))
  expect(loads.reduce((sum, { keys }) => sum + keys, 0)).toBe(of.size)
  for (const [index, { keys, bound }] of loads.entries()) {
    expect(keys).toBeLessThanOrEqual(bound)
    expect(bound).toBe(Math.ceil(Math.max(0, (factor * of.size * shards[index]!.weight) / weights - 1e-9)))
  }
}

type Step =
  | { kind: 'assign'; key: string }
  | { kind: 'release'; key: string }
  | { kind: 'use'; weights: readonly number[]; first: number }

const stepsOf = (weighted: boolean): fc.Arbitrary<Step[]> => {
  const key = fc.nat(60).map((number) => `key ${number}`)
  const weight = weighted ? fc.constantFrom(0.5, 1, 2, 3) : fc.constant(1)
  return fc.array(
    fc.oneof(
      { weight: 12, arbitrary: fc.record({ kind: fc.constant('assign' as const), key }) },
      { weight: 7, arbitrary: fc.record({ kind: fc.constant('release' as const), key }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('use' as const),
          weights: fc.array(weight, { minLength: 1, maxLength: 8 }),
          first: fc.nat(4),
        }),
      },
    ),
    { maxLength: 150, size: 'max' },
  )
}

test.each(['ring', 'maglev', 'jump', 'rendezvous'] as const)(
  'by %s no shard is ever above its bound, and what is told to move is what has moved',
  (strategy: PlacementStrategy) => {
    const maglev = strategy === 'maglev'
    fc.assert(
      fc.property(
        stepsOf(strategy !== 'jump'),
        fc.constantFrom(1.01, 1.1, 1.25, 2),
        (steps: readonly Step[], factor) => {
          let now = placement(strategy, named(3))
          const of = boundedPlacement(now, { factor })
          const model = new Map<string, string>()
          const apply = (moves: readonly KeyMove[]): void => {
            expect(new Set(moves.map(({ key }) => key)).size).toBe(moves.length)
            for (const { key, from, to } of moves) {
              expect(model.get(key)).toBe(from)
              expect(to).not.toBe(from)
              model.set(key, to)
            }
          }
          for (const step of steps) {
            if (step.kind === 'assign') {
              const had = model.get(step.key)
              const shard = of.assign(step.key)
              if (had !== undefined) expect(shard).toBe(had)
              model.set(step.key, shard)
            } else if (step.kind === 'release') {
              model.delete(step.key)
              apply(of.release(step.key))
            } else {
              const shards: Shard[] = step.weights.map((weight, index) => ({
                id: `shard-${step.first + index}`,
                weight,
              }))
              now = placement(strategy, shards)
              apply(of.use(now))
            }
            check(of, now.shards, factor)
            expect(of.size).toBe(model.size)
          }
          for (const [key, shard] of model) expect(of.shardOf(key)).toBe(shard)
          expect(of.shardOf('never assigned')).toBeUndefined()
        },
      ),
      // A table of Maglev takes a millisecond to make.
      { numRuns: times(maglev ? 10 : 60) },
    )
  },
)

test('a key goes to the first of its order that has room', () => {
  const on = placement('rendezvous', named(10))
  const of = boundedPlacement(on, { factor: 1.1 })
  for (let index = 0; index < 2_000; index++) {
    const key = `key ${index}`
    const before = new Map(of.loads().map(({ id, keys }) => [id, keys]))
    const bound = Math.ceil((1.1 * (index + 1)) / 10 - 1e-9)
    expect(of.assign(key)).toBe([...on.order(key)].find((id) => before.get(id)! < bound))
  }
})

test.each([
  [1.1, 0.16],
  [1.25, 0.05],
  [1.5, 0.01],
])(
  'with the factor %d most keys are where they would be without a bound: away is less than %d',
  (factor, away) => {
    // A ring of 64 points a shard, loads differ by 1/8 without a bound.
    const on = placement(
      'ring',
      named(50).map((id) => ({ id, weight: 1 })),
    )
    const of = boundedPlacement(on, { factor })
    let other = 0
    for (let index = 0; index < 10_000; index++)
      if (of.assign(`k${index}`) !== on.shardOf(`k${index}`)) other++
    expect(other / 10_000).toBeLessThan(away)
  },
)

test.each([1.1, 1.25, 1.5])(
  'with the factor %d a key that comes or goes moves less than one other, and a shard little more than its own',
  (factor) => {
    const of = boundedPlacement(placement('ring', named(20)), { factor })
    let moves = 0
    for (let index = 0; index < 4_000; index++) of.assign(`k${index}`)
    // 1,000 keys go and as many come; the paper has O(1/epsilon^2) of them for each.
    for (let index = 0; index < 1_000; index++) {
      moves += of.release(`k${index}`).length
      of.assign(`new ${index}`)
    }
    for (let index = 0; index < 1_000; index++) moves += of.release(`new ${index}`).length
    expect(moves / 3_000).toBeLessThan(1)
    // A 21st shard has 1/21 of the keys at least by right, and one that goes had 1.5/21 at most.
    const came = of.use(placement('ring', named(21))).length / of.size
    expect(came).toBeGreaterThan(0.03)
    expect(came).toBeLessThan(0.09)
    const went = of.use(placement('ring', named(20))).length / of.size
    expect(went).toBeLessThan(0.09)
  },
)

test('bounds are by weight', () => {
  const of = boundedPlacement(
    placement('ring', [
      { id: 'small', weight: 1 },
      { id: 'big', weight: 3 },
    ]),
    { factor: 1.2 },
  )
  for (let index = 0; index < 100; index++) of.assign(`${index}`)
  expect(of.loads().map(({ id, bound }) => [id, bound])).toEqual([
    ['small', 30],
    ['big', 90],
  ])
})

test('what makes no sense is refused', () => {
  const on = placement('ring', ['a'])
  expect(() => boundedPlacement(on, { factor: 1 })).toThrow('factor must be a number of at least 1.01, got 1')
  expect(() => boundedPlacement(on, { faktor: 2 } as never)).toThrow('did you mean `factor`')
  expect(() => boundedPlacement(on).assign(undefined as never)).toThrow('a key must be text')
  expect(boundedPlacement(on).release('x')).toEqual([])
})
