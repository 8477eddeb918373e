import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.js'
import type { Candidate } from './candidate.js'
import { consistentHash, type ConsistentHashOptions } from './consistent-hash.js'
import { hashText } from '../../core/hashing/hash.js'

interface Node extends Candidate {
  active: number
  share: number
  up: boolean
}

function node(id: string, weight = 1): Node {
  return {
    id,
    weight,
    share: 1,
    active: 0,
    up: true,
    ready() {
      return this.up
    },
  }
}

const nodes = (count: number): Node[] =>
  Array.from({ length: count }, (_, index) => node(`http://10.0.0.${index}:80`))
const keys = (count: number): string[] => Array.from({ length: count }, (_, index) => `user ${index}`)

/** Where each key goes. */
function owners(
  all: readonly Node[],
  options: ConsistentHashOptions,
  of: readonly string[],
  among = all,
): (Node | undefined)[] {
  const choose = consistentHash<Node>(options, seededRandom(1))
  choose.use!(all)
  return of.map((key) => choose.pick(among, undefined, key))
}

function moved(before: readonly unknown[], after: readonly unknown[]): number {
  return before.filter((owner, index) => owner !== after[index]).length
}

describe.each(['ring', 'maglev'] as const)('%s', (table) => {
  test('gives a key the same endpoint, whatever the order of the list', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.webUrl(), { minLength: 2, maxLength: 12 }),
        fc.integer(),
        (urls, seed) => {
          const all = urls.map((url) => node(url))
          const random = seededRandom(seed)
          const shuffled = all
            .map((each) => ({ each, at: random.next() }))
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each)
          const some = keys(100)
          expect(owners(shuffled, { table }, some)).toEqual(owners(all, { table }, some))
        },
      ),
      { numRuns: 20 },
    )
  })

  test('moves only the keys of an endpoint that is not there now', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), fc.nat(19), (count, gone) => {
        const all = nodes(count)
        const lost = all[gone % count]!
        const some = keys(300)
        const before = owners(all, { table }, some)
        lost.up = false
        const after = owners(all, { table }, some)
        for (const [index, owner] of before.entries())
          if (owner === lost) expect(after[index]).not.toBe(lost)
          else expect(after[index]).toBe(owner)
      }),
      { numRuns: 20 },
    )
  })

  test('gives the keys of one that is not there to all the others', () => {
    const all = nodes(5)
    const some = keys(10_000)
    const before = owners(all, { table }, some)
    const among = all.slice(1)
    const after = owners(all, { table }, some, among)
    for (const other of among) {
      const taken = after.filter((owner, index) => owner === other && before[index] === all[0]).length
      expect(taken).toBeGreaterThan(250)
    }
  })

  test('shares by weight', () => {
    const all = [node('a', 1), node('b', 2), node('c', 5)]
    const found = owners(all, { table }, keys(20_000))
    for (const each of all) {
      const part = found.filter((owner) => owner === each).length / found.length
      expect(Math.abs(part / (each.weight / 8) - 1)).toBeLessThan(0.2)
    }
  })
})

describe('movement when the list changes, of 10,000 keys over 10 endpoints', () => {
  const some = keys(10_000)
  const before = nodes(10)
  const after = nodes(11)

  test('ring: exactly the keys that the new one takes', () => {
    const old = owners(before, { table: 'ring' }, some).map((each) => each!.id)
    const fresh = owners(after, { table: 'ring' }, some).map((each) => each!.id)
    const taken = fresh.filter((id) => id === after[10]!.id).length
    expect(moved(old, fresh)).toBe(taken)
    expect(taken / some.length).toBeGreaterThan(0.07)
    expect(taken / some.length).toBeLessThan(0.12)
  })

  test('maglev: those, and a few in a hundred', () => {
    const old = owners(before, { table: 'maglev' }, some).map((each) => each!.id)
    const fresh = owners(after, { table: 'maglev' }, some).map((each) => each!.id)
    const taken = fresh.filter((id) => id === after[10]!.id).length
    expect((moved(old, fresh) - taken) / some.length).toBeLessThan(0.08)
  })
})

test.each([
  ['ring', 0.2],
  ['maglev', 0.06],
] as const)('%s gives each of 20 endpoints its part of 100,000 keys to within %d', (table, within) => {
  const all = nodes(20)
  const counts = new Map<unknown, number>()
  for (const owner of owners(all, { table }, keys(100_000))) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  for (const each of all) expect(Math.abs(counts.get(each)! / 5_000 - 1)).toBeLessThan(within)
})

test('no endpoint has more under way than its bound, and what is beyond goes to the same next one', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.array(fc.nat(5), { maxLength: 200, size: 'max' }),
      (count, asked) => {
        const all = nodes(count)
        const choose = consistentHash<Node>({ boundedLoad: 1.25 }, seededRandom(1))
        choose.use!(all)
        for (const [index, key] of asked.entries()) {
          const first = choose.pick(all, undefined, `key ${key}`)!
          expect(choose.pick(all, undefined, `key ${key}`)).toBe(first)
          first.active++
          expect(first.active).toBeLessThanOrEqual(Math.ceil((1.25 * (index + 1)) / count))
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('an endpoint that starts slowly takes the same keys all the time, and more of them as its share grows', () => {
  const all = nodes(4)
  const some = keys(2_000)
  const whole = owners(all, {}, some)
  let before = new Set<string>()
  for (const share of [0.1, 0.3, 0.6, 1]) {
    all[0]!.share = share
    const found = owners(all, {}, some)
    const own = new Set(some.filter((_, index) => found[index] === all[0]))
    for (const key of before) expect(own.has(key)).toBe(true)
    expect(own.size / whole.filter((owner) => owner === all[0]).length).toBeCloseTo(share, 1)
    before = own
  }
})

test('requests without a key go to the less busy one', () => {
  const [a, b] = nodes(2) as [Node, Node]
  a.active = 1
  const choose = consistentHash<Node>({}, seededRandom(1))
  choose.use!([a, b])
  for (let pick = 0; pick < 20; pick++) expect(choose.pick([a, b])).toBe(b)
})

test('a hash is the same for ever, as other processes count on it', () => {
  expect(['', 'a', 'user 1', 'Größe'].map((text) => hashText(text))).toMatchInlineSnapshot(`
    [
      2872998923,
      2448022055,
      1616384551,
      476160830,
    ]
  `)
})
