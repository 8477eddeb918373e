import { choices, type Balancer, type Candidate } from './candidate.js'

/**
 * Each in its turn, as often as its weight says, the turns of a heavy one spread between the others: the smooth
 * weighted round robin of nginx.
 */
export function roundRobin<C extends Candidate>(candidates: readonly C[]): Balancer<C> {
  const credits = new Map<C, number>(candidates.map((candidate) => [candidate, 0]))
  return {
    pick(avoid) {
      let best: C | undefined
      let total = 0
      for (const candidate of choices(candidates, avoid)) {
        const credit = credits.get(candidate)! + candidate.weight
        credits.set(candidate, credit)
        total += candidate.weight
        if (best === undefined || credit > credits.get(best)!) best = candidate
      }
      if (best !== undefined) credits.set(best, credits.get(best)! - total)
      return best
    },
  }
}
