import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Layout } from './layout.js'
import { nextPlan, type MadeMove, type NextPlan, type Situation } from './next-plan.js'
import { NO_WISHES } from './records.js'

const RULES = { movesAtOnce: 3, settle: 0, tolerance: 0 }

type Owned = Map<string, { worker: string }>

function situation(change: Partial<Situation>): Situation {
  return {
    buckets: 8,
    plan: undefined,
    wishes: NO_WISHES,
    workers: new Map(),
    owned: new Map(),
    loads: new Map(),
    rules: RULES,
    now: 1000,
    watchedSince: 0,
    goneSince: () => 0,
    wall: 0,
    ...change,
  }
}

const workersOf = (weights: Readonly<Record<string, number>>, since = 0): Situation['workers'] =>
  new Map(Object.entries(weights).map(([id, weight]) => [id, { weight, draining: false, since }]))

/** Plans, and lets everything that was planned arrive, until nothing changes any more. */
function settled(
  start: Situation,
  seen: (next: NextPlan, owned: Owned) => void = () => undefined,
): { plan: NextPlan; owned: Owned; made: MadeMove[] } {
  const owned: Owned = new Map(start.owned)
  const made: MadeMove[] = []
  let plan = start.plan
  for (let round = 0; round < 1000; round++) {
    const next = nextPlan({ ...start, plan, owned })
    seen(next, owned)
    made.push(...next.made)
    plan = next
    const leaves = new Layout(start.buckets, next.splits).leaves
    owned.clear()
    for (const [place, leaf] of leaves.entries())
      if (next.targets[place] !== undefined) owned.set(leaf, { worker: next.targets[place] })
    if (next.made.length === 0 && !next.leveling) return { plan: next, owned, made }
  }
  throw new Error('it goes on for ever')
}

function counts(owned: Owned): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { worker } of owned.values()) found[worker] = (found[worker] ?? 0) + 1
  return found
}

const weights = fc
  .array(fc.constantFrom(1, 1, 2, 3), { minLength: 1, maxLength: 6 })
  .map((each) => Object.fromEntries(each.map((weight, index) => [`w${index}`, weight])))

describe('the next plan', () => {
  it('gives out what nobody has, however many others wait to be moved away from who drains', () => {
    const targets = Array.from({ length: 20 }, (_, place) => (place % 2 === 0 ? 'draining' : 'gone'))
    const { made } = nextPlan(
      situation({
        buckets: 20,
        plan: { splits: [], targets, moves: [], leveling: false },
        workers: new Map([
          ['draining', { weight: 1, draining: true, since: 0 }],
          ['stays', { weight: 1, draining: false, since: 0 }],
        ]),
        owned: new Map(
          targets.flatMap((worker, place) => (worker === 'gone' ? [] : [[String(place), { worker }]])),
        ),
      }),
    )
    const count = (wanted: string): number => made.filter(({ why }) => why === wanted).length
    expect({ gone: count('gone'), drain: count('drain') }).toEqual({ gone: 10, drain: RULES.movesAtOnce })
  })

  it('gives every bucket to somebody who is there, a few moves at a time, each batch of which makes it better', () => {
    fc.assert(
      fc.property(
        weights,
        weights,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 9 }),
        (one, other, buckets, movesAtOnce) => {
          const rules = { ...RULES, movesAtOnce }
          const first = settled(situation({ buckets, rules, workers: workersOf(one) }))
          const workers = workersOf(other)
          const unevenness = (targets: readonly (string | undefined)[]): number =>
            Array.from(
              workers,
              ([id, { weight }]) => targets.filter((each) => each === id).length ** 2 / weight,
            ).reduce((sum, each) => sum + each, 0)
          let before = first.plan.targets
          const second = settled(
            situation({ buckets, rules, workers, ...first }),
            ({ moves, made, targets }) => {
              expect(moves.length).toBeLessThanOrEqual(movesAtOnce)
              if (made.length > 0 && made.every(({ why }) => why === 'balance'))
                expect(unevenness(targets)).toBeLessThan(unevenness(before))
              before = targets
            },
          )
          expect(second.owned.size).toBe(buckets)
          for (const worker of Object.keys(counts(second.owned))) expect(workers.has(worker)).toBe(true)
          // Some at a time are no more than all at once.
          const atOnce = settled(
            situation({ buckets, rules: { ...RULES, movesAtOnce: Infinity }, workers, ...first }),
          )
          expect(second.made.length).toBe(atOnce.made.length)
        },
      ),
    )
  })

  it('moves what a newcomer is to have, and no more', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 100 }), (count, buckets) => {
        const names = Array.from({ length: count + 1 }, (_, index) => [`w${index}`, 1] as const)
        const first = settled(situation({ buckets, workers: workersOf(Object.fromEntries(names.slice(1))) }))
        const second = settled(
          situation({ buckets, workers: workersOf(Object.fromEntries(names)), ...first }),
        )
        expect(second.made.length).toBe(Math.floor(buckets / (count + 1)))
        expect(new Set(second.made.map(({ to }) => to)).size).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('lets nothing that is under way move again, until who it is for is gone', () => {
    const workers = workersOf({ a: 1, b: 1 })
    const plan = nextPlan(
      situation({
        workers,
        plan: { splits: [], targets: Array.from({ length: 8 }, () => 'a'), moves: [], leveling: false },
        owned: new Map(Array.from({ length: 8 }, (_, bucket) => [String(bucket), { worker: 'a' }])),
      }),
    )
    expect(plan.moves).toHaveLength(3)
    const owned = new Map(Array.from({ length: 8 }, (_, bucket) => [String(bucket), { worker: 'a' }]))
    const stuck = nextPlan(situation({ workers, plan, owned }))
    expect(stuck).toMatchObject({ made: [], moves: plan.moves, targets: plan.targets })
    const without = nextPlan(situation({ workers: workersOf({ a: 1 }), plan, owned }))
    expect(without).toMatchObject({ made: [], moves: [], targets: Array.from({ length: 8 }, () => 'a') })
  })

  it('waits for workers that are gone, and for those that have just come, as long as it was told', () => {
    const rules = { ...RULES, settle: 100 }
    const all = Array.from({ length: 8 }, (_, bucket) => (bucket < 4 ? 'a' : 'b'))
    const plan = { splits: [], targets: all, moves: [], leveling: false }
    const owned = new Map(all.slice(0, 4).map((worker, bucket) => [String(bucket), { worker }]))
    const early = situation({ rules, plan, owned, workers: workersOf({ a: 1 }), goneSince: () => 950 })
    expect(nextPlan(early)).toMatchObject({ made: [], lookAt: 1050, gone: ['b'] })
    expect(nextPlan({ ...early, now: 1050 }).made).toHaveLength(4)
    const newcomer = situation({
      rules,
      plan,
      owned: new Map(all.map((worker, bucket) => [String(bucket), { worker }])),
      workers: new Map([...workersOf({ a: 1, b: 1 }), ...workersOf({ c: 1 }, 990)]),
    })
    expect(nextPlan(newcomer)).toMatchObject({ made: [], lookAt: 1090 })
    expect(nextPlan({ ...newcomer, now: 1090 }).made).toHaveLength(2)
  })

  it('goes on until everybody is well within what is tolerated, once somebody was outside', () => {
    const rules = { movesAtOnce: 1, settle: 0, tolerance: 0.4 }
    const at = (a: number): Situation => {
      const targets = Array.from({ length: 100 }, (_, bucket) => (bucket < a ? 'a' : 'b'))
      return situation({
        buckets: 100,
        rules,
        workers: workersOf({ a: 1, b: 1 }),
        plan: { splits: [], targets, moves: [], leveling: false },
        owned: new Map(targets.map((worker, bucket) => [String(bucket), { worker }])),
      })
    }
    expect(settled(at(70)).made).toEqual([])
    expect(counts(settled(at(71)).owned)).toEqual({ a: 60, b: 40 })
  })

  it('keeps the targets of halves, and of what halves were made of', () => {
    const workers = workersOf({ a: 1, b: 1 })
    const { plan, owned } = settled(situation({ buckets: 2, workers }))
    const split = nextPlan(
      situation({
        buckets: 2,
        workers,
        plan,
        owned,
        wishes: { ...NO_WISHES, splits: ['1', '1/0', '9', '0/1'] },
      }),
    )
    expect(split.splits).toEqual(['1', '1/0'])
    const [first, second] = plan.targets
    expect(split.targets).toEqual([first, second, second, second])
    expect(nextPlan(situation({ buckets: 2, workers, plan: split, owned })).targets).toEqual([first, second])
  })
})
