import type { Runtime } from '../../core/runtime.js'
import type { Balancer, Candidate } from './candidate.js'
import { consistentHash, type ConsistentHashOptions } from './consistent-hash.js'
import { leastRequest } from './least-request.js'
import { peakEwma } from './peak-ewma.js'
import { roundRobin } from './round-robin.js'

/** Ways to choose by load or in turn. */
export type BalancerName = 'least-request' | 'round-robin' | 'peak-ewma'

/** Ways to choose: by load, in turn, or by a key of the request. */
export type BalanceSpec =
  | BalancerName
  | ({
      /** What requests belong together: `client` (its address), `path`, `header:<name>`, `cookie:<name>`, `query:<name>`. */
      hash: string
    } & ConsistentHashOptions)

/** The balancer that a specification asks for. */
export function balancer<C extends Candidate>(spec: BalanceSpec, runtime: Runtime): Balancer<C> {
  const { random, clock } = runtime
  switch (spec) {
    case 'least-request':
      return leastRequest(random)
    case 'round-robin':
      return roundRobin()
    case 'peak-ewma':
      return peakEwma(random, clock)
    default:
      return consistentHash(spec, random)
  }
}
