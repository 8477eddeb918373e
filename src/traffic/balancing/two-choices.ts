import type { Random } from '../../core/random.js'
import { choices, type Balancer, type Candidate } from './candidate.js'

/**
 * The better of two random choices (Mitzenmacher, "The power of two choices in randomized load balancing", 2001):
 * nearly as even as asking all, and no endpoint that has just become free is overrun. The two are always distinct, and
 * drawn by weight.
 *
 * @param load - what is compared, for its weight; the first that was drawn wins a tie
 */
export function twoChoices<C extends Candidate>(random: Random, load: (candidate: C) => number): Balancer<C> {
  const scratch: C[] = []
  const weights: number[] = []
  const draw = (total: number, except: number): number => {
    let point = random.next() * total
    let last = 0
    for (let index = 0; index < scratch.length; index++) {
      if (index === except) continue
      last = index
      point -= weights[index]!
      if (point < 0) break
    }
    return last
  }
  return {
    pick(among, avoid) {
      const ready = choices(among, avoid, scratch)
      const { length } = ready
      if (length < 2) return ready[0]
      const even = weigh(ready, weights)
      let first: number
      let second: number
      if (even) {
        first = Math.floor(random.next() * length)
        second = Math.floor(random.next() * (length - 1))
        if (second >= first) second++
      } else {
        let total = 0
        for (let index = 0; index < length; index++) total += weights[index]!
        first = draw(total, -1)
        second = draw(total - weights[first]!, first)
      }
      const [a, b] = [ready[first]!, ready[second]!]
      return load(b) / weights[second]! < load(a) / weights[first]! ? b : a
    },
  }
}

/** Writes down the weights as they are now; says whether all are the same. */
function weigh(ready: readonly Candidate[], weights: number[]): boolean {
  let even = true
  for (let index = 0; index < ready.length; index++) {
    const { weight, share } = ready[index]!
    weights[index] = weight * share
    if (weights[index] !== weights[0]) even = false
  }
  return even
}
