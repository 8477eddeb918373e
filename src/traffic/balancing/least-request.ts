import type { Random } from '../../core/random.js'
import { choices, type Balancer, type Candidate } from './candidate.js'

/**
 * The better of two random choices (Mitzenmacher, "The power of two choices in randomized load balancing", 2001):
 * nearly as even as asking all, and no endpoint that has just become free is overrun. The two are always distinct.
 * Better is: fewer requests under way for its weight.
 */
export function leastRequest<C extends Candidate>(candidates: readonly C[], random: Random): Balancer<C> {
  const draw = (from: readonly C[]): number => Math.floor(random.next() * from.length)
  return {
    pick(avoid) {
      const ready = choices(candidates, avoid)
      if (ready.length < 2) return ready[0]
      const first = draw(ready)
      const other = Math.floor(random.next() * (ready.length - 1))
      const second = other >= first ? other + 1 : other
      return better(ready[first]!, ready[second]!, random)
    },
  }
}

function better<C extends Candidate>(a: C, b: C, random: Random): C {
  const loadA = a.active / a.weight
  const loadB = b.active / b.weight
  if (loadA === loadB) {
    // Equal loads, nearly always none: by weight, or an idle service would not share by it.
    return random.next() * (a.weight + b.weight) < a.weight ? a : b
  }
  return loadA < loadB ? a : b
}
