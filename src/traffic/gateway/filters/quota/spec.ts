import type { Duration } from '../../../../core/duration.js'

/** How many requests a client may make in a long time, as `quotas.<name>` or a route's `quota` says it. */
export interface QuotaSpec {
  /** Requests in each period. */
  limit: number
  /** The period: a duration, counted from midnight of 1 January 1970 UTC (so `1d` is a day UTC), or a `month` UTC. */
  per: Duration | 'month'
  /**
   * Whose requests are counted together: `identity`, `identity:<claim>`, `key`, `client`, `header:<name>`, or `all`.
   * Default `identity`: whoever is not known counts by address.
   */
  by?: string
  /** A claim with the limit of whoever has it, in place of `limit`: a number of at least 0. */
  limitClaim?: string
}
