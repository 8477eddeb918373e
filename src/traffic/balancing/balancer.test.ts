import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.js'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { balancer, type BalanceSpec } from './balancer.js'
import type { Balancer } from './candidate.js'
import { PeakEwma } from './ewma.js'

interface Node {
  id: string
  weight: number
  share: number
  active: number
  up: boolean
  latency: PeakEwma
  ready(): boolean
}

function node(id: string, weight = 1): Node {
  return {
    id,
    weight,
    share: 1,
    active: 0,
    up: true,
    latency: new PeakEwma(),
    ready() {
      return this.up
    },
  }
}

function make(spec: BalanceSpec, nodes: readonly Node[], seed = 3): Balancer<Node> {
  const made = balancer<Node>(spec, { ...virtualRuntime(), random: seededRandom(seed) })
  made.use?.(nodes)
  return made
}

/** What part of many requests each of the nodes gets. */
function shares(spec: BalanceSpec, nodes: readonly Node[], picks = 6_000): Record<string, number> {
  const choose = make(spec, nodes)
  const counts: Record<string, number> = {}
  for (let pick = 0; pick < picks; pick++) {
    const { id } = choose.pick(nodes, undefined, `key ${pick}`)!
    counts[id] = (counts[id] ?? 0) + 1 / picks
  }
  return counts
}

const specs: BalanceSpec[] = [
  'round-robin',
  'least-request',
  'peak-ewma',
  { hash: 'path' },
  { hash: 'path', table: 'maglev' },
]

describe.each(specs)('%j', (spec) => {
  test('shares by weight', () => {
    const { a = 0, b = 0 } = shares(spec, [node('a', 3), node('b', 1)])
    expect(a).toBeGreaterThan(0.7)
    expect(a).toBeLessThan(0.8)
    expect(a + b).toBeCloseTo(1)
  })

  test('gives one that starts slowly its part', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((id) => node(id))
    nodes[0]!.share = 0.1
    const { a = 0, b = 0 } = shares(spec, nodes)
    expect(a).toBeGreaterThan(0.01)
    expect(a).toBeLessThan(0.06)
    expect(b).toBeGreaterThan(0.25)
  })

  test('never chooses one that is not ready, or of weight 0; none if there is none', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ weight: fc.nat(3), up: fc.boolean(), active: fc.nat(5) }), { maxLength: 6 }),
        fc.integer(),
        (shapes, seed) => {
          const nodes = shapes.map((shape, index) => Object.assign(node(String(index)), shape))
          const choose = make(spec, nodes, seed)
          const possible = nodes.filter(({ weight, up }) => weight > 0 && up)
          for (let round = 0; round < 5; round++) {
            const chosen = choose.pick(nodes, undefined, String(round))
            if (possible.length === 0) expect(chosen).toBeUndefined()
            else expect(possible).toContain(chosen)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('chooses only among those it is given', () => {
    const nodes = ['a', 'b', 'c'].map((id) => node(id))
    const choose = make(spec, nodes)
    for (let pick = 0; pick < 50; pick++) {
      expect(choose.pick([nodes[1]!], undefined, String(pick))).toBe(nodes[1])
      expect(choose.pick([], undefined, String(pick))).toBeUndefined()
    }
  })

  test('avoids the one that has just failed, unless it is the only one', () => {
    const [a, b] = [node('a'), node('b')]
    const choose = make(spec, [a, b])
    for (let round = 0; round < 50; round++) expect(choose.pick([a, b], a, String(round))).toBe(b)
    b.up = false
    expect(choose.pick([a, b], a, 'any')).toBe(a)
  })
})

test('round-robin takes turns, the heavy one spread between the others', () => {
  const nodes = [node('a', 3), node('b'), node('c')]
  const choose = make('round-robin', nodes)
  const order = Array.from({ length: 5 }, () => choose.pick(nodes)!.id).join('')
  expect(order).toBe('abaca')
})

test('least-request of two takes the less busy one, always', () => {
  const [a, b] = [node('a'), node('b')]
  a.active = 1
  const choose = make('least-request', [a, b])
  for (let round = 0; round < 100; round++) expect(choose.pick([a, b])).toBe(b)
})

test('least-request gives a heavy one its part among many light ones', () => {
  const nodes = [node('heavy', 9), ...Array.from({ length: 9 }, (_, index) => node(`light ${index}`))]
  expect(shares('least-request', nodes)['heavy']).toBeCloseTo(0.5, 1)
})

describe('peak-ewma', () => {
  test('takes the faster of two, and the slower once the faster is busy enough', () => {
    const [fast, slow] = [node('fast'), node('slow')]
    fast.latency.observe(0, 10)
    slow.latency.observe(0, 45)
    const choose = make('peak-ewma', [fast, slow])
    expect(choose.pick([fast, slow])).toBe(fast)
    fast.active = 5
    expect(choose.pick([fast, slow])).toBe(slow)
  })

  test('gives one that it knows nothing of one request, not all of them', () => {
    const [known, fresh] = [node('known'), node('fresh')]
    known.latency.observe(0, 10)
    const choose = make('peak-ewma', [known, fresh])
    expect(choose.pick([known, fresh])).toBe(fresh)
    fresh.active = 1
    expect(choose.pick([known, fresh])).toBe(known)
  })

  test('believes a slow answer at once, and quick ones by and by', () => {
    const average = new PeakEwma()
    average.observe(0, 10)
    average.observe(100, 200)
    expect(average.read(100)).toBe(200)
    average.observe(200, 10)
    expect(average.read(200)).toBeGreaterThan(190)
    average.observe(30_200, 10)
    expect(average.read(30_200)).toBeLessThan(20)
  })
})
