import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { balance, type Balancing, type Move } from './balance.js'

const named = (count: number, weight = 1): { id: string; weight: number }[] =>
  Array.from({ length: count }, (_, index) => ({ id: `w${index}`, weight }))

function levels({
  owners,
  workers,
  loads,
}: Pick<Balancing, 'owners' | 'workers' | 'loads'>): Map<string, number> {
  const levels = new Map(workers.map(({ id }) => [id, 0]))
  const weights = new Map(workers.map(({ id, weight }) => [id, weight]))
  for (const [bucket, owner] of owners.entries())
    if (owner !== undefined && levels.has(owner))
      levels.set(owner, levels.get(owner)! + (loads?.[bucket] ?? 1) / weights.get(owner)!)
  return levels
}

function after(owners: readonly (string | undefined)[], moves: readonly Move[]): (string | undefined)[] {
  const result = [...owners]
  for (const { bucket, to } of moves) result[bucket] = to
  return result
}

const asked: fc.Arbitrary<Balancing> = fc
  .record({ workers: fc.integer({ min: 1, max: 8 }), buckets: fc.integer({ min: 0, max: 80 }) })
  .chain(({ workers, buckets }) =>
    fc.record({
      workers: fc
        .array(fc.constantFrom(1, 1, 2, 3), { minLength: workers, maxLength: workers })
        .map((weights) => weights.map((weight, index) => ({ id: `w${index}`, weight }))),
      owners: fc.array(fc.constantFrom(undefined, 'gone', ...named(workers).map(({ id }) => id)), {
        minLength: buckets,
        maxLength: buckets,
      }),
      loads: fc.option(
        fc.array(fc.oneof(fc.nat(10), fc.nat(1000)), {
          minLength: buckets,
          maxLength: buckets,
        }),
        { nil: undefined },
      ),
      tolerance: fc.constantFrom(0, 0.1, 0.5),
    }),
  )

describe('balancing', () => {
  it('gives every bucket to somebody, and moves none twice', () => {
    fc.assert(
      fc.property(asked, (balancing) => {
        const moves = [...balance(balancing)]
        const ids = balancing.workers.map(({ id }) => id)
        expect(new Set(moves.map(({ bucket }) => bucket)).size).toBe(moves.length)
        for (const owner of after(balancing.owners, moves)) expect(ids).toContain(owner)
        for (const { bucket, from } of moves) {
          const had = balancing.owners[bucket]
          expect(from).toBe(had !== undefined && ids.includes(had) ? had : undefined)
        }
      }),
    )
  })

  it('makes it better with every move of what somebody has', () => {
    fc.assert(
      fc.property(asked, (balancing) => {
        let owners = balancing.owners
        for (const move of balance(balancing)) {
          const before = levels({ ...balancing, owners })
          owners = after(owners, [move])
          const now = levels({ ...balancing, owners })
          if (move.from === undefined) continue
          const worst = Math.max(now.get(move.from)!, now.get(move.to)!)
          expect(worst).toBeLessThan(before.get(move.from)! * (1 + 1e-9))
          expect(before.get(move.to)!).toBeLessThan(before.get(move.from)!)
        }
      }),
    )
  })

  it('stops when no bucket is left that could go from who has most without making somebody else that', () => {
    fc.assert(
      fc.property(asked, (balancing) => {
        const moves = [...balance({ ...balancing, tolerance: 0 })]
        // Those that have moved already would have to move again.
        const moved = new Set(moves.map(({ bucket }) => bucket))
        const owners = after(balancing.owners, moves)
        const all = levels({ ...balancing, owners })
        const weightOf = (owner: string): number => balancing.workers.find(({ id }) => id === owner)!.weight
        const most = Math.max(...all.values())
        for (const [bucket, owner] of owners.entries()) {
          const load = balancing.loads?.[bucket] ?? 1
          if (all.get(owner!)! < most || moved.has(bucket) || load === 0) continue
          const left = most - load / weightOf(owner!)
          for (const { id, weight } of balancing.workers)
            if (id !== owner) expect(all.get(id)! + load / weight).toBeGreaterThan(left)
        }
      }),
    )
  })

  it('moves buckets of one load as seldom as can be, and leaves everybody with as many, or one more', () => {
    fc.assert(
      fc.property(asked, ({ owners, workers: those }) => {
        const workers = those.map(({ id }) => ({ id, weight: 1 }))
        const moves = [...balance({ owners, workers, tolerance: 0 })]
        const counts = [...levels({ owners: after(owners, moves), workers }).values()]
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        const had = [...levels({ owners, workers }).values()].sort((a, b) => b - a)
        const [least, over] = [Math.floor(owners.length / workers.length), owners.length % workers.length]
        // Those who have most may keep one more.
        const given = had.reduce(
          (sum, count, rank) => sum + Math.max(0, count - least - (rank < over ? 1 : 0)),
          0,
        )
        expect(moves.filter(({ from }) => from !== undefined)).toHaveLength(given)
      }),
    )
  })

  it('moves nothing for what is within tolerance', () => {
    const owners = [...Array<string>(11).fill('w0'), ...Array<string>(9).fill('w1')]
    expect([...balance({ owners, workers: named(2), tolerance: 0.1 })]).toEqual([])
    expect([...balance({ owners, workers: named(2), tolerance: 0.05 })]).toHaveLength(1)
  })

  it('gives somebody who comes a part, also if nobody else has too much', () => {
    const owners = Array.from({ length: 1000 }, (_, bucket) => `w${bucket % 20}`)
    const moves = [...balance({ owners, workers: named(21), tolerance: 0.1 })]
    expect(moves.length).toBeGreaterThanOrEqual(42)
    expect(moves.length).toBeLessThanOrEqual(48)
    for (const { to } of moves) expect(to).toBe('w20')
  })

  it('moves what is heavy first, and leaves a bucket that is too much for anybody where it is', () => {
    const owners = ['w0', 'w0', 'w0', 'w0']
    const moves = [...balance({ owners, workers: named(2), loads: [100, 5, 5, 5], tolerance: 0 })]
    expect(after(owners, moves)).toEqual(['w0', 'w1', 'w1', 'w1'])
  })

  it('has nothing to say without workers', () => {
    expect([...balance({ owners: ['w0', undefined], workers: [], tolerance: 0 })]).toEqual([])
  })
})

test('ten thousand buckets of a hundred workers, of which ten go and five come, are planned in the least moves', () => {
  const owners = Array.from({ length: 10_000 }, (_, bucket) => `w${bucket % 100}`)
  const workers = named(105).slice(10)
  const moves = [...balance({ owners, workers, tolerance: 0 })]
  expect(moves.filter(({ from }) => from === undefined)).toHaveLength(1000)
  const counts = [...levels({ owners: after(owners, moves), workers }).values()]
  expect(Math.max(...counts)).toBe(106)
  expect(Math.min(...counts)).toBe(105)
  expect(moves).toHaveLength(1000)
})
