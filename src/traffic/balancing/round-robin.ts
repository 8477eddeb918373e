import { choices, type Balancer, type Candidate } from './candidate.js'

/**
 * Each in its turn, as often as its weight says, the turns of a heavy one spread between the others: the smooth
 * weighted round robin of nginx.
 */
export function roundRobin<C extends Candidate>(): Balancer<C> {
  const credits = new WeakMap<C, number>()
  const scratch: C[] = []
  return {
    pick(among, avoid) {
      let best: C | undefined
      let most = -Infinity
      let total = 0
      for (const candidate of choices(among, avoid, scratch)) {
        const weight = candidate.weight * candidate.share
        const credit = (credits.get(candidate) ?? 0) + weight
        credits.set(candidate, credit)
        total += weight
        if (credit > most) {
          best = candidate
          most = credit
        }
      }
      if (best !== undefined) credits.set(best, most - total)
      return best
    },
  }
}
