import type { Random } from '../../core/random.js'
import type { Balancer, Candidate } from './candidate.js'
import { leastRequest } from './least-request.js'
import { roundRobin } from './round-robin.js'

/** Ways to choose. */
export type BalancerName = 'round-robin' | 'least-request'

/** The balancer of that name over the given candidates. */
export function balancer<C extends Candidate>(
  name: BalancerName,
  candidates: readonly C[],
  random: Random,
): Balancer<C> {
  return name === 'round-robin' ? roundRobin(candidates) : leastRequest(candidates, random)
}
