import type { Random } from '../../core/random.js'
import type { Balancer, Candidate } from './candidate.js'
import { twoChoices } from './two-choices.js'

/** Of two random choices the one with fewer requests under way for its weight. */
export function leastRequest<C extends Candidate>(random: Random): Balancer<C> {
  return twoChoices(random, ({ active }) => active)
}
