import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.js'
import { balancer, type BalancerName } from './balancer.js'

interface Node {
  name: string
  weight: number
  active: number
  up: boolean
  ready(): boolean
}

function node(name: string, weight = 1): Node {
  return {
    name,
    weight,
    active: 0,
    up: true,
    ready() {
      return this.up
    },
  }
}

function shares(name: BalancerName, nodes: Node[], picks = 6_000): Record<string, number> {
  const choose = balancer(name, nodes, seededRandom(3))
  const counts: Record<string, number> = {}
  for (let pick = 0; pick < picks; pick++) {
    const { name: chosen } = choose.pick()!
    counts[chosen] = (counts[chosen] ?? 0) + 1 / picks
  }
  return counts
}

describe.each(['round-robin', 'least-request'] as const)('%s', (name) => {
  test('shares by weight', () => {
    const { a = 0, b = 0 } = shares(name, [node('a', 3), node('b', 1)])
    expect(a).toBeGreaterThan(0.7)
    expect(b).toBeGreaterThan(0.2)
  })

  test('never chooses one that is not ready, or of weight 0; none if there is none', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ weight: fc.nat(3), up: fc.boolean(), active: fc.nat(5) }), { maxLength: 6 }),
        fc.integer(),
        (shapes, seed) => {
          const nodes = shapes.map((shape, index) => Object.assign(node(String(index)), shape))
          const choose = balancer(name, nodes, seededRandom(seed))
          const possible = nodes.filter(({ weight, up }) => weight > 0 && up)
          for (let round = 0; round < 10; round++) {
            const chosen = choose.pick()
            if (possible.length === 0) expect(chosen).toBeUndefined()
            else expect(possible).toContain(chosen)
          }
        },
      ),
    )
  })

  test('avoids the one that has just failed, unless it is the only one', () => {
    const [a, b] = [node('a'), node('b')]
    const choose = balancer(name, [a, b], seededRandom(1))
    for (let round = 0; round < 50; round++) expect(choose.pick(a)).toBe(b)
    b.up = false
    expect(choose.pick(a)).toBe(a)
  })
})

test('round-robin takes turns, the heavy one spread between the others', () => {
  const choose = balancer('round-robin', [node('a', 3), node('b'), node('c')], seededRandom(1))
  const order = Array.from({ length: 5 }, () => choose.pick()!.name).join('')
  expect(order).toBe('abaca')
})

test('least-request of two takes the less busy one, always', () => {
  const [a, b] = [node('a'), node('b')]
  a.active = 1
  const choose = balancer('least-request', [a, b], seededRandom(1))
  for (let round = 0; round < 100; round++) expect(choose.pick()).toBe(b)
})
