import type { Clock } from '../../core/clock.js'
import type { Random } from '../../core/random.js'
import type { Balancer, Candidate } from './candidate.js'
import { twoChoices } from './two-choices.js'

/** What an endpoint costs of which nothing is known while its first requests are under way, in ms. */
const UNKNOWN_MS = 1e9

/**
 * Of two random choices the one where a request would most likely be answered first: its peak average of latencies,
 * times the requests under way with this one, for its weight. As in Twitter's Finagle.
 */
export function peakEwma<C extends Candidate>(random: Random, clock: Clock): Balancer<C> {
  return twoChoices(random, ({ active, latency }) => {
    const average = latency?.read(clock.now()) ?? 0
    // One that nobody has heard from gets one request, not all of them.
    return (average === 0 && active > 0 ? UNKNOWN_MS : average) * (active + 1)
  })
}
